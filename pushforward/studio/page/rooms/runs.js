// Runs: what there is, how each went or goes, and runs side by side.

import { link, remember } from "../address.js";
import { category } from "../colours.js";
import { button, check, h, message } from "../elements.js";
import { Plot, rangeOf } from "../plot.js";

const EVERY = 2000; // milliseconds between looks at a running fit

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true;
  const said = message(), list = h("div", { class: "scroll" }), body = h("div", { class: "side" });
  /** @type {Set<string>} */
  const chosen = new Set((values.get("runs") ?? values.get("run") ?? "").split(",").filter(Boolean));
  const losses = new Plot({ title: "Training curves", x: "samples seen", y: "loss" });
  const quality = new Plot({ title: "Held-out quality", x: "samples seen", y: "quality, higher is better" });
  let term = "";
  root.append(h("h1", {}, "Runs"), h("p", { class: "intro" }, "Fits that ended or are going on. Choose one to see how it went, or several to lay them side by side."),
    said.element, h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, "What there is"), button("Look again", () => load())), list), h("div", { class: "plots" }, h("section", { class: "card" }, losses.element), h("section", { class: "card", id: "quality" }, quality.element)), body);

  async function load() {
    try {
      const { content } = await socket.ask("runs.list");
      if (!content.runs.length) {
        list.replaceChildren(h("p", { class: "warning" }, `There is no run in “${content.folder}” yet. Fit one, for example with: pushforward fit vae digits`));
        return;
      }
      if (![...chosen].some((name) => content.runs.some((/** @type {any} */ run) => run.name === name))) chosen.add(content.runs[0].name);
      const head = ["", "Run", "Model", "Data", "State", "Samples seen", "Time"].map((text) => h("th", {}, text));
      list.replaceChildren(h("table", {}, h("tr", {}, ...head), ...content.runs.map((/** @type {any} */ run) => line(run))));
      root.dataset.ready = "true";
      show();
    } catch (error) { said.say(String(/** @type {Error} */ (error).message), "error"); }
  }

  /** @param {any} run */
  function line(run) {
    if (run.error) return h("tr", {}, h("td"), h("td", {}, run.name), h("td", { colSpan: 5, class: "error" }, run.error));
    const box = check("", chosen.has(run.name), (on) => { if (on) chosen.add(run.name); else chosen.delete(run.name); remember({ runs: [...chosen].join(",") }); show(); });
    box.querySelector("input")?.setAttribute("aria-label", `show ${run.name}`);
    const rooms = [run.able.includes("Decodes") && ["latent", "latent"], run.able.includes("HasDensity") && run.kind === "points" && ["density", "density"], run.able.includes("Translates") && ["translate", "translate"]].filter(Boolean);
    return h("tr", {}, h("td", {}, box), h("td", {}, run.name, " ", ...rooms.flatMap((/** @type {any} */ [room, text]) => [h("a", { href: link(room, { run: run.name }) }, text), " "])), h("td", { title: run.description }, run.model), h("td", {}, `${run.source ?? "in memory"}: ${run.space}`), h("td", {}, h("span", { class: `badge ${run.state}` }, run.state)), h("td", {}, run.samples?.toLocaleString("en") ?? ""), h("td", {}, duration(run.seconds)));
  }

  async function show() {
    const names = [...chosen];
    try {
      const runs = (await Promise.all(names.map((run) => socket.ask("runs.show", { run })))).map(({ content }) => content);
      if (!here) return;
      draw(runs);
      await describe(runs);
      if (runs.some(({ state }) => state === "running")) setTimeout(() => here && show(), EVERY);
    } catch (error) { said.say(String(/** @type {Error} */ (error).message), "error"); }
  }

  /** @param {any[]} runs */
  function draw(runs) {
    /** @type {import("../plot.js").Mark[]} */
    const marks = [];
    const terms = [...new Set(runs.flatMap(({ curves }) => curves.flatMap((/** @type {any} */ c) => Object.keys(c.terms))))].filter((name) => !name.includes("."));
    if (!terms.includes(term)) term = "";
    let k = 0;
    for (const run of runs) for (const name of runs.length > 1 ? terms.slice(0, 2) : terms) {
      const xy = run.curves.flatMap((/** @type {any} */ c) => (c.terms[name] === undefined || c.terms[name] === null ? [] : [c.samples, c.terms[name]]));
      if (xy.length) marks.push({ kind: "lines", lines: [xy], colour: category(k++), width: 1.6, name: runs.length > 1 ? `${run.name}: ${name}` : name });
    }
    const ys = marks.flatMap((mark) => (mark.kind === "lines" ? Array.from(mark.lines[0]).filter((_, i) => i % 2) : [])).sort((a, b) => a - b);
    const xs = marks.flatMap((mark) => (mark.kind === "lines" ? Array.from(mark.lines[0]).filter((_, i) => i % 2 === 0) : []));
    losses.show({ x: rangeOf(xs), y: rangeOf(ys.slice(0, Math.ceil(0.99 * ys.length))), marks });
    const judged = runs.filter((run) => run.quality.length > 1);
    /** @type {HTMLElement} */ (document.getElementById("quality")).hidden = !judged.length;
    quality.show({ x: rangeOf(judged.flatMap((r) => r.quality.map((/** @type {number[]} */ q) => q[0]))), y: rangeOf(judged.flatMap((r) => r.quality.map((/** @type {number[]} */ q) => q[1]))), marks: judged.map((run, i) => ({ kind: "lines", lines: [run.quality.flat()], colour: category(i), width: 1.6, name: run.name })) });
  }

  /** @param {any[]} runs */
  async function describe(runs) {
    const cards = await Promise.all(runs.map(async (run) => {
      const shown = await Promise.all(run.images.filter((/** @type {string} */ name) => !name.includes("film/")).slice(0, 4).map((/** @type {string} */ name) => picture(run.name, name)));
      const frames = run.images.filter((/** @type {string} */ name) => name.includes("film/"));
      return h("section", { class: "card" }, h("h2", {}, run.name), h("p", { class: "note" }, run.description), ...run.warnings.map((/** @type {any} */ w) => h("p", { class: "warning" }, `${w.symptom}. Try: ${w.advice}`)), h("div", { class: "plots" }, ...shown), frames.length > 1 ? scrubber(run.name, frames) : null);
    }));
    body.replaceChildren(...cards);
  }

  /** @param {string} run @param {string} name */
  async function picture(run, name) {
    const { content, arrays } = await socket.ask("runs.image", { run, image: name });
    const blob = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: `image/${content.type}` });
    const image = h("img", { src: URL.createObjectURL(blob), alt: `${name} of ${run}` });
    image.style.maxWidth = "100%";
    return h("figure", {}, image, h("figcaption", { class: "note" }, name.replace("images/", "")));
  }

  /** @param {string} run @param {string[]} frames */
  function scrubber(run, frames) {
    const stage = h("div"), input = h("input", { type: "range", min: "0", max: String(frames.length - 1), step: "1", value: String(frames.length - 1), "aria-label": "frame of the film" });
    let last = "";
    async function go() {
      const name = frames[input.valueAsNumber];
      last = name;
      const shown = await picture(run, name).catch(() => null);
      if (shown && name === last) stage.replaceChildren(shown);
    }
    input.addEventListener("input", go);
    go();
    return h("div", { class: "fields" }, h("h3", {}, "The same codes over time"), input, stage);
  }

  load();
  return () => { here = false; };
}

/** @param {number | null | undefined} seconds */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
