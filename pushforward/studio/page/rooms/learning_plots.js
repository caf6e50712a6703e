// What a model of points in the plane looks like, and how far it is from the data, as plots.

import { category, themed } from "../colours.js";
import { check, field, h, select } from "../elements.js";
import { Plot, label, rangeOf } from "../plot.js";

/**
 * @typedef {import("../socket.js").NamedArray} NamedArray
 * @typedef {import("../plot.js").Mark} Mark
 * @typedef {{samples: number, terms: Record<string, number | null>}} Report
 * @typedef {{samples: number, energy: number, kl: number, js: number, modes?: number, of?: number, good?: number}} Measure
 */

const LAYERS = /** @type {Record<string, string>} */ ({
  data: "Data", samples: "Samples", rebuilt: "Data, encoded and decoded", critic: "Critic's output", density: "Log density", clusters: "Clusters",
  components: "Components", centres: "Centres", manifold: "Generator's grid", gradients: "Gradient at samples", codes: "Codes of data", posterior: "Posteriors of codes",
});
const TRAIL = 200;
const UNSEEN = 0.25; // of the largest term: what is smaller is drawn in a plot of its own
const WHITE = "#ffffff";

/** @param {(shown: string) => void} remembered */
export function planePlots(/** @type {string} */ chosen, remembered) {
  /** What the user switched on or off, by layer. @type {Map<string, boolean>} */
  const switched = new Map(chosen.split(",").filter(Boolean).map((name) => (name[0] === "-" ? [name.slice(1), false] : [name, true])));
  /** @type {string[]} */
  let able = [];
  /** Places of components or centres so far, each a path. @type {number[][]} */
  let trails = [];
  /** @type {() => void} */
  let redraw = () => {};

  const plane = new Plot({ title: "Data and model", x: "x", y: "y", equal: true });
  const codes = new Plot({ title: "Codes", x: "first code", y: "second code", equal: true });
  const codeCard = h("section", { class: "card", hidden: true, id: "codes" }, codes.element);
  const layers = h("div", { class: "fields" });

  /** @param {string} name */
  function usual(name) {
    if (name === "gradients") return false;
    if (name === "manifold") return !able.includes("critic");
    if (name === "clusters") return !able.includes("density");
    return name !== "rebuilt" || !able.includes("samples");
  }
  const shown = (/** @type {string} */ name) => switched.get(name) ?? usual(name);

  /** @param {any} facts  of a fit */
  function begin(facts) {
    able = ["data", ...facts.layers].filter((name) => LAYERS[name]);
    trails = [];
    plane.look.x = facts.names?.[0] || "x";
    plane.look.y = facts.names?.[1] || "y";
    layers.replaceChildren(...able.map((name) => check(LAYERS[name], shown(name), (on) => {
      switched.set(name, on);
      remembered([...switched].map(([key, yes]) => (yes ? key : `-${key}`)).join(","));
      redraw();
    })));
  }

  /** @param {Record<string, NamedArray>} arrays @param {any} facts */
  function draw(arrays, facts) {
    redraw = () => draw(arrays, facts);
    /** @type {Mark[]} */
    const marks = [];
    const of = (/** @type {string} */ name) => (shown(name) ? arrays[name] : undefined);
    const critic = of("critic"), density = of("density"), clusters = of("clusters"), manifold = of("manifold"), data = of("data"), samples = of("samples"), rebuilt = of("rebuilt"), gradients = of("gradients"), components = of("components"), centres = of("centres");
    const dark = density ? WHITE : themed("ink");
    if (critic) marks.push(heatOf(critic, "diverging", "critic"));
    if (density) marks.push(heatOf(density, "rising", "log density (nats)"));
    if (clusters) marks.push({ kind: "heat", values: clusters.values, width: clusters.shape[1], height: clusters.shape[0], scale: { kind: "categories", low: 0, high: 1 }, name: "clusters" });
    if (manifold) marks.push({ kind: "lines", lines: meshLines(manifold), colour: themed("soft"), width: 0.8, alpha: 0.9, name: "grid of codes" });
    if (data) marks.push({ kind: "points", xy: data.values, colour: density ? WHITE : themed("edge"), size: 1.6, alpha: 0.55, name: "data" });
    if (rebuilt) marks.push({ kind: "points", xy: rebuilt.values, colour: category(2), size: 2, alpha: 0.8, name: "decoded" });
    if (samples) marks.push({ kind: "points", xy: samples.values, colour: category(1), size: 2, alpha: 0.8, name: "samples" });
    if (gradients) marks.push(arrowsOf(gradients.values));
    if (components) {
      const places = follow(components.values, 7, 1);
      marks.push({ kind: "lines", lines: trails, colour: dark, width: 1, alpha: 0.45 });
      marks.push({ kind: "lines", lines: outlines(components.values, 1), colour: dark, width: 2, close: true, name: "1 sd" });
      marks.push({ kind: "lines", lines: outlines(components.values, 2), colour: dark, width: 1.3, close: true, dash: [5, 4], name: "2 sd" });
      marks.push({ kind: "points", xy: places, colour: dark, size: 5, name: "means" });
    }
    if (centres) {
      const places = follow(centres.values, 2, 0);
      marks.push({ kind: "lines", lines: trails, colour: dark, width: 1.2, alpha: 0.6, name: "their way" });
      marks.push({ kind: "points", xy: places, colour: dark, size: 7, name: "centres" });
    }
    plane.show({ x: [facts.low[0], facts.high[0]], y: [facts.low[1], facts.high[1]], marks });
    drawCodes(of("codes"), of("posterior"));
  }

  /** Lengthen the trails if places moved. @param {ArrayLike<number>} values @param {number} width @param {number} at */
  function follow(values, width, at) {
    /** @type {number[]} */
    const places = [];
    for (let k = 0; k + width <= values.length; k += width) places.push(values[k + at], values[k + at + 1]);
    if (trails.length !== places.length / 2) trails = Array.from({ length: places.length / 2 }, () => []);
    const moved = trails.some((trail, k) => trail.at(-2) !== places[2 * k] || trail.at(-1) !== places[2 * k + 1]);
    if (moved) trails = trails.map((trail, k) => [...trail, places[2 * k], places[2 * k + 1]].slice(-2 * TRAIL));
    return places;
  }

  /** @param {NamedArray | undefined} points @param {NamedArray | undefined} posterior */
  function drawCodes(points, posterior) {
    const planar = points && points.shape[1] === 2 ? points : undefined;
    codeCard.hidden = !planar && !posterior;
    if (codeCard.hidden) return;
    /** @type {Mark[]} */
    const marks = [];
    let reach = 1;
    for (const v of planar?.values ?? []) if (Number.isFinite(v)) reach = Math.max(reach, Math.abs(v));
    if (posterior) {
      reach = Math.max(reach, 3);
      marks.push({ kind: "lines", lines: ellipses(posterior.values), colour: category(0), width: 1, alpha: 0.7, close: true, name: "q(z|x), 1 sd" });
      marks.push({ kind: "lines", lines: ellipses([0, 0, 1, 1]), colour: themed("ink"), dash: [4, 3], name: "prior, 1 sd" });
    }
    if (planar) marks.push({ kind: "points", xy: planar.values, colour: posterior ? themed("soft") : category(0), size: 2, alpha: 0.7, name: "codes of data" });
    const side = 1.1 * Math.min(reach, 1e6);
    codes.show({ x: [-side, side], y: [-side, side], marks });
  }

  return { plane, codeCard, layers, begin, draw, wanted: () => able.filter((name) => name !== "data" && shown(name)) };
}

