// Latent: what codes mean. Sliders, maps of the data's codes, ways and walks, attributes.

import { remember } from "../address.js";
import { button, field, h, message, save, select, slider } from "../elements.js";
import { imageGrid, paint } from "../pixels.js";
import { Superseded } from "../socket.js";
import { runChooser } from "./choosing.js";
import { codeMap } from "./latent_map.js";
import { walks } from "./latent_walk.js";

const SLIDERS = 24, REACH = 3;

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  const said = message();
  const chooser = runChooser(socket, "Decodes", values.get("run") ?? "", (run) => open(run));
  const body = h("div");
  root.append(h("h1", {}, "Walk through latent space"),
    h("p", { class: "intro" }, "Every code is an observation the model can make. Move along its dimensions, point anywhere between the data's codes, and go from one sample to another."),
    chooser.element, said.element, body);
  let leave = () => {};

  /** @param {unknown} error */
  const fail = (error) => { if (!(error instanceof Superseded)) said.say(String(/** @type {Error} */ (error).message), "error"); };

  /** @param {string} run */
  async function open(run) {
    if (values.get("run") !== null && values.get("run") !== run) for (const name of ["z", "y", "kept", "walk"]) { values.delete(name); remember({ [name]: null }); }
    values.set("run", run);
    remember({ run });
    leave();
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
    let code = facts.centre.slice(), y = Number(values.get("y") ?? 0) || 0, along = values.get("along") === "sphere" ? "sphere" : "line";
    try { const given = JSON.parse(values.get("z") ?? "null"); if (Array.isArray(given) && given.length === code.length) code = given; } catch { /* an old link */ }
    /** @type {Map<number, (value: number) => void>} */
    const setters = new Map();
    /** @type {number[] | null} */
    let from = null;
    const canvas = h("canvas", { class: "image", role: "img", "aria-label": "What the code decodes to", id: "decoded" });
    const table = h("table"), scroll = h("div", { class: "scroll", hidden: facts.kind !== "points" }, table);
    canvas.hidden = facts.kind === "points";
    const way = imageGrid("step", (k) => { if (ways[k]) go(ways[k]); }), near = imageGrid("row");
    const wayNote = h("p", { class: "note" }), nearNote = h("p", { class: "note" }), verdict = h("p", { id: "verdict" });
    /** @type {number[][]} */
    let ways = [];
    const speed = h("span", { class: "note", id: "latency" });
    const say = (/** @type {string} */ text) => said.say(text), now = () => code;
    const map = codeMap(socket, run, facts, values, { code: now, go, goTo, again: () => show(), fail, say });
    const walk = walks(socket, run, facts, values, { code: now, go, along: () => along, y: () => y, drawn: map.show, fail, say });
    leave = walk.hold;

    function slide() { for (const [k, set] of setters) set((code[k] - facts.centre[k]) / (facts.scale[k] || 1)); }

    /** @param {number[]} z */
    function go(z) {
      code = z.slice();
      slide();
      show();
    }

    /** @param {[number, number]} place  on the map of neighbours */
    async function goTo(place) {
      const began = performance.now();
      try {
        const answer = await socket.ask("latent.at", { run, place: [place], y }, { channel: "decode" });
        code = answer.content.code;
        slide();
        landed(answer, began);
      } catch (error) { fail(error); }
    }

    async function show() {
      const began = performance.now();
      map.draw();
      try {
        const answer = await socket.ask("latent.decode", { run, codes: [code], y, placed: map.asks() }, { channel: "decode" });
        landed(answer, began);
        if (answer.content.place) map.put(answer.content.place);
      } catch (error) { fail(error); }
    }

    /** @param {import("../socket.js").Answer} answer  what the code decodes to @param {number} began */
    function landed({ content, arrays }, began) {
      if (arrays.images) paint(canvas, arrays.images);
      if (content.columns) table.replaceChildren(...Object.entries(content.columns).map(([name, list]) => h("tr", {}, h("th", {}, name), h("td", {}, shown(/** @type {any} */ (list)[0])))));
      root.dataset.decoded = String(Number(root.dataset.decoded ?? 0) + 1);
      speed.textContent = `${Math.round(performance.now() - began)} ms`;
      remember({ z: JSON.stringify(code.map((/** @type {number} */ v) => Number(v.toPrecision(5)))), y: facts.conditions.length ? y : null });
      said.clear();
    }

    const percent = (/** @type {number} */ k) => `${(100 * facts.share[k]).toFixed(0)} %`;
    const order = /** @type {number[]} */ (facts.order).slice(0, SLIDERS);
    const sliders = h("div", { class: "sliders shares" }, ...order.map((k, i) => {
      const made = slider(`${facts.changes[i]} · ${percent(k)}`, { low: -REACH, high: REACH, value: (code[k] - facts.centre[k]) / (facts.scale[k] || 1), title: `${facts.changes[i]}: dimension ${k}, ${percent(k)} of the change, in standard deviations` }, (t) => {
        code[k] = facts.centre[k] + t * facts.scale[k];
        show();
      });
      setters.set(k, made.set);
      return made.element;
    }));
    const what = facts.kind === "points" ? "values" : facts.kind === "clips" ? "clip" : "image";
    const ranking = order.length > 1 ? `Sorted by how much each changes the ${what}, and named after what it changes around the centre; of the change that all ${facts.latent} dimensions make together, the first makes ${percent(order[0])}. ` : "";
    const fewer = facts.latent > SLIDERS ? `The other ${facts.latent - SLIDERS} change less than these. ` : "";

    async function random() {
      const seed = Math.floor(Math.random() * 1e9);
      try { go((await socket.ask("latent.codes", { run, seed })).content.codes[0]); } catch (error) { fail(error); }
    }

    async function lead() {
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
        const captions = content.distances.map((/** @type {number} */ d, /** @type {number} */ k) => `row ${content.numbers[k]}: ${content.typical ? `${(d / content.typical).toPrecision(2)} ×` : d.toPrecision(3)}`);
        nearCard.hidden = false;
        verdict.className = content.close ? "warning" : "";
        verdict.textContent = content.verdict;
        if (arrays.images) near.show(arrays.images, captions);
        nearNote.textContent = `Nearest of ${content.of.toLocaleString("en")} rows. × counts in typical distances: half of the rows are ${content.typical.toPrecision(3)} or less from their nearest other row (root mean squared difference per value).`;
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

    const attributes = facts.labels.length && facts.encodes
      ? h("section", { class: "card" }, h("h2", {}, "Attributes"), h("p", { class: "note" }, "Away from, or towards, what a label has in common."), h("div", { class: "attributes" }, ...facts.labels.slice(0, 12).map((/** @type {string} */ name) => h("div", { class: "row" }, button("−", () => attribute(name, -1), { "aria-label": `less ${name}` }), button("+", () => attribute(name, 1), { "aria-label": `more ${name}` }), h("span", {}, name)))))
      : null;
    const condition = facts.conditions.length ? field("Condition", select(facts.conditions.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name]), String(y), (k) => { y = Number(k); show(); walk.renew(); })) : null;
    const wayCard = h("section", { class: "card", hidden: true, id: "way-card" }, h("h2", {}, "Way"), way.element, wayNote);
    const nearCard = h("section", { class: "card", hidden: true, id: "nearest-card" }, h("h2", {}, "Nearest rows"), verdict, near.element, nearNote);
    const course = select([["line", "a line"], ["sphere", "a sphere"]], along, (v) => { along = v; remember({ along: v === "line" ? null : v }); walk.renew(); });
    const element = h("div", { class: "columns" },
      h("div", { class: "side" },
        h("section", { class: "card" }, h("h2", {}, "Code"), h("p", { class: "note" }, `${ranking}${fewer}Numbers are standard deviations.`), condition,
          h("div", { class: "row" }, button("Random", random, { class: "main", id: "random" }), button("Centre", () => go(facts.centre))), sliders),
        attributes),
      h("div", { class: "side" },
        h("div", { class: "plots" },
          h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, "Decoded"), speed), canvas, scroll,
            h("div", { class: "row" }, button("From here", () => { from = code.slice(); said.say("Kept. Move on, then choose “Way to here”."); }), button("Way to here", lead, { id: "way" }), button("Nearest rows", nearest, { id: "nearest" })),
            h("div", { class: "row end" }, field("Along", course), facts.kind === "images" ? button("Save GIF", () => film("gif")) : null, facts.kind === "images" ? button("Save mp4", () => film("mp4")) : null)),
          map.element),
        wayCard, nearCard, walk.element));
    show();
    map.load();
    walk.again();
    return element;
  }

  chooser.begin();
  return () => leave();
}

/** @param {unknown} value */
const shown = (value) => (typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value));
