// Small charts in SVG: a line through time, intervals, shares. Each says in words what it shows and
// has its figures as a table beside it, for those who cannot or would not read a picture.

import { h, s, say, attr, table } from "./dom.js";
import { isNumber, tick, time } from "./format.js";

const LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LEVEL_OF = new Map([...LEVELS].map((letter, i) => [letter, i / (LEVELS.length - 1)]));

/** A trend of letters as a path; "" where there is nothing to draw. */
export function trendPath(letters, width, height) {
  if (!letters) return "";
  let path = "", isDown = false;
  const step = width / (letters.length - 1), room = height - 3;
  for (let i = 0; i < letters.length; i += 1) {
    const level = LEVEL_OF.get(letters[i]);
    if (level === undefined) { isDown = false; continue; }
    path += `${isDown ? "L" : "M"}${(i * step).toFixed(1)} ${(1.5 + (1 - level) * room).toFixed(1)}`;
    isDown = true;
  }
  return path;
}

const WIDTH = 720, HEIGHT = 200, LEFT = 62, RIGHT = 14, TOP = 12, BOTTOM = 24;

function nice(low, high, wanted = 4) {
  const span = high - low || Math.abs(high) || 1, rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((one) => one >= rough);
  const from = Math.floor(low / step) * step, ticks = [];
  for (let at = from; at < high + step * 0.999; at += step) ticks.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return ticks;
}