const DISTANCES = /** @type {Record<string, {title: string, y: string, note: string}>} */ ({
  energy: { title: "Energy distance", y: "energy distance", note: "Each column in standard deviations of the data; 0 for equal distributions." },
  kl: { title: "Kullback–Leibler divergence", y: "KL(data ‖ samples), nats", note: "Of histograms of 30 × 30 cells, .1 points added to each; the dashed line is what two sets of data have." },
  js: { title: "Jensen–Shannon divergence", y: "JS, nats", note: "Of histograms of 30 × 30 cells, at most ln 2 = .69; the dashed line is what two sets of data have." },
});

/** Plots of measures over time. @param {string} chosen @param {(name: string) => void} remembered */
export function measurePlots(chosen, remembered) {
  let name = DISTANCES[chosen] ? chosen : "energy";
  const distance = new Plot({ title: "Distance of samples from data", x: "samples seen", y: "" });
  const modes = new Plot({ title: "Modes covered", x: "samples seen", y: "modes" });
  const losses = new Plot({ title: "Loss or objective", x: "samples seen", y: "" });
  const smaller = new Plot({ title: "Smaller terms", x: "samples seen", y: "" });
  const note = h("p", { class: "note" });
  const options = Object.entries(DISTANCES).map(([key, { title }]) => /** @type {[string, string]} */ ([key, title]));
  /** @type {() => void} */
  let redraw = () => {};
  const chooser = field("Measure", select(options, name, (next) => { name = next; remembered(next); redraw(); }));
  const distanceCard = h("section", { class: "card" }, chooser, distance.element, note), modeCard = h("section", { class: "card", hidden: true }, modes.element);
  const lossCard = h("section", { class: "card" }, losses.element), smallerCard = h("section", { class: "card", hidden: true, id: "smaller-terms" }, smaller.element);

  /** @param {Measure[]} measures @param {any} facts @param {boolean} planar */
  function draw(measures, facts, planar) {
    redraw = () => draw(measures, facts, planar);
    distanceCard.hidden = !planar || (measures.length === 0 && facts.layers && !facts.layers.includes("samples"));
    modeCard.hidden = !planar || !measures.some((m) => m.modes !== undefined);
    const x = rangeOf(measures.map((m) => m.samples)), key = /** @type {"energy" | "kl" | "js"} */ (name);
    const values = measures.map((m) => m[key]), floor = facts.floor?.[key];
    const marks = [lineOf("samples", measures, (m) => m[key], 0)];
    if (floor !== undefined && measures.length) marks.push({ kind: "lines", lines: [[x[0], floor, x[1], floor]], colour: themed("soft"), dash: [5, 4], name: "other data" });
    distance.look.y = DISTANCES[name].y;
    note.textContent = `${facts.compared ? `${Number(facts.compared).toLocaleString("en")} samples and as many rows. ` : ""}${DISTANCES[name].note}`;
    distance.show({ x, y: [Math.min(0, ...values), rangeOf([...values, floor ?? 0])[1]], marks: measures.length ? marks : [] });
    const of = measures.at(-1)?.of ?? 1;
    modes.show({ x, y: [0, 1.08 * of], marks: [lineOf("covered", measures, (m) => m.modes, 2), { kind: "lines", lines: [[x[0], of, x[1], of]], colour: themed("soft"), dash: [5, 4], name: `all ${of}` }] });
  }

  /** @param {Report[]} reports */
  function drawLosses(reports) {
    const names = [...new Set(reports.flatMap((r) => Object.keys(r.terms)))].filter((term) => !term.includes(".")).slice(0, 6);
    const sizes = names.map((term) => sizeOf(reports, term)), small = names.map((_, k) => sizes[k] < UNSEEN * Math.max(...sizes));
    smallerCard.hidden = !small.includes(true);
    showTerms(losses, reports, names, (k) => !small[k]);
    if (!smallerCard.hidden) showTerms(smaller, reports, names, (k) => small[k]);
  }

  return { distanceCard, modeCard, lossCard, smallerCard, draw, drawLosses };
}

