// The drawings, as SVG in strings: the unfolded network, the bars, the curve.
"use strict";

const Charts = (() => {
  const clip = (value, low, high) => Math.min(high, Math.max(low, value));
  const line = (look, x1, y1, x2, y2, width) =>
    `<line class="${look}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"${width === undefined ? "" : ` stroke-width="${width.toFixed(2)}"`}/>`;

  // Where the powers of ten stand: at least three of them, and at most 24.
  function decades(values, top, bottom) {
    const logs = values.filter((v) => v > 0 && v < Infinity).map(Math.log10);
    const high = logs.length ? Math.ceil(Math.max(...logs)) : 0;
    const low = clip(logs.length ? Math.floor(Math.min(...logs)) : -3, high - 24, high - 3);
    const level = (v) => (v > 0 ? clip(bottom - ((Math.log10(v) - low) / (high - low)) * (bottom - top), top, bottom) : bottom);
    const every = Math.ceil((high - low) / 6);
    const marks = [];
    for (let ten = high; ten >= low; ten -= every) marks.push(ten);
    return { level, marks };
  }

  function grid(marks, level, left, right) {
    return marks.map((ten) => {
      const y = level(10 ** ten);
      return `${line("grid", left, y, right, y)}<text x="${left - 6}" y="${y + 4}" text-anchor="end">10<tspan dy="-4" class="power">${String(ten).replace("-", "−")}</tspan></text>`;
    }).join("");
  }

  // |dL/dh_t| of each step as bars, those of c as dots; a bracket below the steps drawn.
  function bars(width, norms, carries, from, to) {
    const left = 44, right = width - 12, top = 12, bottom = 150, count = norms.length;
    const { level, marks } = decades([...norms, ...carries], top, bottom);
    const wide = (right - left) / count, bar = Math.min(36, wide * 0.8);
    let svg = grid(marks, level, left, right);
    norms.forEach((norm, t) => {
      const x = left + t * wide, y = level(norm);
      svg += `<rect class="bar" x="${x + (wide - bar) / 2}" y="${y}" width="${bar}" height="${bottom - y}"/>`;
      if (carries.length) svg += `<circle class="dot" cx="${x + wide / 2}" cy="${level(carries[t])}" r="${clip(wide / 4, 1.5, 3.5)}"/>`;
      svg += `<rect class="hit" data-step="${t + 1}" x="${x}" y="0" width="${wide}" height="180"/>`;
      const every = [1, 2, 5, 10, 20].find((n) => n * wide > 22);
      if ((t + 1) % every === 0 || t === 0) svg += `<text x="${x + wide / 2}" y="168" text-anchor="middle">${t + 1}</text>`;
    });
    if (to - from + 1 < count) svg += line("bracket", left + (from - 1) * wide, bottom + 3, left + to * wide, bottom + 3);
    return svg;
  }

  function curve(width, losses) {
    const left = 44, right = width - 12, top = 12, bottom = 150;
    const { level, marks } = decades(losses, top, bottom);
    const at = (n) => left + ((right - left) * n) / Math.max(1, losses.length - 1);
    const points = losses.map((loss, n) => `${at(n).toFixed(1)},${level(loss).toFixed(1)}`);
    const [x, y] = points[points.length - 1].split(",");
    return `${grid(marks, level, left, right)}<polyline class="curve" points="${points.join(" ")}"/>
      <circle class="end" cx="${x}" cy="${y}" r="3.5"/>
      <text x="${left}" y="168">0</text><text x="${right}" y="168" text-anchor="end">${losses.length - 1}</text>`;
  }

  // The network over the table of its numbers: the columns are the same. `sizes` has the
  // widths of the column of names and of one number.
  function picture(network, cell, steps, sizes, format) {
    const step = 2 * sizes.number, radius = 19;
    const levels = { y: [24], h: [84, 130], c: [188, 226], band: cell === "lstm" ? 264 : 168, x: cell === "lstm" ? [302, 302] : [208, 208] };
    const place = (name, t, j) => [
      sizes.names + steps.indexOf(t) * step + (name === "y" ? 0.5 : j / 2 - 0.25) * step,
      levels[name][name === "y" ? 0 : j - 1],
    ];
    const { value, norm } = network, names = Network.namesOf(Network.CANDIDATE[cell]);
    const weighted = (id, from, to) => {
      const size = Math.abs(value(id));
      return size ? line(value(id) < 0 ? "edge negative" : "edge", ...from, ...to, clip(0.6 + 2 * size, 0.6, 5)) : "";
    };
    const reach = Math.max(...steps.map((t) => norm("h", t)).filter(Number.isFinite), 1e-300);
    const width = (t) => clip(8 + 2.5 * Math.log10(norm("h", t) / reach), 0.5, 8);
    let under = "", edges = "", discs = "";
    for (const t of steps) {
      const before = steps.includes(t - 1), last = steps[steps.length - 1] === t;
      if (before) {
        const [a] = place("h", t - 1, 2), [b] = place("h", t, 2), y = levels.band, [n, o] = [width(t - 1), width(t)];
        under += `<path class="stream" d="M${a},${y - n}L${b},${y - o}V${y + o}L${a},${y + n}z"/>`;
        under += `<path class="head" d="M${(a + b) / 2 + 4},${y - 5}l-8,5 8,5"/>`;
      }
      for (const j of [1, 2]) {
        const here = place("h", t, j), content = place(cell === "lstm" ? "c" : "h", t, j);
        const road = { lstm: ["c", `f.${t}.${j}`], gru: ["h", `z.${t}.${j}`] }[cell];
        if (before && road) under += line("road", ...place(road[0], t - 1, j), ...place(road[0], t, j), 20 * value(road[1]));
        if (before) for (const i of [1, 2]) edges += weighted(`${names.R}.${i}.${j}`, place("h", t - 1, i), content);
        if (cell === "lstm") edges += line("edge", ...place("c", t, j), ...here, 1.2);
        if (t > 0) {
          for (const i of [1, 2]) edges += weighted(`${names.W}.${i}.${j}`, place("x", t, i), content);
          edges += weighted(`W_hy.${j}`, here, place("y", t));
        }
        discs += disc(`h.${t}.${j}`, here);
        if (cell === "lstm") discs += disc(`c.${t}.${j}`, place("c", t, j));
        if (t > 0) discs += disc(`x.${t}.${j}`, place("x", t, j));
      }
      if (t > 0) discs += disc(`y.${t}`, place("y", t));
    }
    function disc(id, [x, y]) {
      const depth = clip(Math.abs(value(id)), 0, 1), r = id[0] === "c" ? 5 : radius;
      const shape = `x="${x - radius}" y="${y - 15}" width="${2 * radius}" height="30" rx="${r}"`;
      return `<g class="disc" data-pick="${id}"><rect class="ground" ${shape}/><rect class="tint" ${shape} fill-opacity="${(0.32 * depth).toFixed(2)}"/>
        <text x="${x}" y="${y + 4}" text-anchor="middle">${format(value(id), 2)}</text></g>`;
    }
    const label = (name, y) => `<text class="name" x="8" y="${y + 4}">${name}<tspan font-size="11" dy="4">t</tspan></text>`;
    const labels = label("y", 24) + label("h", 107) + label("x", levels.x[0]) + (cell === "lstm" ? label("c", 207) : "");
    return { svg: under + edges + discs + labels, width: sizes.names + steps.length * step, height: levels.x[0] + 26 };
  }

  return { bars, curve, picture };
})();
