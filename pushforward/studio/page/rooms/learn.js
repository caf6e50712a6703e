// Learn: a model of points in the plane, or of small images, while it is fitted.

import { remember } from "../address.js";
import { category, themed } from "../colours.js";
import { button, check, field, h, message, select } from "../elements.js";
import { imageGrid } from "../pixels.js";
import { Plot, rangeOf } from "../plot.js";
import { Superseded } from "../socket.js";
import { drawingPad } from "./drawing.js";

/**
 * @typedef {{name: string, section: string, default: string, help: string, choices: string[], switch: boolean}} Setting
 * @typedef {{name: string, summary: string, settings: Setting[]}} Model
 * @typedef {{samples: number, terms: Record<string, number>}} Report
 */

const COMMON = ["latent", "hidden", "components", "clusters", "game", "penalties", "critic_steps", "beta", "batch", "optimizer", "seed"];
const FIRST_VALUES = /** @type {Record<string, Record<string, string>>} */ ({
  gan: { latent: "2", ema: "none" }, vae: { latent: "2" }, autoencoder: { latent: "2" }, gmm: { components: "8" }, kmeans: { clusters: "8" },
});
const LAYERS = /** @type {Record<string, string>} */ ({
  data: "Data", samples: "Samples", critic: "Critic's output", density: "Log density", clusters: "Clusters",
  manifold: "Generator's grid", gradients: "Gradient at samples", posterior: "Posteriors of codes",
});
const PACES = /** @type {[string, string][]} */ ([["0", "full speed"], ["0.05", "20 steps a second"], ["0.25", "4 steps a second"], ["1", "1 step a second"]]);
const EVERY = 80; // milliseconds between looks

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true, fit = values.get("fit") ?? "", kind = "points", ended = false;
  /** @type {Model[]} */
  let models = [];
  let chosen = values.get("model") ?? "gan", data = values.get("data") ?? "ring";
  /** @type {Record<string, string>} */
  let settings = {};
  /** @type {Set<string>} */
  const shown = new Set((values.get("layers") ?? "data,samples,critic,density").split(","));
  /** @type {Report[]} */
  let reports = [];
  /** @type {{samples: number, distance: number, modes: number | null, of: number}[]} */
  let measures = [];
  /** @type {any} */
  let facts = {};
  /** @type {Record<string, import("../socket.js").NamedArray>} */
  let arrays = {};

  const said = message(), state = h("p", { class: "numbers", "aria-live": "off" }), warnings = h("div", { class: "fields" });
  const plane = new Plot({ title: "Data and model", x: "x", y: "y", equal: true });
  const codes = new Plot({ title: "Posteriors of codes", x: "first code", y: "second code", equal: true });
  const losses = new Plot({ title: "Losses", x: "samples seen", y: "loss" });
  const distance = new Plot({ title: "Distance of samples from data", x: "samples seen", y: "energy distance" });
  const images = imageGrid("sample");
  const pictures = h("section", { class: "card", hidden: true }, h("h2", {}, "Samples of the same codes"), images.element);
  const pad = drawingPad();
  const form = h("div", { class: "fields" }), layerBox = h("div", { class: "fields" }), summary = h("p", { class: "note" });
  const checkpoints = h("div", { class: "row" }), stepBox = h("div", { class: "row" });
  const play = button("Start", () => (fit && !ended ? toggle() : start(false)), { class: "main", id: "play" });
  const again = button("Start again", () => start(false), { hidden: true });
  const apply = button("Apply to this fit", change, { hidden: true, title: "Continue from the present weights with these settings" });

  const modelBox = h("div"), dataBox = h("div");
  const side = h("div", { class: "side" },
    h("section", { class: "card" }, h("h2", {}, "What to fit"), modelBox, summary, dataBox, pad.element, form),
    h("section", { class: "card" }, h("h2", {}, "Layers"), layerBox));
  const bar = h("section", { class: "card" },
    h("div", { class: "row" }, play, stepBox, field("Pace", select(PACES, "0", (seconds) => control("slow", { seconds: Number(seconds) }))), again, apply,
      button("Keep", () => ask("learn.keep", {}), { title: "Keep a checkpoint to come back to", id: "keep" })),
    checkpoints, state, said.element, warnings);
  root.append(h("h1", {}, "Watch a model learn"),
    h("p", { class: "intro" }, "Choose a model and data, start, and hold it at any step. The critic's output, the density it has learned and the way it bends its codes are drawn as they change."),
    h("div", { class: "columns" }, side, h("div", { class: "side" }, bar,
      h("div", { class: "plots" }, h("section", { class: "card" }, plane.element), pictures, h("section", { class: "card" }, losses.element), h("section", { class: "card" }, distance.element), h("section", { class: "card", hidden: true, id: "codes" }, codes.element)))));

  /** @param {string} verb @param {Record<string, any>} content */
  async function ask(verb, content) {
    try {
      const answer = await socket.ask(verb, { fit, ...content });
      said.say("");
      return answer;
    } catch (error) {
      if (!(error instanceof Superseded)) said.say(String(/** @type {Error} */ (error).message), "error");
      return null;
    }
  }

  /** @param {string} action @param {Record<string, any>} [more] */
  async function control(action, more = {}) {
    if (!fit) return;
    const answer = await ask("learn.control", { action, ...more });
    if (answer) showState(answer.content);
  }

  const toggle = () => control(facts.paused ? "proceed" : "pause");

  function request() {
    const drawn = data === "drawing";
    return { model: chosen, settings, data: drawn ? { kind: "drawn", points: pad.points() } : { kind: "built-in", name: data } };
  }

  /** @param {boolean} paused */
  async function start(paused) {
    if (data === "drawing" && pad.points().length < 10) return said.say("Draw some points first: press and move in the square on the left.", "error");
    const old = fit;
    play.disabled = true;
    const answer = await ask("learn.start", { ...request(), paused, fit: undefined });
    play.disabled = false;
    if (!answer) return;
    if (old) socket.ask("learn.stop", { fit: old }).catch(() => {});
    reports = [];
    measures = [];
    welcome(answer);
  }

  async function change() {
    const answer = await ask("learn.change", request());
    if (answer) welcome(answer);
  }

  /** @param {number} number */
  async function back(number) {
    const answer = await ask("learn.back", { number });
    if (!answer) return;
    const samples = answer.content.samples;
    measures = measures.filter((m) => m.samples <= samples);
    reports = [];
    welcome(answer);
  }

  /** @param {import("../socket.js").Answer} answer */
  function welcome(answer) {
    fit = answer.content.fit;
    facts = answer.content;
    kind = facts.kind;
    arrays = { data: answer.arrays.data };
    remember({ fit, model: chosen, data, settings: JSON.stringify(settings) });
    pictures.hidden = kind === "points";
    const card = plane.element.parentElement;
    if (card) card.hidden = kind !== "points";
    if (distance.element.parentElement) distance.element.parentElement.hidden = kind !== "points";
    buildLayers();
    buildSteps();
    showState(answer.content);
    look();
  }

  let looking = false;
  async function look() {
    if (looking || !here || !fit) return;
    looking = true;
    while (here && fit) {
      const began = performance.now(), asked = fit;
      const layers = [...shown, "samples"].filter((name) => name !== "data");
      try {
        const answer = await socket.ask("learn.look", { fit, layers, since: reports.length }, { channel: "look" });
        if (asked !== fit) continue;
        see(answer);
        if (ended || (facts.paused && document.hidden)) await sleep(800);
      } catch (error) {
        if (error instanceof Superseded) continue;
        if (asked !== fit) continue;
        said.say(String(/** @type {Error} */ (error).message), "error");
        if (String(error).includes("is gone")) { fit = ""; ended = true; remember({ fit: null }); showState({}); break; }
        await sleep(1500);
      }
      await sleep(Math.max(facts.paused ? 150 : EVERY, 1.5 * (performance.now() - began)) - (performance.now() - began));
    }
    looking = false;
  }

  /** @param {import("../socket.js").Answer} answer */
  function see({ content, arrays: fresh }) {
    arrays = { data: arrays.data, ...fresh };
    if (content.since === reports.length) reports.push(...content.reports);
    const last = measures.at(-1);
    if (content.distance !== undefined && (!last || content.samples > last.samples)) {
      measures.push({ samples: content.samples, distance: content.distance, modes: content.modes ?? null, of: content.of });
      if (measures.length > 2000) measures = measures.filter((_, k) => k % 2 === 0);
    }
    showState(content);
    draw();
  }

  /** @param {any} content */
  function showState(content) {
    facts = { ...facts, ...content };
    ended = !fit || Boolean(facts.ended);
    play.textContent = !fit || ended ? "Start" : facts.paused ? "Go on" : "Pause";
    again.hidden = !fit || ended;
    apply.hidden = !fit || ended || !facts.phases?.length;
    for (const child of stepBox.children) /** @type {HTMLButtonElement} */ (child).disabled = ended;
    const last = measures.at(-1), items = [];
    if (facts.samples !== undefined) items.push(["samples seen", Number(facts.samples).toLocaleString("en")], ["steps", Number(facts.steps).toLocaleString("en")]);
    if (last && kind === "points") items.push(["energy distance", last.distance.toPrecision(2)]);
    if (last?.modes !== null && last?.modes !== undefined) items.push(["modes", `${last.modes} of ${last.of}`]);
    if (fit && ended) items.push(["ended", facts.error ? "with an error" : facts.reason || "stopped"]);
    state.replaceChildren(...items.map(([name, value]) => h("span", {}, `${name} `, h("b", {}, value))));
    if (facts.error) said.say(facts.error, "error");
    warnings.replaceChildren(...(facts.warnings ?? []).slice(-3).map((/** @type {any} */ w) => h("p", { class: "warning" }, `${w.symptom}. Try: ${w.advice}`)));
    checkpoints.replaceChildren(...(facts.checkpoints ?? []).map((/** @type {number} */ samples, /** @type {number} */ k) => button(`Back to ${samples.toLocaleString("en")}`, () => back(k))));
    root.dataset.samples = String(facts.samples ?? "");
    root.dataset.paused = String(Boolean(facts.paused));
  }

  function draw() {
    if (kind !== "points") {
      if (arrays.images) images.show(arrays.images);
    } else {
      drawPlane();
    }
    drawLosses();
    distance.show({ x: rangeOf(measures.map((m) => m.samples)), y: [0, rangeOf(measures.map((m) => m.distance))[1]], marks: [{ kind: "lines", lines: [measures.flatMap((m) => [m.samples, m.distance])], colour: category(0), width: 1.8, name: "energy distance" }] });
  }

  function drawPlane() {
    /** @type {import("../plot.js").Mark[]} */
    const marks = [];
    const { critic, density, clusters, manifold, gradients, samples, posterior } = arrays;
    if (critic && shown.has("critic")) marks.push(field2(critic, "diverging", "critic: samples to data"));
    if (density && shown.has("density")) marks.push(field2(density, "rising", "log density"));
    if (clusters && shown.has("clusters")) marks.push({ kind: "heat", values: clusters.values, width: clusters.shape[1], height: clusters.shape[0], scale: { kind: "categories", low: 0, high: 1 }, name: "clusters" });
    if (manifold && shown.has("manifold")) marks.push({ kind: "lines", lines: meshLines(manifold), colour: themed("soft"), width: 0.8, alpha: 0.9, name: "grid of codes" });
    if (arrays.data && shown.has("data")) marks.push({ kind: "points", xy: arrays.data.values, colour: density && shown.has("density") ? "#ffffff" : themed("edge"), size: 1.6, alpha: 0.55, name: "data" });
    if (samples && shown.has("samples")) marks.push({ kind: "points", xy: samples.values, colour: category(1), size: 2, alpha: 0.8, name: "samples" });
    if (gradients && shown.has("gradients")) {
      const v = gradients.values, from = [], by = [];
      for (let i = 0; i < v.length; i += 4) { from.push(v[i], v[i + 1]); by.push(v[i + 2], v[i + 3]); }
      marks.push({ kind: "arrows", from, by, colour: themed("ink"), name: "gradient" });
    }
    plane.show({ x: [facts.low[0], facts.high[0]], y: [facts.low[1], facts.high[1]], marks });
    const box = document.getElementById("codes");
    if (box) box.hidden = !(posterior && shown.has("posterior"));
    if (posterior && shown.has("posterior")) codes.show({ x: [-4, 4], y: [-4, 4], marks: [{ kind: "lines", lines: ellipses(posterior.values), colour: category(0), width: 1, alpha: 0.7, close: true, name: "q(z|x), one standard deviation" }, { kind: "lines", lines: ellipses([0, 0, 1, 1]), colour: themed("ink"), dash: [4, 3], name: "prior" }] });
  }

  function drawLosses() {
    const names = [...new Set(reports.flatMap((r) => Object.keys(r.terms)))].filter((name) => !name.includes("."));
    const marks = names.slice(0, 6).map((name, k) => /** @type {import("../plot.js").Mark} */ ({ kind: "lines", lines: [reports.flatMap((r) => (r.terms[name] === undefined || r.terms[name] === null ? [] : [r.samples, r.terms[name]]))], colour: category(k), width: 1.6, name }));
    losses.show({ x: rangeOf(reports.map((r) => r.samples)), y: rangeOf(reports.flatMap((r) => names.map((name) => r.terms[name]))), marks });
  }

  function buildLayers() {
    layerBox.replaceChildren(...["data", ...(facts.layers ?? [])].filter((name) => LAYERS[name]).map((name) => check(LAYERS[name], shown.has(name), (on) => {
      if (on) shown.add(name); else shown.delete(name);
      remember({ layers: [...shown].join(",") });
      draw();
    })));
    if (kind !== "points") layerBox.replaceChildren(h("p", { class: "note" }, "Images are shown as samples."));
  }

  function buildSteps() {
    const phases = /** @type {string[]} */ (facts.phases ?? []);
    const buttons = phases.length > 1 ? [["Step both", []], ...phases.map((phase) => [`Step ${phase}`, [phase]])] : [["One step", []]];
    stepBox.replaceChildren(...buttons.map(([text, names]) => button(String(text), () => control("step", { phases: names }))));
  }

  function buildForm() {
    const model = models.find(({ name }) => name === chosen) ?? models[0];
    chosen = model.name;
    summary.textContent = model.summary.replaceAll("`", "");
    settings = { ...(FIRST_VALUES[chosen] ?? {}), ...settings };
    const [common, rest] = [model.settings.filter((s) => COMMON.includes(s.name)), model.settings.filter((s) => !COMMON.includes(s.name))];
    form.replaceChildren(...common.map(control2), h("details", {}, h("summary", {}, "More settings"), h("div", { class: "fields" }, ...rest.map(control2))));
  }

  /** @param {Setting} setting */
  function control2(setting) {
    const value = settings[setting.name] ?? setting.default;
    /** @param {string} text */
    const set = (text) => {
      if (text === setting.default) delete settings[setting.name]; else settings[setting.name] = text;
      remember({ settings: JSON.stringify(settings) });
    };
    const title = setting.help.replaceAll("`", "");
    if (setting.switch) return check(setting.name.replaceAll("_", " "), value === "yes", (on) => set(on ? "yes" : "no"));
    if (setting.choices.length) return field(setting.name.replaceAll("_", " "), select(setting.choices, value, set), title);
    const input = h("input", { type: "text", value, placeholder: setting.default || "none", spellcheck: false, autocomplete: "off", onchange: () => set(input.value.trim()) });
    return field(setting.name.replaceAll("_", " "), input, title);
  }

  function buildChoices(/** @type {string[]} */ names) {
    modelBox.replaceChildren(field("Model", select(models.map(({ name }) => name), chosen, (name) => { chosen = name; settings = {}; buildForm(); remember({ model: name, settings: null }); })));
    dataBox.replaceChildren(field("Data", select([...names, ["drawing", "your own drawing"]], data, (name) => { data = name; pad.element.hidden = name !== "drawing"; remember({ data: name }); })));
    pad.element.hidden = data !== "drawing";
  }

  async function begin() {
    const answer = await ask("learn.models", {});
    if (!answer || !here) return;
    models = answer.content.models;
    try { settings = JSON.parse(values.get("settings") ?? "{}"); } catch { settings = {}; }
    buildChoices(answer.content.data);
    buildForm();
    layerBox.replaceChildren(h("p", { class: "note" }, "Start a fit to see its layers."));
    draw0();
    root.dataset.ready = "true";
    if (fit) resume();
  }

  async function resume() {
    const answer = await ask("learn.rejoin", {});
    if (answer) welcome(answer);
    else { fit = ""; remember({ fit: null }); }
  }

  function draw0() {
    plane.show({ x: [-1, 1], y: [-1, 1], marks: [] });
    drawLosses();
    distance.show({ x: [0, 1], y: [0, 1], marks: [] });
  }

  begin();
  return () => {
    here = false;
    if (fit && !ended && !facts.paused) control("pause");
  };
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** @param {import("../socket.js").NamedArray} array @param {"rising" | "diverging"} kind @param {string} name @returns {import("../plot.js").Mark} */
function field2(array, kind, name) {
  let low = Infinity, high = -Infinity;
  for (const v of array.values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (kind === "rising") low = Math.max(low, high - 12);
  return { kind: "heat", values: array.values, width: array.shape[1], height: array.shape[0], scale: { kind, low, high }, name };
}

/** @param {import("../socket.js").NamedArray} manifold  (rows, columns, 2), or (steps, 2) for codes of one number */
function meshLines({ values, shape }) {
  if (shape.length === 2) return [values];
  const [rows, columns] = shape, lines = [];
  const at = (/** @type {number} */ r, /** @type {number} */ c) => [values[2 * (r * columns + c)], values[2 * (r * columns + c) + 1]];
  for (let r = 0; r < rows; r++) lines.push(Array.from({ length: columns }, (_, c) => at(r, c)).flat());
  for (let c = 0; c < columns; c++) lines.push(Array.from({ length: rows }, (_, r) => at(r, c)).flat());
  return lines;
}

/** @param {ArrayLike<number>} v  means and standard deviations, four numbers each */
function ellipses(v) {
  return Array.from({ length: v.length >> 2 }, (_, i) => Array.from({ length: 32 }, (_, k) => {
    const angle = (k * Math.PI) / 16;
    return [v[4 * i] + v[4 * i + 2] * Math.cos(angle), v[4 * i + 1] + v[4 * i + 3] * Math.sin(angle)];
  }).flat());
}
