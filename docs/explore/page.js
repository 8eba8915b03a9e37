// The page: what is drawn, and what follows on a click, a key, a number typed or dragged.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id), all = (selector) => [...document.querySelectorAll(selector)];
  const EQUATIONS = {
    elman: ["a_t = x_t W_{xh} + h_{t−1} W_{hh} + b_h", "h_t = tanh(a_t)"],
    lstm: ["k_t = σ(x_t W_k + h_{t−1} R_k + b_k), k = i, f, o", "g_t = tanh(x_t W_g + h_{t−1} R_g + b_g)", "c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t", "h_t = o_t ⊙ tanh(c_t)"],
    gru: ["k_t = σ(x_t W_k + b_k + h_{t−1} R_k + b′_k), k = z, r", "m_t = h_{t−1} R_n + b′_n", "n_t = tanh(x_t W_n + b_n + r_t ⊙ m_t)", "h_t = z_t ⊙ h_{t−1} + (1 − z_t) ⊙ n_t"],
  };
  const OF_BLOCK = { i: "input_gate", f: "forget_gate", g: "content", o: "output_gate", z: "update_gate", r: "reset_gate", n: "candidate" };
  let state, language = "en", network, w, losses, address, built = {}, direction = [1, 0, 0, 1];

  const word = (key, ...filling) => words(language, key, ...filling);
  const marked = (text) => text.replace(/([_^])(?:\{([^}]*)\}|(.))/g, (_, mark, long, short) => {
    const tag = mark === "_" ? "sub" : "sup";
    return `<${tag}>${long ?? short}</${tag}>`;
  });
  const formula = (text) => `<span class="formula">${marked(text)}</span>`;
  const plain = (text) => text.replace(/[{}]/g, "").replace(/[_^]/g, " ");

  // "W_hh.1.2" is called W_{hh,12}, "h.3.1" h_{3,1}; "d:h.3.1" is the gradient dL/dh_{3,1}.
  function nameOf(key) {
    if (key === "rate") return word("rate");
    const [base, ...at] = key.replace("d:", "").split("."), [letter, block] = base.split("_");
    let name = `${letter}_{${at.join(",")}}`;
    if (base === "target") name = `${word("target")}_{${at}}`;
    if (base === "s") name = `tanh(c_{${at.join(",")}})`;
    if (block) name = letter === "a" ? `a^${block}_{${at.join(",")}}` : `${letter}_{${[block, at.join("")].filter(Boolean).join(",")}}`;
    if (base === "L" && !at.length) name = "L";
    return key.startsWith("d:") ? `dL/d${name}` : name;
  }

  const comma = (text) => (language === "fr" ? text.replace(".", ",") : text).replaceAll("-", "−");
  function format(value, digits = 4) {
    if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
    const size = Math.abs(value), before = Math.max(0, Math.floor(Math.log10(size)));
    if (size === 0 && digits > 2) return "0";
    if (digits > 2 && (size < 10 ** -digits || before > 4)) return comma(value.toExponential(1).replace("+", ""));
    return comma(value.toFixed(Math.max(0, size ? digits - before : digits)));
  }
  const short = (value) => comma(String(Math.abs(value) < 1e-4 ? Number(value.toPrecision(3)) : Number(value.toFixed(4))));
  const parsed = (text) => (text.trim() ? Number(text.trim().replace(",", ".").replaceAll("−", "-")) : NaN);

  const read = (key) => (key === "rate" ? state.rate : key.startsWith("d:") ? network.gradient(key.slice(2)) : network.value(key));
  const isGiven = (key) => /^(x\.|target|[WRb]|[hc]\.0\.|rate)/.test(key);
  const button = (key, more = "") => `<button type="button" class="number" data-key="${key}" ${more}></button>`;
  const number = (key, more) => !isGiven(key) ? button(key, more)
    : `<input class="number" data-key="${key}" role="spinbutton" inputmode="decimal" autocomplete="off" spellcheck="false">`;

  function shownSteps() {
    const from = Math.min(state.from, Math.max(1, state.steps - State.DRAWN + 1));
    const to = Math.min(state.steps, from + State.DRAWN - 1);
    return { from, to, steps: Array.from({ length: to - from + 1 + (from === 1) }, (_, n) => n + from - (from === 1)) };
  }

  function buildNumbers() {
    const { steps } = shownSteps(), { cell } = state, blocks = Network.BLOCKS[cell];
    const inside = cell === "elman" ? ["a", "d:a"]
      : [...(cell === "lstm" ? ["c", "d:c"] : []), ...blocks.flatMap((block) => [block, `d:a_${block}`])];
    const groups = [["target", "L", "y", "d:y"], ["h", "d:h"], inside, ["x"]].filter((rows) => rows.length);
    const cells = (row, t) => {
      const single = ["target", "L", "y"].includes(row.replace("d:", ""));
      const there = t > 0 || /^(d:)?[hc]$/.test(row);
      if (!there) return "<td colspan=2></td>";
      if (single) return `<td colspan=2 class=single>${number(`${row}.${t}`, "tabindex=-1")}</td>`;
      return [1, 2].map((j) => `<td>${number(`${row}.${t}.${j}`, "tabindex=-1")}</td>`).join("");
    };
    const named = (row) => `<th scope=row class=${row.startsWith("d:") ? "backward" : "forward"}>${formula(nameOf(`${row}.t`).replace("_{t}", "_t"))}</th>`;
    $("numbers").innerHTML = `<thead><tr><td></td>${steps.map((t) => `<th scope=col colspan=2>${formula(`t = ${t}`)}</th>`).join("")}</tr></thead>`
      + groups.map((rows) => `<tbody>${rows.map((row) => `<tr>${named(row)}${steps.map((t) => cells(row, t)).join("")}</tr>`).join("")}</tbody>`).join("");
  }

  function buildWeights() {
    const matrix = (name, from) => {
      const rows = from ? [1, 2] : [""], columns = ["b_y", "W_hy"].includes(name) ? [""] : [1, 2];
      const key = (i, j) => [name, i, j].filter(String).join(".");
      return `<table class=matrix><caption>${formula(name.replace(/_(..)$/, "_{$1}"))}</caption>${rows.map((i) =>
        `<tr>${from ? `<th scope=row>${formula(from(i))}</th>` : ""}${columns.map((j) => `<td>${number(key(i, j))}${button("d:" + key(i, j))}</td>`).join("")}</tr>`).join("")}</table>`;
    };
    const state_before = (i) => `h_{t−1,${i}}`;
    const block = (title, ...matrices) => `<div class=block>${title && `<h3>${title}</h3>`}${matrices.join("")}</div>`;
    $("weights").innerHTML = Network.BLOCKS[state.cell].map((name) => {
      const { W, R, b, B } = Network.namesOf(name);
      return block(name === "h" ? "" : `${formula(`${name}_t`)} ${word(OF_BLOCK[name])}`,
        matrix(W, (i) => `x_{t,${i}}`), matrix(R, state_before), matrix(b), ...(state.cell === "gru" ? [matrix(B)] : []));
    }).join("") + block(`${formula("y_t")} ${word("output")}`, matrix("W_hy", (i) => `h_{t,${i}}`), matrix("b_y"));
  }

  // A factor of a sum, as symbols and as numbers.
  function written({ id, as }) {
    const own = nameOf(id), [y, target] = [id.replace("L", "y"), id.replace("L", "target")];
    return {
      value: () => [own, button(id)],
      gradient: () => [nameOf("d:" + id), button("d:" + id)],
      rest: () => [`(1 − ${own})`, `(1 − ${button(id)})`],
      tanh: () => [`(1 − ${own}^2)`, `(1 − ${button(id)}²)`],
      sigmoid: () => [`${own} (1 − ${own})`, `${button(id)} · (1 − ${button(id)})`],
      "half square": () => [`(${nameOf(y)} − ${nameOf(target)})`, `(${button(y)} − ${button(target)})`],
    }[as]();
  }

  const sumOf = (key) => key.startsWith("d:") ? Network.sumOfGradient(network, key.slice(2)) : Network.sumOfValue(network, key);

  function line(key) {
    const { kind, terms } = sumOf(key);
    const term = (symbols, numbers) => `<span class=term>${formula(symbols)}<span class=numbers>${numbers}</span></span>`;
    const parts = terms.map(({ sign, factors }, n) => {
      const both = factors.map(written), plus = sign < 0 ? "−" : n ? "+" : "";
      return (plus && `<span class=numbers>${plus}</span>`) + term(both.map((b) => b[0]).join(" "), both.map((b) => b[1]).join(" · "));
    });
    const around = { tanh: ["tanh(", ")"], sigmoid: ["σ(", ")"], "half square": ["½ (", ")²"] }[kind];
    let sum = parts.join(" ");
    if (around) {
      const both = terms.map(({ factors }) => written(factors[0]));
      sum = term(around[0] + both.map((b) => b[0]).join(" − ") + around[1], around[0] + both.map((b) => b[1]).join(" − ") + around[1]);
    } else if (parts.length > 12) {
      const more = `<span>… ${word("more", parts.length - 8)} <span data-rest="${key}"></span> …</span>`;
      sum = [...parts.slice(0, 4), more, ...parts.slice(-4)].join(" ");
    }
    if (key === "d:L") sum = "";
    else if (!parts.length) sum = `<span>${word("unseen")}</span><span class=numbers>=</span>`;
    else sum += "<span class=numbers>=</span>";
    return `<div class=line>${formula(nameOf(key))}<span class=numbers>=</span>${sum}<span class=total>${button(key)}</span></div>`;
  }

  // The sum behind the number shown, after the one inside it where it is a function of one.
  function explain() {
    const key = state.show, id = key.replace("d:", ""), { nodes, places } = network, node = nodes[places.get(id)];
    const lines = [];
    if (key.startsWith("d:")) {
      const [user] = node.users;
      if (user && ["tanh", "sigmoid"].includes(nodes[user[0]].kind)) lines.push(line("d:" + nodes[user[0]].id));
      lines.push(line(key));
    } else if (node.kind === "given") {
      lines.push(`<div class=line>${formula(nameOf(key))}<span class=numbers>=</span>${number(key)}<span class=quiet>${word("given")}</span></div>`);
      if (!id.startsWith("target")) lines.push(line("d:" + key));
    } else {
      if (["tanh", "sigmoid"].includes(node.kind)) lines.push(line(nodes[node.terms[0][0].at].id));
      lines.push(line(key));
    }
    const html = lines.join(""); // without numbers: it stays, and keeps the focus
    if (html !== built.sum) $("sum").innerHTML = html;
    built.sum = html;
    for (const each of all("[data-rest]"))
      each.textContent = format(sumOf(each.dataset.rest).terms.slice(4, -4).reduce((all, { value }) => all + value, 0));
  }

  // Puts the number into its place, and lets it light up when the pass comes by.
  function paint(element, wave) {
    const { key } = element.dataset, value = read(key), inSum = element.closest("#sum");
    let text = isGiven(key) ? short(value) : format(value);
    if (inSum && !element.closest(".total") && value < 0 && element.closest(".term")) text = `(${text})`;
    if (element.tagName === "INPUT") {
      element.setAttribute("aria-valuenow", value);
      element.setAttribute("aria-label", plain(nameOf(key)));
      if (element.matches("[data-typed]")) return;
      if (element.value === text) return;
      element.value = text;
    } else {
      if (element.textContent === text) return;
      element.textContent = text;
      element.setAttribute("aria-label", `${plain(nameOf(key))} = ${text}`);
    }
    if (wave === undefined || inSum || key === "rate") return;
    const { from, to } = shownSteps(), [, t] = key.split("."), backward = key.startsWith("d:");
    const steps = /^(d:)?[WRb]/.test(key) ? to - from + 1 : t - from;
    const delay = wave * (backward ? 2 * (to - from + 1) - (/^d:[WRb]/.test(key) ? 0 : steps) : steps);
    element.animate([{ backgroundColor: "color-mix(in srgb, currentColor 30%, transparent)" }, {}], { delay: Math.max(0, delay), duration: 600 });
  }

  function update(wave) {
    network = Network.run({ ...state, w });
    if (!network.places.has(state.show.replace("d:", ""))) state.show = "L";
    const { from, steps } = shownSteps(), kind = [language, state.cell, state.loss].join();
    if (kind !== built.kind) { speak(); buildWeights(); }
    if (kind + steps !== built.kind + built.steps) buildNumbers();
    built = { ...built, kind, steps: String(steps) };
    explain();
    for (const element of all("[data-key]")) {
      paint(element, wave);
      element.toggleAttribute("aria-current", false);
      if (element.dataset.key === state.show && !element.closest("#sum")) element.setAttribute("aria-current", "true");
    }
    const stop = $("numbers").querySelector("[aria-current]") ?? $("numbers").querySelector("button");
    for (const each of $("numbers").querySelectorAll("button")) each.tabIndex = each === stop ? 0 : -1;
    for (const choice of ["cell", "loss", "language"]) for (const each of all(`[data-${choice}]`))
      each.setAttribute("aria-pressed", each.dataset[choice] === { ...state, language }[choice]);

    const matrix = Network.recurrentPlaces(state.cell).map((n) => w[n]), radius = Network.spectralRadius(matrix);
    if (radius > 0) direction = matrix.map((each) => each / radius);
    slide("steps", state.steps, state.steps);
    slide("radius", radius, format(radius, 2));
    $("from").max = state.steps - State.DRAWN + 1;
    slide("from", from, from);
    $("window").hidden = state.steps <= State.DRAWN;
    $("road").hidden = state.cell === "elman";
    $("undo").disabled = !state.trained;
    draw();
    clearTimeout(update.later);
    update.later = setTimeout(() => {
      address = State.toAddress(state, language);
      location.replace("#" + address);
    }, 300);
  }

  function slide(id, value, text) {
    if (Number($(id).value) !== value) $(id).value = value;
    $(id).nextElementSibling.value = text;
  }

  function draw() {
    const { from, to, steps } = shownSteps(), { norm } = network, T = state.steps;
    const norms = (name) => Array.from({ length: T }, (_, t) => norm(name, t + 1));
    const carries = state.cell === "lstm" ? norms("c") : [];
    $("bars").innerHTML = Charts.bars($("bars").clientWidth, norms("h"), carries, from, to);
    const of = (t) => `${formula(`|dL/dh_{${t}}|`)} = ${format(norm("h", t))}`;
    $("ratio").innerHTML = `${of(1)}, ${of(T)}<br>${word("ratio")}${language === "fr" ? "\u00a0" : ""}: <b>${format(norm("h", 1) / norm("h", T))}</b>`;
    const loss = network.value("L"), now = [...losses, loss];
    $("curve").innerHTML = Charts.curve($("curve").clientWidth, now);
    $("losses").innerHTML = `${formula("L")} = ${state.trained ? `${format(now[0])} → ` : ""}${format(loss)}, ${state.trained} ${word("iterations")}`;
    const look = getComputedStyle(document.documentElement), sizes = { names: parseInt(look.getPropertyValue("--names")), number: parseInt(look.getPropertyValue("--number")) };
    const { svg, width, height } = Charts.picture(network, state.cell, steps, sizes, format);
    $("picture").innerHTML = svg;
    $("picture").style.cssText = `width:${width}px;height:${height}px`;
    if ($("gradients").parentElement.open) {
      const row = (tag, numbers) => `<tr>${numbers.map((each) => `<${tag}>${each}</${tag}>`).join("")}</tr>`;
      const heads = ["t", "|dL/dh_t|", ...(carries.length ? ["|dL/dc_t|"] : [])].map(formula);
      $("gradients").innerHTML = `<table>${row("th", heads)}${norms("h").map((each, t) =>
        row("td", [t + 1, format(each), ...(carries.length ? [format(carries[t])] : [])])).join("")}</table>`;
    }
  }

  const say = (text) => { $("status").textContent = text; };
  function sayResult(key) {
    const edited = key ? `${plain(nameOf(key))} = ${short(read(key))}. ` : "";
    say(`${edited}L = ${format(network.value("L"))}. |dL/dh 1| = ${format(network.norm("h", 1))}.`);
  }

  // What is edited after training starts from the trained weights.
  function change(edits, wave, key) {
    start({ ...state, w, trained: 0, ...edits });
    update(wave);
    sayResult(key);
  }

  function start(found) {
    state = found;
    ({ w, losses } = Network.train(state, state.rate, state.trained));
    state.trained = losses.length;
  }

  function edit(key, value, wave) {
    const [name, t, i] = key.split("."), put = (list, at) => list.map((old, n) => (n === at ? value : old));
    const edits = key === "rate" ? { rate: Math.max(0, value) }
      : name === "x" ? { x: state.x.map((row, n) => (n === i - 1 ? put(row, t - 1) : row)) }
      : name === "target" ? { target: put(state.target, t - 1) }
      : { w: put(w, Network.weightIds(state.cell).indexOf(key)) };
    change(edits, wave, key);
  }

  function show(key) {
    if (key === "rate") return;
    state.show = key;
    update();
    say($("sum").innerText.replace(/\s+/g, " "));
  }

  function train(count) {
    const found = Network.train({ ...state, w }, state.rate, Math.min(count, 10000 - state.trained));
    w = found.w;
    losses.push(...found.losses);
    state.trained += found.losses.length;
    update(wave());
    if (found.losses.length < count && state.trained < 10000) say(word("not_finite"));
    else sayResult();
  }

  function load(text) {
    const { state: found, language: said, bad } = State.fromAddress(text);
    const asked = new URLSearchParams(location.search).get("lang");
    language = said ?? (Object.hasOwn(WORDS, asked ?? "") ? asked : language);
    start(found);
    update();
    if (bad.length) say(word("not_read", bad.join(", ")));
  }

  // Every word, in the language and for the cell.
  function speak() {
    document.documentElement.lang = language;
    document.title = word("title");
    $("flow-note").dataset.word = state.cell === "lstm" ? "flow_note_lstm" : "flow_note";
    for (const each of all("[data-word]"))
      each.innerHTML = word(each.dataset.word).replace(/\$([^$]*)\$/g, (_, inside) => formula(inside));
    for (const each of all("[data-label]")) each.setAttribute("aria-label", word(each.dataset.label));
    const loss = state.loss === "all" ? "L = Σ_t ½ (y_t − target_t)^2" : "L = ½ (y_T − target_T)^2";
    $("equations").innerHTML = [...EQUATIONS[state.cell], "y_t = h_t W_{hy} + b_y", loss.replaceAll("target", word("target"))].map(formula).join("");
    $("recurrent").innerHTML = formula({ elman: "W_{hh}", lstm: "R_g", gru: "R_n" }[state.cell]);
  }

  const quiet = matchMedia("(prefers-reduced-motion: reduce)");
  const wave = () => (quiet.matches ? undefined : 45);

  document.addEventListener("click", (event) => {
    const target = event.target.closest("button, [data-step], [data-pick]");
    if (!target) return;
    const { key, preset, cell, loss, train: count, language: spoken, step, pick } = target.dataset;
    const inSum = target.closest("#sum");
    if (key) show(key);
    if (inSum) $("sum").focus();
    if (pick) show(pick);
    if (preset) change(State.PRESETS[preset](), wave());
    if (cell) change(State.withCell({ ...state, w }, cell), wave());
    if (loss) change({ loss }, wave());
    if (count) train(Number(count));
    if (spoken) { language = spoken; update(); }
    if (step) {
      state.from = Math.max(1, step - 5);
      show(`d:h.${step}.1`);
      const [number, box] = [$("numbers").querySelector("[aria-current]"), $("unfolded")];
      box.scrollLeft += number.getBoundingClientRect().x - box.getBoundingClientRect().x - box.clientWidth / 2;
    }
    if (target.id === "undo") change({ w: state.w }, wave());
  });

  document.addEventListener("input", (event) => {
    const { id, value, dataset } = event.target;
    if (id === "steps") change({ steps: Number(value) });
    if (id === "from") { state.from = Number(value); update(); }
    if (id === "radius") {
      const matrix = direction.map((each) => Number((each * value).toFixed(6))), next = [...w];
      Network.recurrentPlaces(state.cell).forEach((n, k) => { next[n] = matrix[k]; });
      change({ w: next });
    }
    if (dataset.key) {
      event.target.dataset.typed = "";
      event.target.setAttribute("aria-invalid", !Number.isFinite(parsed(value)));
      if (Number.isFinite(parsed(value))) edit(dataset.key, parsed(value), wave());
      else say(word("not_a_number", value));
    }
  });

  document.addEventListener("focusin", ({ target }) => {
    if (!target.matches("input.number")) return;
    target.select();
    if (target.dataset.key !== state.show) show(target.dataset.key);
  });
  document.addEventListener("focusout", ({ target }) => {
    if (!target.matches("input.number")) return;
    delete target.dataset.typed;
    target.removeAttribute("aria-invalid");
    paint(target);
  });

  document.addEventListener("keydown", (event) => {
    const { target, key, shiftKey } = event;
    if (!target.matches(".number")) return;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
    const field = target.tagName === "INPUT";
    if (field && (key === "Enter" || key === "Escape")) { target.blur(); target.focus(); }
    if (field && dy) {
      event.preventDefault();
      delete target.dataset.typed;
      edit(target.dataset.key, Number((read(target.dataset.key) - dy * (shiftKey ? 1 : 0.1)).toFixed(6)), wave());
    } else if ((dx || dy) && target.closest("table")) {
      if (field && target.selectionEnd - target.selectionStart < target.value.length) return;
      const here = target.getBoundingClientRect();
      const way = (box) => [(box.x - here.x) * (dx || 1), (box.y - here.y) * (dy || 1)];
      const next = [...target.closest("table").querySelectorAll(".number")]
        .map((each) => ({ each, way: way(each.getBoundingClientRect()) }))
        .filter(({ way: [x, y] }) => (dx ? x > 1 && Math.abs(y) < 4 : y > 1 && Math.abs(x) < 60))
        .sort((a, b) => (dx ? a.way[0] - b.way[0] : a.way[1] - b.way[1] || Math.abs(a.way[0]) - Math.abs(b.way[0])))[0];
      if (next) { event.preventDefault(); next.each.focus(); }
    }
  });

  // A number is dragged like a slider: a pixel is 0.01. Without a movement it is a click.
  let drag;
  document.addEventListener("pointerdown", (event) => {
    const { target } = event;
    if (!target.matches("input.number") || target === document.activeElement || event.button) return;
    event.preventDefault();
    drag = { target, from: event.clientX, value: read(target.dataset.key), moved: false };
    target.setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", ({ clientX }) => {
    if (!drag || (!drag.moved && Math.abs(clientX - drag.from) < 4)) return;
    drag.moved = true;
    if (drag.target.dataset.key !== "rate") state.show = drag.target.dataset.key;
    edit(drag.target.dataset.key, Number((drag.value + (clientX - drag.from) / 100).toFixed(6)));
  });
  document.addEventListener("pointerup", () => { if (drag && !drag.moved) drag.target.focus(); drag = undefined; });
  document.addEventListener("pointercancel", () => { drag = undefined; });

  $("gradients").parentElement.addEventListener("toggle", draw);
  addEventListener("resize", () => draw());
  addEventListener("hashchange", () => { if (location.hash.slice(1) !== address) load(location.hash); });
  load(location.hash);
})();
