// The arithmetic of the page, without the page: functions on plain arrays of numbers.
//
// Each number is a node: given, a sum of products, or a function of other nodes. The
// forward pass computes the nodes in order. The backward pass is the chain rule from the
// last node to the first: dL/dv is a sum over the nodes that use v. The sums that the page
// writes out are read off the same nodes, so that it shows what it computes.
"use strict";

const Network = (() => {
  // The blocks of the kernels from left to right, and the one that makes the new content.
  const BLOCKS = { elman: ["h"], lstm: ["i", "f", "g", "o"], gru: ["z", "r", "n"] };
  const CANDIDATE = { elman: "h", lstm: "g", gru: "n" };
  const UNITS = [1, 2];
  const product = (numbers) => numbers.reduce((all, number) => all * number, 1);

  // What the weights and the pre-activation of a block are called.
  function namesOf(block) {
    if (block === "h") return { W: "W_xh", R: "W_hh", b: "b_h", a: "a" };
    return { W: `W_${block}`, R: `R_${block}`, b: `b_${block}`, B: `b′_${block}`, a: `a_${block}` };
  }

  // Kernel, recurrent kernel, bias, output kernel, output bias, initial state and (LSTM)
  // initial carry, each row by row: the order of `get_weights` in keras_rnn.
  function weightIds(cell) {
    const names = BLOCKS[cell].map(namesOf);
    const row = (letter, i = "") =>
      names.flatMap((name) => UNITS.map((j) => `${name[letter]}${i}.${j}`));
    return [
      ...row("W", ".1"), ...row("W", ".2"), ...row("R", ".1"), ...row("R", ".2"),
      ...row("b"), ...(cell === "gru" ? row("B") : []),
      "W_hy.1", "W_hy.2", "b_y", "h.0.1", "h.0.2",
      ...(cell === "lstm" ? ["c.0.1", "c.0.2"] : []),
    ];
  }

  // The equations. A term is written "x.1.1*W_xh.1.1"; "~z.1.1" stands for 1 - z.
  const graphs = new Map();
  function build(cell, steps, lossAt) {
    const key = `${cell} ${steps} ${lossAt}`;
    if (graphs.has(key)) return graphs.get(key);
    const nodes = [], places = new Map();
    const factor = (text) => ({ at: places.get(text.replace("~", "")), rest: text[0] === "~" });
    function add(id, kind, ...terms) {
      places.set(id, nodes.length);
      terms = terms.map((term) => term.split("*").map(factor));
      terms.forEach((term, t) =>
        term.forEach(({ at }, f) => nodes[at].users.push([nodes.length, t, f])));
      nodes.push({ id, kind, terms, users: [] });
    }
    for (const id of weightIds(cell)) add(id, "given");
    const input = (name, t, j) => UNITS.map((i) => `x.${t}.${i}*${name.W}.${i}.${j}`);
    const recurrent = (name, t, j) => UNITS.map((i) => `h.${t - 1}.${i}*${name.R}.${i}.${j}`);
    for (let t = 1; t <= steps; t++) {
      for (const id of [`x.${t}.1`, `x.${t}.2`, `target.${t}`]) add(id, "given");
      for (const block of BLOCKS[cell]) {
        const name = namesOf(block), kind = block in { h: 0, g: 0, n: 0 } ? "tanh" : "sigmoid";
        for (const j of UNITS) {
          let terms = [...input(name, t, j), ...recurrent(name, t, j), `${name.b}.${j}`];
          if (cell === "gru") {
            terms = [...input(name, t, j), `${name.b}.${j}`];
            const after = [...recurrent(name, t, j), `${name.B}.${j}`];
            if (block === "n") add(`m.${t}.${j}`, "sum", ...after); // the reset gate scales it
            terms.push(...(block === "n" ? [`r.${t}.${j}*m.${t}.${j}`] : after));
          }
          add(`${name.a}.${t}.${j}`, "sum", ...terms);
          add(`${block}.${t}.${j}`, kind, `${name.a}.${t}.${j}`);
        }
      }
      for (const j of UNITS) {
        const at = `.${t}.${j}`, before = `.${t - 1}.${j}`;
        if (cell === "lstm") {
          add("c" + at, "sum", `f${at}*c${before}`, `i${at}*g${at}`);
          add("s" + at, "tanh", "c" + at);
          add("h" + at, "sum", `o${at}*s${at}`);
        }
        if (cell === "gru") add("h" + at, "sum", `z${at}*h${before}`, `~z${at}*n${at}`);
      }
      add(`y.${t}`, "sum", `h.${t}.1*W_hy.1`, `h.${t}.2*W_hy.2`, "b_y");
      add(`L.${t}`, "half square", `y.${t}`, `target.${t}`);
    }
    const all = Array.from({ length: steps }, (_, t) => `L.${t + 1}`);
    add("L", "sum", ...(lossAt === "last" ? all.slice(-1) : all));
    const graph = { nodes, places };
    if (graphs.size > 50) graphs.clear();
    graphs.set(key, graph);
    return graph;
  }

  // What node n passes back to factor f of its term t: dn/d(factor).
  function slope({ nodes, values }, n, t, f) {
    const { kind, terms } = nodes[n];
    if (kind === "tanh") return 1 - values[n] * values[n];
    if (kind === "sigmoid") return values[n] * (1 - values[n]);
    if (kind === "half square") return (t ? -1 : 1) * (values[terms[0][0].at] - values[terms[1][0].at]);
    let found = terms[t][f].rest ? -1 : 1;
    terms[t].forEach(({ at, rest }, k) => {
      if (k !== f) found *= rest ? 1 - values[at] : values[at];
    });
    return found;
  }

  // Both passes. `w` as in `weightIds`; `x` has two rows, one for each input, over the
  // steps; `target` one number for each step; `loss` is "all" or "last".
  function run({ cell, steps, loss, w, x, target }) {
    const { nodes, places } = build(cell, steps, loss);
    const values = new Float64Array(nodes.length), gradients = new Float64Array(nodes.length);
    const network = { nodes, places, values, gradients };
    values.set(w);
    for (let t = 1; t <= steps; t++) {
      for (const i of UNITS) values[places.get(`x.${t}.${i}`)] = x[i - 1][t - 1];
      values[places.get(`target.${t}`)] = target[t - 1];
    }
    nodes.forEach(({ kind, terms }, n) => {
      if (kind === "given") return;
      const first = values[terms[0][0].at];
      if (kind === "tanh") values[n] = Math.tanh(first);
      else if (kind === "sigmoid") values[n] = 1 / (1 + Math.exp(-first));
      else if (kind === "half square") values[n] = (first - values[terms[1][0].at]) ** 2 / 2;
      else
        for (const term of terms) {
          let part = 1;
          for (const { at, rest } of term) part *= rest ? 1 - values[at] : values[at];
          values[n] += part;
        }
    });
    gradients[nodes.length - 1] = 1;
    for (let n = nodes.length - 1; n >= 0; n--) {
      if (gradients[n] === 0) continue;
      nodes[n].terms.forEach((term, t) =>
        term.forEach(({ at }, f) => { gradients[at] += gradients[n] * slope(network, n, t, f); }));
    }
    network.value = (id) => values[places.get(id)];
    network.gradient = (id) => gradients[places.get(id)];
    network.norm = (name, t) => Math.hypot(...UNITS.map((j) => network.gradient(`${name}.${t}.${j}`)));
    return network;
  }

  // The sum behind a value: {kind, terms}, a term being {sign, factors, value}, a factor
  // {id, as}, with `as` "value" or "rest" (1 - the value).
  function sumOfValue({ nodes, places, values }, id) {
    const { kind, terms } = nodes[places.get(id)];
    return {
      kind,
      terms: terms.map((term) => ({
        sign: 1,
        factors: term.map(({ at, rest }) => ({ id: nodes[at].id, as: rest ? "rest" : "value" })),
        value: product(term.map(({ at, rest }) => (rest ? 1 - values[at] : values[at]))),
      })),
    };
  }

  // The sum behind a gradient, likewise. Its factors are also given `as` "gradient", or as
  // the slope of what made them: "tanh", "sigmoid", "half square".
  function sumOfGradient(network, id) {
    const { nodes, places, gradients } = network;
    const terms = nodes[places.get(id)].users.map(([n, t, f]) => {
      const { id: user, kind, terms: of } = nodes[n], others = [];
      of[t].forEach(({ at, rest }, k) => {
        if (k !== f) others.push({ id: nodes[at].id, as: rest ? "rest" : "value" });
      });
      if (kind !== "sum") others.push({ id: user, as: kind });
      const before = kind === "half square" ? [] // dL/dL = 1 goes without saying
        : [{ id: user, as: "gradient" }];
      return {
        sign: of[t][f].rest || (kind === "half square" && t) ? -1 : 1,
        // As one writes it: of a weight, first what it multiplied.
        factors: /^[WR]/.test(id) ? [...others, ...before] : [...before, ...others],
        value: gradients[n] * slope(network, n, t, f),
      };
    });
    const unseen = /^(y|target)\./.test(id) && !gradients[places.get(`L.${id.split(".")[1]}`)];
    return { kind: "sum", terms: unseen ? [] : terms };
  }

  // Gradient descent, weight minus rate times gradient. Stops before what is not finite.
  function train(problem, rate, count) {
    const losses = [];
    let w = [...problem.w];
    while (losses.length < count) {
      const { gradients, values } = run({ ...problem, w });
      const next = w.map((weight, n) => weight - rate * gradients[n]);
      if (!next.every(Number.isFinite)) break;
      losses.push(values[values.length - 1]);
      w = next;
    }
    return { w, losses };
  }

  // The largest absolute value of the eigenvalues of the matrix with the rows (a, b), (c, d).
  function spectralRadius([a, b, c, d]) {
    const half = (a + d) / 2, inside = half * half - (a * d - b * c);
    return inside < 0 ? Math.hypot(half, Math.sqrt(-inside)) : Math.abs(half) + Math.sqrt(inside);
  }

  // Where the recurrent matrix of the new content stands in `w`: W_hh, R_g or R_n.
  function recurrentPlaces(cell) {
    const { R } = namesOf(CANDIDATE[cell]), ids = weightIds(cell);
    return ["1.1", "1.2", "2.1", "2.2"].map((place) => ids.indexOf(`${R}.${place}`));
  }

  return {
    BLOCKS, CANDIDATE, namesOf, weightIds, run, train, sumOfValue, sumOfGradient,
    spectralRadius, recurrentPlaces,
  };
})();
