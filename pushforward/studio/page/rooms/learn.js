// Learn: a model of points in the plane, or of small images, while it is fitted.

import { remember } from "../address.js";
import { button, field, h, message, select } from "../elements.js";
import { Superseded } from "../socket.js";
import { dataChooser } from "./learning_data.js";
import { modelForm } from "./learning_form.js";
import { imageCards } from "./learning_images.js";
import { measurePlots, planePlots } from "./learning_plots.js";

const PACES = /** @type {[string, string][]} */ ([["0", "full speed"], ["0.05", "20 steps a second"], ["0.25", "4 steps a second"], ["0.5", "2 steps a second"], ["1", "1 step a second"], ["3", "a step in 3 seconds"]]);
const PASS_PACE = "0.5"; // seconds: fits by passes are over in a blink
const EVERY = 80; // milliseconds between looks
const SHARE = 2.5; // times as long as a look takes: the fit has the rest

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true, fit = values.get("fit") ?? "", ended = false, pace = values.get("pace") ?? "", begunOn = "";
  /** @type {ReturnType<typeof modelForm>} */
  let form;
  /** @type {ReturnType<typeof dataChooser>} */
  let data;
  /** @type {import("./learning_plots.js").Report[]} */
  let reports = [];
  /** @type {import("./learning_plots.js").Measure[]} */
  let measures = [];
  /** @type {any} */
  let facts = {};
  /** @type {Record<string, import("../socket.js").NamedArray>} */
  let arrays = {};

  const said = message(), state = h("p", { class: "numbers", "aria-live": "off" }), warnings = h("div", { class: "fields" });
  const planar = planePlots(values.get("layers") ?? "", (layers) => remember({ layers }));
  const over = measurePlots(values.get("measure") ?? "", (measure) => remember({ measure }));
  const pictures = imageCards();
  const planeCard = h("section", { class: "card" }, planar.plane.element);
  const layerCard = h("section", { class: "card after" }, h("h2", {}, "Layers"), planar.layers);
  const checkpoints = h("div", { class: "row" }), stepBox = h("div", { class: "row" });
  const play = button("Start", () => (fit && !ended ? toggle() : start()), { class: "main", id: "play" });
  const again = button("Start again", start, { hidden: true, id: "again" });
  const keep = button("Keep", () => ask("learn.keep", {}).then((answer) => answer && showState(answer.content)), { title: "Keep a checkpoint to come back to", id: "keep", hidden: true });
  const apply = button("Apply to this fit", change, { id: "apply", class: "main", title: "Go on from the present weights with these values; optimisers start afresh" });
  const applyNote = h("p", { class: "note" }), applySaid = message(), applyBox = h("div", { class: "fields", hidden: true }, applyNote, apply, applySaid.element);
  const paceBox = h("div"), side = h("div", { class: "side" });
  const bar = h("section", { class: "card bar" }, h("div", { class: "row" }, play, again, stepBox, paceBox, keep), checkpoints, state, said.element, warnings);
  root.append(h("h1", {}, "Watch a model learn"),
    h("p", { class: "intro" }, "Choose data and a model, start, and hold it at any step. What it has learned is drawn as it changes; its rates, game and penalties can be changed while it runs."),
    bar,
    h("div", { class: "columns learning" }, side, h("div", { class: "side" },
      h("div", { class: "plots" }, h("div", { class: "side" }, planeCard, ...pictures.cards, planar.codeCard), h("div", { class: "side" }, over.modeCard, over.distanceCard, over.lossCard, over.smallerCard)), pictures.strip)));

  /** @param {string} verb @param {Record<string, any>} content @param {{say: (text: string, kind?: "error" | "note" | "warning") => void}} [where] */
  async function ask(verb, content, where = said) {
    try {
      const answer = await socket.ask(verb, { fit, ...content });
      where.say("");
      return answer;
    } catch (error) {
      if (!(error instanceof Superseded)) where.say(String(/** @type {Error} */ (error).message), "error");
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
  const seconds = () => Number(pace || (form.passes() ? PASS_PACE : "0"));

  async function start() {
    let rows;
    try { rows = data.request(); } catch (error) { return said.say(String(/** @type {Error} */ (error).message), "error"); }
    const old = fit;
    play.disabled = true;
    again.disabled = true;
    said.say("Starting …");
    const answer = await ask("learn.start", { ...form.choice(), data: rows, pace: seconds(), fit: undefined });
    play.disabled = false;
    again.disabled = false;
    if (!answer) return;
    if (old) socket.ask("learn.stop", { fit: old }).catch(() => {});
    form.begin();
    begunOn = data.key();
    welcome(answer);
  }

  async function change() {
    /** @type {Record<string, any>} */
    const content = form.choice();
    try { if (data.key() !== begunOn) content.data = data.request(); } catch (error) { return applySaid.say(String(/** @type {Error} */ (error).message), "error"); }
    const answer = await ask("learn.change", content, applySaid);
    if (!answer) return;
    form.begin();
    begunOn = data.key();
    welcome(answer);
  }

  /** @param {number} number */
  async function back(number) {
    const answer = await ask("learn.back", { number });
    if (answer) welcome(answer);
  }

  /** @param {import("../socket.js").Answer} answer */
  function welcome(answer) {
    facts = answer.content;
    fit = facts.fit;
    arrays = { data: answer.arrays.data };
    reports = [];
    measures = facts.measured ?? [];
    remember({ fit });
    const points = facts.kind === "points";
    planeCard.hidden = layerCard.hidden = !points;
    if (points) pictures.hide(); else planar.codeCard.hidden = true;
    pictures.begin();
    planar.begin(facts);
    buildSteps();
    buildPace(String(facts.pace));
    showState(facts);
    showChanges();
    draw();
    look();
  }

  let looking = false;
  async function look() {
    if (looking || !here || !fit) return;
    looking = true;
    while (here && fit) {
      const began = performance.now(), asked = fit;
      try {
        const answer = await socket.ask("learn.look", { fit, layers: planar.wanted(), since: reports.length }, { channel: "look" });
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
      await sleep(Math.max(facts.paused ? 150 : EVERY, SHARE * (performance.now() - began)) - (performance.now() - began));
    }
    looking = false;
  }

  /** @param {import("../socket.js").Answer} answer */
  function see({ content, arrays: fresh }) {
    arrays = { data: arrays.data, ...fresh };
    if (content.since === reports.length) reports.push(...content.reports);
    const last = measures.at(-1), now = content.measures;
    if (now && (!last || now.samples > last.samples)) measures.push(now);
    if (measures.length > 2000) measures = measures.filter((_, k) => k % 2 === 0);
    showState(content);
    draw();
  }

  /** @param {any} content */
  function showState(content) {
    facts = { ...facts, ...content };
    ended = !fit || Boolean(facts.ended);
    const steps = Boolean(facts.phases?.length);
    play.textContent = !fit || ended ? "Start" : facts.paused ? "Go on" : "Pause";
    again.hidden = !fit || ended;
    keep.hidden = !fit || !steps;
    for (const child of stepBox.children) /** @type {HTMLButtonElement} */ (child).disabled = ended;
    const last = measures.at(-1), items = [];
    if (facts.samples !== undefined) items.push(["samples seen", Number(facts.samples).toLocaleString("en")], [steps ? "steps" : "passes", Number(facts.steps).toLocaleString("en")]);
    if (last && facts.kind === "points") items.push(["energy distance", last.energy.toPrecision(2)]);
    if (last?.modes !== null && last?.modes !== undefined) items.push(["modes", `${last.modes} of ${last.of}`]);
    if (fit && ended) items.push(["ended", facts.error ? "with an error" : facts.reason === "budget" ? "all steps done" : facts.reason || "stopped"]);
    state.replaceChildren(...items.map(([name, value]) => h("span", {}, `${name} `, h("b", {}, value))));
    if (facts.error) said.say(facts.error, "error");
    warnings.replaceChildren(...(facts.warnings ?? []).slice(-3).map((/** @type {any} */ w) => h("p", { class: "warning" }, `${w.symptom}. Try: ${w.advice}`)));
    checkpoints.replaceChildren(...(facts.checkpoints ?? []).map((/** @type {number} */ samples, /** @type {number} */ k) => button(`Back to ${samples.toLocaleString("en")}`, () => back(k))));
    root.dataset.samples = String(facts.samples ?? "");
    root.dataset.paused = String(Boolean(facts.paused));
    root.dataset.ended = String(Boolean(fit && ended));
  }

  /** Offer to apply what was changed since the fit began. */
  function showChanges() {
    const names = fit && facts.phases?.length ? form.changes() : null;
    const rows = data.key() !== begunOn;
    const changed = names === null ? [] : [...(rows ? ["data"] : []), ...names];
    applyBox.hidden = !changed.length;
    applyNote.textContent = changed.length ? `Changed: ${changed.join(", ")}. The weights stay, optimisers start afresh: keep a checkpoint first to come back to.` : "";
    if (!changed.length) applySaid.say("");
  }

  function draw() {
    const points = facts.kind === "points";
    if (points) planar.draw(arrays, facts); else pictures.draw(arrays, facts.samples);
    over.draw(measures, facts, points);
    over.drawLosses(reports);
  }

  function buildSteps() {
    const phases = /** @type {string[]} */ (facts.phases ?? []);
    const several = phases.length > 2 ? "Step all" : "Step both";
    const buttons = phases.length > 1 ? [[several, []], ...phases.map((phase) => [`Step ${phase}`, [phase]])] : [[phases.length ? "One step" : "One pass", []]];
    stepBox.replaceChildren(...buttons.map(([text, names]) => button(String(text), () => control("step", { phases: names }))));
  }

  /** @param {string} chosen  seconds */
  function buildPace(chosen) {
    const paces = form.passes() ? PACES.map(([value, text]) => /** @type {[string, string]} */ ([value, text.replace("steps", "passes").replace("step", "pass")])) : PACES;
    paceBox.replaceChildren(field("Pace", select(paces, chosen, (value) => { pace = value; remember({ pace }); control("slow", { seconds: Number(value) }); })));
  }

  function chosen() {
    form.suit(data.images());
    if (!fit || ended) buildPace(String(seconds()));
    showChanges();
  }

  async function begin() {
    const answer = await ask("learn.models", {});
    if (!answer || !here) return;
    form = modelForm(answer.content.models, values, chosen);
    data = dataChooser(socket, answer.content.data, values, chosen);
    form.suit(data.images());
    begunOn = data.key();
    form.begin();
    side.append(h("section", { class: "card what" }, h("h2", {}, "What to fit"), data.element, form.element),
      h("section", { class: "card after" }, h("h2", {}, "How it learns"), applyBox, form.rates, form.form), layerCard);
    planar.layers.replaceChildren(h("p", { class: "note" }, "Start a fit to see its layers."));
    buildPace(String(seconds()));
    planar.plane.show({ x: [-1, 1], y: [-1, 1], marks: [] });
    over.draw([], {}, true);
    over.drawLosses([]);
    root.dataset.ready = "true";
    if (fit) resume();
  }

  async function resume() {
    const answer = await ask("learn.rejoin", {});
    if (answer) welcome(answer);
    else { fit = ""; remember({ fit: null }); }
  }

  begin();
  return () => {
    here = false;
    if (fit && !ended && !facts.paused) control("pause");
  };
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
