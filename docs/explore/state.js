// What the page shows, as one object; the networks to start from; the object as an address.
"use strict";

const State = (() => {
  const LONGEST = 100, DRAWN = 12; // steps

  // The last number given holds for all further steps.
  const filled = (given) => Array.from({ length: LONGEST }, (_, t) => given[Math.min(t, given.length - 1)]);
  const trimmed = (all) => {
    let end = all.length;
    while (end > 1 && all[end - 1] === all[end - 2]) end--;
    return all.slice(0, end);
  };

  function elman(W_hh, b_h, h_0, rest) {
    const w = [0.5, -0.3, 0.8, 0.2, ...W_hh, ...b_h, 0.9, -0.4, 0.2, ...h_0];
    return { cell: "elman", w, x: [filled([0]), filled([0])], target: filled([1]), loss: "last",
      rate: 0.1, trained: 0, from: 1, show: "d:h.1.1", ...rest };
  }
  const GROWS = [1.3, 0.2, -0.1, 0.6], ONE_INPUT = [filled([1, 0]), filled([0.5, 0])];
  const PRESETS = {
    lesson: () => elman([0.1, 0.4, -0.6, 0.7], [0.1, -0.2], [0.3, -0.5], {
      steps: 3, x: [filled([1, -0.5, 0.2, 0]), filled([0.5, 1, -1, 0])], target: filled([1, 0.5]),
      loss: "all", show: "h.1.1",
    }),
    vanishes: () => elman([0.6, 0.3, -0.3, 0.6], [0, 0], [0.3, -0.5], { steps: 30, x: ONE_INPUT }),
    explodes: () => elman(GROWS, [0, 0], [0.0001, 0], { steps: 30 }),
    saturated: () => elman(GROWS, [2, -2], [0.3, -0.5], { steps: 12, x: ONE_INPUT, show: "d:a.1.1" }),
    keeps: () => {
      const state = withCell(PRESETS.vanishes(), "gru");
      state.w[Network.weightIds("gru").indexOf("b_z.1")] = 5;
      state.w[Network.weightIds("gru").indexOf("b_z.2")] = 5;
      return { ...state, steps: LONGEST, show: "h.1.1" };
    },
  };

  // The same network with another cell: the new content and what else both have is kept;
  // each gate starts with its bias alone, as in Keras (1 for the forget gate, else 0).
  function withCell(state, cell) {
    const rename = (id, one, other) =>
      ["W", "R", "b"].reduce((name, letter) => {
        const [from, to] = [one, other].map((c) => Network.namesOf(Network.CANDIDATE[c])[letter]);
        return name.startsWith(from + ".") ? to + name.slice(from.length) : name;
      }, id);
    const old = Network.weightIds(state.cell);
    const w = Network.weightIds(cell).map((id) => {
      const at = old.indexOf(rename(id, cell, state.cell));
      return at >= 0 ? state.w[at] : id.startsWith("b_f.") ? 1 : 0;
    });
    return { ...state, cell, w };
  }

  // The address: what stands after the #. Keys are short, numbers are written in full.
  function toAddress(state, language) {
    const { cell, steps, loss, rate, trained, from, show, w, x, target } = state;
    const list = (numbers) => numbers.join(",");
    const parts = { lang: language, cell, T: steps, L: loss, rate, trained, from, show, w: list(w),
      x1: list(trimmed(x[0])), x2: list(trimmed(x[1])), target: list(trimmed(target)) };
    return Object.entries(parts).map(([key, value]) => `${key}=${encodeURI(value)}`).join("&");
  }

  // Reads an address, over the state of lesson 03. `bad` names what could not be read.
  function fromAddress(address) {
    const bad = [], state = PRESETS.lesson(), given = {};
    for (const part of address.replace(/^#/, "").split("&").filter(Boolean)) {
      const [key, value = ""] = part.split("=");
      try { given[key] = decodeURIComponent(value); } catch { bad.push(key); }
    }
    function take(key, read, valid) {
      if (!(key in given)) return undefined;
      const value = read(given[key]);
      if (valid(value)) return value;
      bad.push(key);
      return undefined;
    }
    const numbers = (text) => text.split(",").map((number) => (number.trim() ? Number(number) : NaN));
    const whole = (low, high) => [Number, (n) => Number.isInteger(n) && n >= low && n <= high];
    const some = (count) => (list) => list.length >= 1 && list.length <= count && list.every(Number.isFinite);
    const cell = take("cell", String, (name) => Object.hasOwn(Network.BLOCKS, name));
    if (cell) Object.assign(state, withCell(state, cell));
    state.steps = take("T", ...whole(1, LONGEST)) ?? state.steps;
    state.loss = take("L", String, (name) => ["all", "last"].includes(name)) ?? state.loss;
    state.rate = take("rate", Number, (rate) => Number.isFinite(rate) && rate >= 0) ?? state.rate;
    state.trained = take("trained", ...whole(0, 10000)) ?? 0;
    state.from = take("from", ...whole(1, LONGEST)) ?? 1;
    const count = Network.weightIds(state.cell).length;
    state.w = take("w", numbers, (list) => list.length === count && some(count)(list)) ?? state.w;
    for (const i of [0, 1]) {
      const row = take(`x${i + 1}`, numbers, some(LONGEST));
      if (row) state.x[i] = filled(row);
    }
    const target = take("target", numbers, some(LONGEST));
    if (target) state.target = filled(target);
    const { places } = Network.run(state);
    state.show = take("show", String, (id) => places.has(id.replace(/^d:/, ""))) ?? state.show;
    if (!places.has(state.show.replace(/^d:/, ""))) state.show = "L";
    const language = take("lang", String, (name) => Object.hasOwn(WORDS, name));
    return { state, language, bad };
  }

  return { LONGEST, DRAWN, PRESETS, withCell, toAddress, fromAddress };
})();