/** The largest size of a term in the later half of the reports. @param {Report[]} reports @param {string} term */
function sizeOf(reports, term) {
  return Math.max(0, ...reports.slice(reports.length >> 1).map((r) => Math.abs(r.terms[term] ?? 0)).filter(Number.isFinite));
}

/** @param {Plot} plot @param {Report[]} reports @param {string[]} names @param {(k: number) => boolean} wanted */
function showTerms(plot, reports, names, wanted) {
  const shown = names.filter((_, k) => wanted(k));
  const marks = names.flatMap((term, k) => (wanted(k) ? [/** @type {Mark} */ ({ kind: "lines", lines: [reports.flatMap((r) => (r.terms[term] === undefined || r.terms[term] === null ? [] : [r.samples, Number(r.terms[term])]))], colour: category(k), width: 1.6, name: term.replaceAll("_", " ") })] : []));
  plot.look.y = shown.length === 1 ? shown[0].replaceAll("_", " ") : "loss";
  plot.show({ x: rangeOf(reports.map((r) => r.samples)), y: rangeOf(reports.flatMap((r) => shown.map((term) => r.terms[term] ?? NaN))), marks });
}

/** @param {string} name @param {Measure[]} measures @param {(m: Measure) => number | undefined} value @param {number} k @returns {Mark} */
function lineOf(name, measures, value, k) {
  return { kind: "lines", lines: [measures.flatMap((m) => { const v = value(m); return v === undefined || v === null ? [] : [m.samples, v]; })], colour: category(k), width: 1.8, name };
}

