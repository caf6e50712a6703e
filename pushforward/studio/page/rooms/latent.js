// Latent: what codes mean. Sliders, a map of the data's codes, ways between codes, attributes.

import { remember } from "../address.js";
import { category, themed } from "../colours.js";
import { button, field, h, message, save, select, slider } from "../elements.js";
import { imageGrid, paint } from "../pixels.js";
import { Plot, rangeOf } from "../plot.js";
import { Superseded } from "../socket.js";
import { runChooser } from "./choosing.js";

const SLIDERS = 24, REACH = 3;

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  const said = message();
  const chooser = runChooser(socket, "Decodes", values.get("run") ?? "", (run) => open(run));
  const body = h("div");
  root.append(h("h1", {}, "Walk through latent space"),
    h("p", { class: "intro" }, "Every code is an observation the model can make. Move along its dimensions, point anywhere between the data's codes, and go from one sample to another."),
    chooser.element, said.element, body);

  /** @param {unknown} error */
  const fail = (error) => { if (!(error instanceof Superseded)) said.say(String(/** @type {Error} */ (error).message), "error"); };

  /** @param {string} run */
  async function open(run) {
    remember({ run });
    body.replaceChildren(h("p", { class: "note" }, "Opening …"));
    try {
      const { content } = await socket.ask("latent.open", { run });
      said.say(content.notes.join("; "));
      body.replaceChildren(room(run, content));
    } catch (error) {
      body.replaceChildren();
      fail(error);
    }
  }

  /** @param {string} run @param {any} facts */
  function room(run, facts) {
    let code = facts.centre.slice(), y = Number(values.get("y") ?? 0) || 0;
    try { const given = JSON.parse(values.get("z") ?? "null"); if (Array.isArray(given) && given.length === code.length) code = given; } catch { /* an old link */ }
    /** @type {Map<number, (value: number) => void>} */
    const setters = new Map();
    /** @type {number[] | null} */
    let from = null;
    const canvas = h("canvas", { class: "image", role: "img", "aria-label": "What the code decodes to", id: "decoded" });
    const table = h("table"), scroll = h("div", { class: "scroll", hidden: facts.kind !== "points" }, table);
    canvas.hidden = facts.kind === "points";
    const map = new Plot({ title: "Codes of the data", x: facts.latent > 2 ? "first main axis" : "first code", y: facts.latent > 2 ? "second main axis" : "second code", equal: true });
    map.canvas.style.cursor = "crosshair";
    map.canvas.tabIndex = 0;
    const way = imageGrid("step", (k) => { if (ways[k]) go(ways[k]); }), near = imageGrid("row");
    const wayNote = h("p", { class: "note" }), nearNote = h("p", { class: "note" });
    /** @type {number[][]} */
    let ways = [];
    /** @type {any} */
    let plane = null;
    const speed = h("span", { class: "note", id: "latency" });

    /** @param {number[]} z */
    function go(z) {
      code = z.slice();
      for (const [k, set] of setters) set((code[k] - facts.centre[k]) / (facts.scale[k] || 1));
      show();
    }

    async function show() {
      const began = performance.now();
      drawMap();
      try {
        const { content, arrays } = await socket.ask("latent.decode", { run, codes: [code], y }, { channel: "decode" });
        if (arrays.images) paint(canvas, arrays.images);
        if (content.columns) table.replaceChildren(...Object.entries(content.columns).map(([name, list]) => h("tr", {}, h("th", {}, name), h("td", {}, shown(/** @type {any} */ (list)[0])))));
        root.dataset.decoded = String(Number(root.dataset.decoded ?? 0) + 1);
        speed.textContent = `${Math.round(performance.now() - began)} ms`;
        remember({ z: JSON.stringify(code.map((/** @type {number} */ v) => Number(v.toPrecision(5)))), y: facts.conditions.length ? y : null });
        said.clear();
      } catch (error) { fail(error); }
    }

    const order = /** @type {number[]} */ (facts.order).slice(0, SLIDERS);
    const sliders = h("div", { class: "sliders" }, ...order.map((k) => {
      const made = slider(`z${k}`, { low: -REACH, high: REACH, value: (code[k] - facts.centre[k]) / (facts.scale[k] || 1), title: `dimension ${k}: ${(100 * facts.share[k]).toFixed(0)} % of the change, in standard deviations` }, (t) => {
        code[k] = facts.centre[k] + t * facts.scale[k];
        show();
      });
      setters.set(k, made.set);
      return made.element;
    }));

    async function random() {
      const seed = Math.floor(Math.random() * 1e9);
      try { go((await socket.ask("latent.codes", { run, seed })).content.codes[0]); } catch (error) { fail(error); }
    }

    async function walk() {
      if (!from) return said.say("Choose “From here” at one code first, then move on and press this.", "note");
      try {
        const { content, arrays } = await socket.ask("latent.path", { run, from: [from], to: [code], steps: 9, along, y });
        ways = content.codes;
        wayCard.hidden = false;
        if (arrays.images) way.show(arrays.images);
        wayNote.textContent = `From the code you kept to the present one, along the ${along}. Choose a step to go there.`;
      } catch (error) { fail(error); }
    }

    async function film(/** @type {string} */ format) {
      const start = from ?? facts.centre;
      try {
        const { content, arrays } = await socket.ask("latent.film", { run, from: [start], to: [code], steps: 24, along, y, format });
        save(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: format === "mp4" ? "video/mp4" : `image/${format}` }), content.name);
      } catch (error) { fail(error); }
    }

    async function nearest() {
      try {
        const { content, arrays } = await socket.ask("latent.nearest", { run, codes: [code], y });
        const captions = content.distances.map((/** @type {number} */ d, /** @type {number} */ k) => `row ${content.numbers[k]}: ${d.toPrecision(3)}`);
        nearCard.hidden = false;
        if (arrays.images) near.show(arrays.images, captions);
        nearNote.textContent = `Nearest of ${content.of.toLocaleString("en")} rows, with root mean squared differences per value. A sample that equals a row was memorised.`;
        if (content.columns) nearNote.textContent += ` ${captions.join("; ")}`;
      } catch (error) { fail(error); }
    }

    async function attribute(/** @type {string} */ positive, /** @type {number} */ sign) {
      try {
        const { content } = await socket.ask("latent.direction", { run, positive });
        const z = code.map((/** @type {number} */ v, /** @type {number} */ k) => v + sign * 0.5 * content.vector[k] * Math.max(1e-12, Math.hypot(...facts.scale) / Math.sqrt(facts.latent)));
        go(z);
        said.say(`Towards ${content.name}: this direction tells it from the others in ${(100 * content.accuracy).toFixed(0)} % of held-out rows.`);
      } catch (error) { fail(error); }
    }

    function drawMap() {
      if (!plane) return;
      const names = /** @type {string[]} */ (plane.names), { values } = plane.places, labels = /** @type {number[]} */ (plane.labels);
      /** @type {import("../plot.js").Mark[]} */
      const marks = [];
      const groups = labels.length ? [...new Set(labels)].sort((a, b) => a - b) : [0];
      for (const group of groups) {
        const xy = [];
        for (let i = 0; i < values.length / 2; i++) if (!labels.length || labels[i] === group) xy.push(values[2 * i], values[2 * i + 1]);
        marks.push({ kind: "points", xy, colour: labels.length ? category(group) : themed("edge"), size: 2.2, alpha: 0.65, name: labels.length ? names[group] : "data" });
      }
      const d = code.map((/** @type {number} */ v, /** @type {number} */ k) => v - plane.centre[k]);
      const here = plane.basis.map((/** @type {number[]} */ axis) => axis.reduce((sum, a, k) => sum + a * d[k], 0));
      marks.push({ kind: "points", xy: here, colour: themed("ink"), size: 8 }, { kind: "points", xy: here, colour: themed("surface"), size: 5 }, { kind: "points", xy: here, colour: themed("accent"), size: 3.5, name: "here" });
      map.show({ x: plane.x, y: plane.y, marks });
    }

    async function drawPlane() {
      try {
        const { content, arrays } = await socket.ask("latent.map", { run });
        const { values } = arrays.places, xs = values.filter((_, i) => i % 2 === 0), ys = values.filter((_, i) => i % 2 === 1);
        const [x, ys2] = [rangeOf(xs), rangeOf(ys)], half = Math.max(x[1] - x[0], ys2[1] - ys2[0]) / 2;
        const centred = (/** @type {[number, number]} */ r) => /** @type {[number, number]} */ ([(r[0] + r[1]) / 2 - half, (r[0] + r[1]) / 2 + half]);
        plane = { ...content, places: arrays.places, x: centred(x), y: centred(ys2) };
        if (content.notes.length) said.say(content.notes.join("; "));
        drawMap();
      } catch (error) { fail(error); }
    }

    /** @param {number} a @param {number} b  a place on the map, to which the code moves within the map's plane */
    function goTo(a, b) {
      const d = code.map((/** @type {number} */ v, /** @type {number} */ k) => v - plane.centre[k]);
      const now = plane.basis.map((/** @type {number[]} */ axis) => axis.reduce((sum, w, k) => sum + w * d[k], 0));
      go(code.map((/** @type {number} */ v, /** @type {number} */ k) => v + (a - now[0]) * plane.basis[0][k] + (b - now[1]) * plane.basis[1][k]));
    }

    let dragging = false;
    map.canvas.addEventListener("pointerdown", (event) => { if (plane) { dragging = true; map.canvas.setPointerCapture(event.pointerId); goTo(...map.place(event)); } });
    map.canvas.addEventListener("pointermove", (event) => { if (dragging) goTo(...map.place(event)); });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) map.canvas.addEventListener(end, () => { dragging = false; });
    map.canvas.addEventListener("keydown", (event) => {
      const step = plane && (plane.x[1] - plane.x[0]) / 50, move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!move || !plane) return;
      event.preventDefault();
      const d = code.map((/** @type {number} */ v, /** @type {number} */ k) => v - plane.centre[k]);
      const now = plane.basis.map((/** @type {number[]} */ axis) => axis.reduce((sum, w, k) => sum + w * d[k], 0));
      goTo(now[0] + step * move[0], now[1] + step * move[1]);
    });

    let along = "line";
    const attributes = facts.labels.length && facts.encodes
      ? h("section", { class: "card" }, h("h2", {}, "Attributes"), h("p", { class: "note" }, "Away from, or towards, what a label has in common."), h("div", { class: "pairs" }, ...facts.labels.slice(0, 12).map((/** @type {string} */ name) => h("div", { class: "row" }, button("−", () => attribute(name, -1), { "aria-label": `less ${name}` }), button("+", () => attribute(name, 1), { "aria-label": `more ${name}` }), h("span", {}, name)))))
      : null;
    const condition = facts.conditions.length ? field("Condition", select(facts.conditions.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name]), String(y), (k) => { y = Number(k); show(); })) : null;
    const wayCard = h("section", { class: "card", hidden: true, id: "way-card" }, h("h2", {}, "Way"), way.element, wayNote);
    const nearCard = h("section", { class: "card", hidden: true, id: "nearest-card" }, h("h2", {}, "Nearest rows"), near.element, nearNote);
    const element = h("div", { class: "columns" },
      h("div", { class: "side" },
        h("section", { class: "card" }, h("h2", {}, "Code"), h("p", { class: "note" }, `${facts.latent} dimensions${facts.latent > SLIDERS ? `, the ${SLIDERS} that change most` : ""}, in standard deviations`), condition,
          h("div", { class: "row" }, button("Random", random, { class: "main", id: "random" }), button("Centre", () => go(facts.centre))), sliders),
        attributes),
      h("div", { class: "side" },
        h("div", { class: "plots" },
          h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, "Decoded"), speed), canvas, scroll,
            h("div", { class: "row" }, button("From here", () => { from = code.slice(); said.say("Kept. Move on, then choose “Way to here”."); }), button("Way to here", walk, { id: "way" }), button("Nearest rows", nearest, { id: "nearest" })),
            h("div", { class: "row" }, field("Along", select([["line", "a line"], ["sphere", "a sphere"]], along, (v) => { along = v; })), facts.kind === "images" ? button("Save GIF", () => film("gif")) : null, facts.kind === "images" ? button("Save mp4", () => film("mp4")) : null)),
          h("section", { class: "card" }, map.element, h("p", { class: "note" }, "Press and drag to move the code; arrow keys do the same."))),
        wayCard, nearCard));
    show();
    drawPlane();
    return element;
  }

  chooser.begin();
}

/** @param {unknown} value */
const shown = (value) => (typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value));