/** Lines through time. series: {name, values, tone, isStep, isDashed, isArea}; at: epoch seconds. */
export function lines({ title, summary, at, series, format, zero = false, columns }) {
  const shown = series.filter((one) => one.values.some(isNumber));
  if (at.length < 2 || !shown.length) {
    return h("figure", { class: "chart" }, h("figcaption", {}, title), h("p", { class: "quiet" }, "Not enough has happened yet: two decisions make a line."));
  }
  let low = Infinity, high = -Infinity;
  for (const one of shown) for (const value of one.values) if (isNumber(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  if (zero) { low = Math.min(low, 0); high = Math.max(high, 0); }
  const ticks = nice(low, high);
  low = ticks[0]; high = ticks.at(-1);
  const start = at[0], span = Math.max(at.at(-1) - start, 1e-6);
  const x = (t) => LEFT + ((t - start) / span) * (WIDTH - LEFT - RIGHT);
  const y = (v) => TOP + (1 - (v - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${summary}`, preserveAspectRatio: "none", class: "plot" });
  const labels = h("div", { class: "plot-labels", "aria-hidden": "true" });
  for (const value of ticks) {
    svg.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: value === 0 && low < 0 ? "axis" : "rule" }));
    labels.append(h("span", { class: "tick-y", style: { top: `${(y(value) / HEIGHT) * 100}%`, width: `${((LEFT - 8) / WIDTH) * 100}%` } }, format(value)));
  }
  const marks = 4;
  for (let i = 0; i <= marks; i += 1) {
    const t = start + (span * i) / marks;
    const place = i === 0 ? "start" : i === marks ? "end" : i % 2 ? "middle between" : "middle";
    labels.append(h("span", { class: `tick-x ${place}`, style: { left: `${(x(t) / WIDTH) * 100}%` } }, tick(t, span)));
  }
  for (const one of shown) {
    const d = path(one, at, x, y);
    if (one.isArea) svg.append(s("path", { d: `${d}L${x(at.at(-1))} ${y(Math.max(low, 0))}L${x(start)} ${y(Math.max(low, 0))}Z`, class: `area ${one.tone}` }));
    svg.append(s("path", { d, class: `line ${one.tone}${one.isDashed ? " dashed" : ""}`, "vector-effect": "non-scaling-stroke" }));
  }
  const hair = s("line", { y1: TOP, y2: HEIGHT - BOTTOM, class: "hair", "vector-effect": "non-scaling-stroke", visibility: "hidden" });
  svg.append(hair);
  const legend = h("div", { class: "legend" });
  const readings = shown.map((one) => {
    const value = h("b", {}, format(lastOf(one.values)));
    legend.append(h("span", { class: `key ${one.tone}${one.isDashed ? " dashed" : ""}` }, h("i", { "aria-hidden": "true" }), one.name, " ", value));
    return value;
  });
  const moment = h("span", { class: "moment" }, "now");
  legend.append(moment);
  const read = (i) => {
    shown.forEach((one, k) => say(readings[k], format(i === null ? lastOf(one.values) : one.values[i])));
    say(moment, i === null ? "now" : time(at[i]));
    attr(hair, "visibility", i === null ? "hidden" : "visible");
    if (i !== null) { attr(hair, "x1", x(at[i])); attr(hair, "x2", x(at[i])); }
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const t = start + (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * span;
    let near = 0;
    for (let i = 1; i < at.length; i += 1) if (Math.abs(at[i] - t) < Math.abs(at[near] - t)) near = i;
    read(near);
  });
  svg.addEventListener("pointerleave", () => read(null));
  const heads = [{ name: "Time" }, ...shown.map((one) => ({ name: one.name, kind: "number" })), ...(columns || []).map((one) => ({ name: one.name }))];
  const figures = () => table({
    caption: title, columns: heads,
    rows: at.map((t, i) => [time(t), ...shown.map((one) => format(one.values[i])), ...(columns || []).map((one) => one.values[i])]).reverse(),
  });
  return h("figure", { class: "chart" }, h("figcaption", {}, title), legend, h("div", { class: "plot-box" }, svg, labels), lazily("Figures", figures));
}

function path(one, at, x, y) {
  let d = "", before = null;
  one.values.forEach((value, i) => {
    if (!isNumber(value)) { before = null; return; }
    const px = x(at[i]).toFixed(1), py = y(value).toFixed(1);
    if (before === null) d += `M${px} ${py}`;
    else d += one.isStep ? `H${px}V${py}` : `L${px} ${py}`;
    before = value;
  });
  if (one.isStep && before !== null) d += `H${(WIDTH - RIGHT).toFixed(1)}`;
  return d;
}

const lastOf = (values) => values.findLast((value) => value !== undefined) ?? null;

/** A fold whose inside is made when it is opened. */
export function lazily(name, make) {
  const fold = h("details", { class: "figures" }, h("summary", {}, name));
  fold.addEventListener("toggle", () => { if (fold.open && fold.children.length === 1) fold.append(make()); });
  return fold;
}

/** Values with their intervals on one scale. rows: {name, value, low, high, tone, note}. */
export function intervals({ title, rows, format, note }) {
  const known = rows.filter((row) => isNumber(row.value));
  if (!known.length) return h("figure", { class: "chart" }, h("figcaption", {}, title), h("p", { class: "quiet" }, "No forecast yet."));
  const lows = known.map((row) => (isNumber(row.low) ? row.low : row.value)), highs = known.map((row) => (isNumber(row.high) ? row.high : row.value));
  const sorted = known.map((row) => Math.abs(row.value)).sort((a, b) => a - b);
  // One platform with hardly any data must not flatten the others: the scale ends at six times the middle one.
  const cap = Math.max(sorted[Math.floor(sorted.length / 2)] * 6, sorted.at(-1) * 1.15);
  const low = Math.max(Math.min(...lows, 0), -cap), high = Math.min(Math.max(...highs), cap);
  const place = (value) => Math.min(Math.max(((value - low) / (high - low || 1)) * 100, 0), 100);
  return h("figure", { class: "chart" }, h("figcaption", {}, title),
    h("div", { class: "intervals" }, rows.map((row) => {
      const words = isNumber(row.value) ? `${format(row.value)}, 95 % between ${format(row.low)} and ${format(row.high)}` : "no forecast yet";
      const bar = h("div", { class: "interval-track", role: "img", "aria-label": `${row.name}: ${words}` });
      if (isNumber(row.value)) {
        const from = place(isNumber(row.low) ? row.low : row.value), until = place(isNumber(row.high) ? row.high : row.value);
        bar.append(
          h("span", { class: `interval-bar ${row.tone || ""}`, style: { left: `${from}%`, width: `${Math.max(until - from, 0.4)}%` } }),
          h("span", { class: `interval-dot ${row.tone || ""}`, style: { left: `${place(row.value)}%` } }));
      }
      return h("div", { class: "interval" },
        h("span", { class: "interval-name" }, row.name),
        bar,
        h("span", { class: "interval-value" }, format(row.value), h("small", {}, isNumber(row.low) ? ` ${format(row.low)} – ${format(row.high)}` : "")));
    })), note ? h("p", { class: "quiet small" }, note) : null);
}

/** Shares of a whole as one bar. rows: {name, value, tone}. */
export function shares({ title, rows, format }) {
  const total = rows.reduce((sum, row) => sum + (isNumber(row.value) ? Math.max(row.value, 0) : 0), 0);
  if (!(total > 0)) return null;
  const words = rows.map((row) => `${row.name} ${format(row.value)}`).join(", ");
  return h("div", { class: "shares", role: "img", "aria-label": `${title}: ${words}` },
    rows.filter((row) => row.value > 0).map((row) =>
      h("span", { class: `share ${row.tone}`, style: { width: `${(row.value / total) * 100}%` }, title: `${row.name}: ${format(row.value)}` })));
}

/** A Pareto front: what each spend would bring, and where the campaign stands. */
export function front({ title, points, here, xName, yName, xFormat, yFormat }) {
  const known = points.filter((point) => isNumber(point.x) && isNumber(point.y)).sort((a, b) => a.x - b.x);
  if (known.length < 2) return null;
  const all = here ? [...known, here] : known;
  const xs = nice(0, Math.max(...all.map((p) => p.x))), ys = nice(Math.min(0, ...all.map((p) => p.y)), Math.max(...all.map((p) => p.y)));
  const x = (v) => LEFT + ((v - xs[0]) / (xs.at(-1) - xs[0])) * (WIDTH - LEFT - RIGHT);
  const y = (v) => TOP + (1 - (v - ys[0]) / (ys.at(-1) - ys[0])) * (HEIGHT - TOP - BOTTOM);
  const where = here ? ` It stands at ${xFormat(here.x)}, ${yFormat(here.y)}.` : "";
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", preserveAspectRatio: "none", "aria-label": `${title}: from ${xFormat(known[0].x)} for ${yFormat(known[0].y)} to ${xFormat(known.at(-1).x)} for ${yFormat(known.at(-1).y)}.${where}` });
  const labels = h("div", { class: "plot-labels", "aria-hidden": "true" });
  for (const v of ys) {
    svg.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v), class: "rule" }));
    labels.append(h("span", { class: "tick-y", style: { top: `${(y(v) / HEIGHT) * 100}%`, width: `${((LEFT - 8) / WIDTH) * 100}%` } }, yFormat(v)));
  }
  xs.forEach((v, i) => labels.append(h("span", { class: `tick-x ${i === 0 ? "start" : i === xs.length - 1 ? "end" : "middle"}`, style: { left: `${(x(v) / WIDTH) * 100}%` } }, xFormat(v))));
  svg.append(s("path", { d: known.map((p, i) => `${i ? "L" : "M"}${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`).join(""), class: "line tone-1", "vector-effect": "non-scaling-stroke" }));
  if (here) labels.append(h("span", { class: "here", style: { left: `${(x(here.x) / WIDTH) * 100}%`, top: `${(y(here.y) / HEIGHT) * 100}%` } }));
  const figures = () => table({ caption: title, columns: [{ name: xName, kind: "number" }, { name: yName, kind: "number" }], rows: known.map((p) => [xFormat(p.x), yFormat(p.y)]) });
  return h("figure", { class: "chart" }, h("figcaption", {}, title),
    h("div", { class: "legend" }, h("span", { class: "key tone-1" }, h("i", { "aria-hidden": "true" }), `${yName} by ${xName.toLowerCase()}`), here ? h("span", { class: "key here-key" }, h("i", { "aria-hidden": "true" }), "now") : null),
    h("div", { class: "plot-box" }, svg, labels), lazily("Figures", figures));
}