/** @param {NamedArray} array @param {"rising" | "diverging"} kind @param {string} name @returns {Mark} */
function heatOf(array, kind, name) {
  let low = Infinity, high = -Infinity;
  for (const v of array.values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) [low, high] = [0, 1];
  if (kind === "rising") low = Math.max(low, high - 12);
  const [from, to] = [low, high].map((v) => label(Number(v.toPrecision(2))));
  return { kind: "heat", values: array.values, width: array.shape[1], height: array.shape[0], scale: { kind, low, high }, name: `${name} ${from} to ${to}` };
}

/** @param {ArrayLike<number>} v @returns {Mark} */
function arrowsOf(v) {
  const from = [], by = [];
  for (let i = 0; i < v.length; i += 4) { from.push(v[i], v[i + 1]); by.push(v[i + 2], v[i + 3]); }
  return { kind: "arrows", from, by, colour: themed("ink"), name: "gradient" };
}

/** @param {NamedArray} manifold  (rows, columns, 2) */
function meshLines({ values, shape }) {
  if (shape.length === 2) return [values];
  const [rows, columns] = shape, lines = [];
  const at = (/** @type {number} */ r, /** @type {number} */ c) => [values[2 * (r * columns + c)], values[2 * (r * columns + c) + 1]];
  for (let r = 0; r < rows; r++) lines.push(Array.from({ length: columns }, (_, c) => at(r, c)).flat());
  if (rows > 1) for (let c = 0; c < columns; c++) lines.push(Array.from({ length: rows }, (_, r) => at(r, c)).flat());
  return lines;
}

/** @param {ArrayLike<number>} v  means and standard deviations, four numbers each */
const ellipses = (v) => Array.from({ length: v.length >> 2 }, (_, i) => turned(v[4 * i], v[4 * i + 1], v[4 * i + 2], 0, 0, v[4 * i + 3]));

/** @param {ArrayLike<number>} v  weight, mean and root of the covariance, seven numbers each @param {number} r  standard deviations */
const outlines = (v, r) => Array.from({ length: Math.floor(v.length / 7) }, (_, k) => {
  const i = 7 * k;
  return turned(v[i + 1], v[i + 2], r * v[i + 3], r * v[i + 4], r * v[i + 5], r * v[i + 6]);
});

/** The image of the unit circle under a matrix, about a centre. @param {number} x @param {number} y @param {number} a @param {number} b @param {number} c @param {number} d */
function turned(x, y, a, b, c, d) {
  return Array.from({ length: 40 }, (_, k) => {
    const [cos, sin] = [Math.cos((k * Math.PI) / 20), Math.sin((k * Math.PI) / 20)];
    return [x + a * cos + b * sin, y + c * cos + d * sin];
  }).flat();
}
