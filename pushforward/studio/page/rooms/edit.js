// Edit: draw on an image, and the model makes what one asks for; the photograph follows.

import { remember } from "../address.js";
import { button, field, h, message, save, select, slider } from "../elements.js";
import { imageGrid, paint } from "../pixels.js";
import { Superseded } from "../socket.js";
import { runChooser } from "./choosing.js";
import { strokesOver } from "./strokes.js";

const TOOLS = /** @type {[import("./strokes.js").Tool, string, string][]} */ ([
  ["colour", "Colour", "Paint colours that the image should have there"],
  ["sketch", "Sketch", "Draw lines that the image should have"],
  ["drag", "Drag", "Pull a part of the image elsewhere"],
  ["fixed", "Keep", "Paint over parts that should stay as they are"],
  ["erase", "Erase", "Take away what was drawn"],
]);

const NONE = "None yet: draw something on the image.";

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  const said = message(), body = h("div");
  const chooser = runChooser(socket, "Decodes", values.get("run") ?? "", (run) => open(run), (run) => run.kind === "images");
  root.append(h("h1", {}, "Edit on the manifold"),
    h("p", { class: "intro" }, "Start with a sample, a photograph of yours or a drawing. Paint, sketch or drag: the model looks for the image it can make that has what you ask for."),
    chooser.element, said.element, body);

  /** @param {unknown} error */
  const fail = (error) => { if (!(error instanceof Superseded)) said.say(String(/** @type {Error} */ (error).message), "error"); };

  /** @param {string} run */
  async function open(run) {
    remember({ run });
    try {
      const { content } = await socket.ask("edit.open", { run });
      said.say("");
      body.replaceChildren(room(run, content));
    } catch (error) {
      body.replaceChildren();
      fail(error);
    }
  }

  /** @param {string} run @param {any} facts */
  function room(run, facts) {
    let y = 0, seed = Number(values.get("seed") ?? 0) || 0;
    /** @type {number[][] | null} */
    let start = null;
    /** @type {number[][] | null} */
    let base = null;
    /** @type {number[][]} */
    let codes = [];
    let chosen = 0;
    /** @type {{name: string, data: Uint8Array} | null} */
    let photo = null;
    /** @type {import("../pixels.js").NamedArray | null} */
    let way = null;
    /** @type {import("../pixels.js").NamedArray | null} */
    let baseImage = null;
    /** @type {import("../pixels.js").NamedArray | null} */
    let startImage = null;
    let drawing = false, method = facts.methods[facts.methods.length - 1];
    /** @type {Record<string, any>} */
    const usual = {};

    const image = h("canvas", { class: "image", id: "edited", role: "img", "aria-label": "The image as edited" });
    const before = h("canvas", { class: "image small", role: "img", "aria-label": "The image before" });
    const strokes = strokesOver(facts.width, facts.height, (finished) => { if (!drawing) ask(finished); },
      { get: () => ({ base, baseImage }), set: (value) => { ({ base, baseImage } = value); } });
    const stage = h("div", { class: "stage" }, image, strokes.overlay);
    const candidates = imageGrid("candidate", (k) => choose(k));
    const beforeCard = h("figure", { class: "fields" }, before, h("figcaption", { class: "note" }, "before"));
    const note = h("p", { class: "note", id: "edit-note", role: "status" });
    const about = h("p", { class: "note", id: "about-candidates" }, NONE);
    const large = h("div", { class: "fields" });
    const progress = slider("way", { low: 0, high: 15, value: 15, step: 1, shown: (v) => `${v + 1}/16`, title: "from the start to the result" }, (k) => { if (way) paint(image, way, k); });
    const file = h("input", { type: "file", accept: "image/*", id: "photo", "aria-label": "Photograph to edit", onchange: () => take() });

    const paper = h("input", { type: "color", value: "#ffffff", "aria-label": "Colour of the paper", oninput: () => layPaper() });
    const sheetBar = h("div", { class: "row", hidden: true }, field("Paper", paper), button("Project the drawing", () => takeDrawing(), { class: "main", id: "project" }), button("Leave the sheet", () => sample()));
    const methods = select(facts.methods, method, (value) => { method = value; if (photo) project(); });
    methods.id = "method";
    const errors = h("div", { class: "fields", id: "errors" });

    async function sample() {
      photo = null;
      errors.replaceChildren();
      await begin({ seed, y }, undefined);
      remember({ seed });
    }

    async function take() {
      const chosenFile = file.files?.[0];
      if (!chosenFile) return;
      photo = { name: chosenFile.name, data: new Uint8Array(await chosenFile.arrayBuffer()) };
      await project();
    }

    async function project() {
      if (!photo) return;
      note.textContent = "Looking for the code that is nearest to the picture …";
      await begin({ y, name: photo.name, method }, photo.data);
    }

    /** An empty sheet, of the colour in the corner of the image, to draw a start on. */
    function openSheet() {
      const { data } = /** @type {CanvasRenderingContext2D} */ (image.getContext("2d")).getImageData(0, 0, 1, 1);
      paper.value = `#${[...data].slice(0, 3).map((v) => v.toString(16).padStart(2, "0")).join("")}`;
      drawing = true;
      setDrawing();
      strokes.reset();
      layPaper();
      use("colour");
      note.textContent = "Draw a picture with Colour, then project it.";
    }

    function layPaper() {
      const c = /** @type {CanvasRenderingContext2D} */ (image.getContext("2d"));
      c.fillStyle = paper.value;
      c.fillRect(0, 0, image.width, image.height);
    }

    async function takeDrawing() {
      const blob = await new Promise((done) => strokes.sheet(paper.value).toBlob(done, "image/png"));
      photo = { name: "drawing.png", data: new Uint8Array(await /** @type {Blob} */ (blob).arrayBuffer()) };
      await project();
    }

    function setDrawing() {
      sheetBar.hidden = !drawing;
      result.hidden = drawing;
      progress.element.hidden = drawing;
      tools.forEach((element, k) => { element.disabled = drawing && !["colour", "erase"].includes(TOOLS[k][0]); });
      root.dataset.drawing = String(drawing);
    }

    /** @param {Record<string, any>} content @param {Uint8Array | undefined} data */
    async function begin(content, data) {
      try {
        const { content: found, arrays } = await socket.ask("edit.begin", { run, ...content }, { channel: "begin", file: data });
        start = base = found.code;
        baseImage = startImage = arrays.image;
        forget();
        drawing = false;
        setDrawing();
        strokes.reset();
        large.replaceChildren();
        paint(image, arrays.image);
        paint(before, arrays.photo ?? arrays.image);
        note.textContent = found.errors ? "The nearest image that this model makes." : `Sample ${seed}.`;
        if (found.errors) showErrors(found);
        root.dataset.begun = String(Number(root.dataset.begun ?? 0) + 1);
        said.say("");
      } catch (error) {
        note.textContent = "";
        fail(error);
      }
    }

    /** What each way of projecting misses, beside what it misses of rows of the data. @param {any} found */
    async function showErrors(found) {
      const percent = (/** @type {number} */ v) => `${(100 * v).toFixed(1)} %`;
      const line = (/** @type {any} */ e) => h("tr", { "aria-selected": String(e.method === found.method), "data-method": e.method }, h("th", {}, e.method), h("td", {}, percent(e.error)));
      const like = h("p", { class: "note", id: "typical" });
      errors.replaceChildren(h("table", {}, h("tr", {}, h("th", {}, "Projected by"), h("th", {}, "Differs by")), ...found.errors.map(line)),
        h("p", { class: "note" }, "Root mean square, of the range of levels."), like);
      try {
        const key = `${found.method} ${y}`;
        usual[key] ??= (await socket.ask("edit.typical", { run, method: found.method })).content;
        if (usual[key].rows) like.textContent = `Rows of the data differ by ${percent(usual[key].error)} (median of ${usual[key].rows}, by ${found.method}).`;
      } catch (error) { fail(error); }
    }

    /** Forget the candidates of what was drawn. */
    function forget() {
      codes = [];
      way = null;
      candidates.show({ values: new Uint8Array(0), shape: [0, 1, 1, 4] });
      about.textContent = NONE;
    }

    /** @param {boolean} finished */
    async function ask(finished) {
      if (!base) return;
      const { parts, drags, file: bytes, asks } = strokes.content();
      if (!asks) {
        if (!finished) return;
        forget();
        if (baseImage) paint(image, baseImage);
        note.textContent = "Paint, sketch or drag something.";
        return;
      }
      const began = performance.now();
      if (finished) note.textContent = "Looking …";
      try {
        const { content, arrays } = await socket.ask("edit.change", { run, y, code: base, parts, drags }, { channel: "change", file: bytes });
        codes = content.codes;
        candidates.show(arrays.images, content.cost.map((/** @type {number} */ c) => c.toPrecision(2)));
        paint(image, arrays.images, 0);
        chosen = 0;
        way = null;
        about.textContent = codes.length < content.most ? `With what each costs; choose one. Only ${codes.length === 1 ? "one differs" : `${codes.length} differ`} enough to be shown: the other tries ended alike, or far worse.` : "With what each costs; choose one.";
        note.textContent = `${codes.length} ${codes.length === 1 ? "candidate" : "candidates"} in ${((performance.now() - began) / 1000).toFixed(1)} s; what you asked for costs ${content.cost[0].toPrecision(2)} now, ${content.before.toPrecision(2)} before.`;
        root.dataset.edited = String(Number(root.dataset.edited ?? 0) + 1);
        if (finished) choose(0);
      } catch (error) { fail(error); }
    }

    /** @param {number} k */
    async function choose(k) {
      if (!start || !codes[k]) return;
      chosen = k;
      try {
        const { arrays } = await socket.ask("edit.film", { run, y, from: start, to: [codes[k]] }, { channel: "film" });
        way = arrays.images;
        paint(image, way, 15);
        progress.set(15);
      } catch (error) { fail(error); }
    }

    /** Go on from the chosen candidate, with a clean sheet. */
    function settle() {
      if (!codes[chosen]) return;
      strokes.clear(false);
      base = [codes[chosen]];
      if (way) baseImage = { values: way.values.slice(-4 * facts.width * facts.height), shape: [1, facts.height, facts.width, 4] };
      note.textContent = "Taken. Go on from here, or apply it to the photograph.";
    }

    function restart() {
      strokes.clear();
      base = start;
      if (startImage) paint(image, startImage);
      baseImage = startImage;
      forget();
      note.textContent = "Back at the start.";
    }

    async function film() {
      const target = codes[chosen];
      if (!start || !target) return said.say("There is no edit yet: draw something first.");
      try {
        const { content, arrays } = await socket.ask("latent.film", { run, y, from: start, to: [target], steps: 16, along: "line", format: "gif" });
        save(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: "image/gif" }), content.name);
      } catch (error) { fail(error); }
    }

    async function transfer() {
      const target = codes[chosen] ?? base?.[0];
      if (!photo || !start || target === start[0] || !target) { note.textContent = photo ? "Edit the photograph first: draw on it." : "There is no photograph yet: choose one under “or a photograph”, and edit it."; return; }
      large.replaceChildren(h("p", { class: "note" }, "Applying the change to the photograph at its own size …"));
      try {
        const { content, arrays } = await socket.ask("edit.photo", { run, y, name: photo.name, from: start, to: [target] }, { channel: "photo", file: photo.data });
        if (content.note) { large.replaceChildren(); note.textContent = content.note; return; }
        const blob = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: "image/png" });
        const shown = h("img", { src: URL.createObjectURL(blob), alt: "The photograph after the edit", id: "full-size" });
        shown.style.maxWidth = "100%";
        if (content.unchanged) note.textContent = "The change leaves the photograph as it is: what the model changed has no counterpart there. Draw more, or save the image instead.";
        large.replaceChildren(h("h2", {}, "The photograph"), shown, button("Save the photograph", () => save(blob, content.name)));
      } catch (error) {
        large.replaceChildren();
        fail(error);
      }
    }

    const tools = TOOLS.map(([tool, text, title], k) => button(text, () => use(tool), { title: `${title} (key ${k + 1})`, "aria-pressed": String(tool === "colour"), id: `tool-${tool}` }));
    const colour = h("input", { type: "color", value: strokes.brush.colour, "aria-label": "Colour of the brush", oninput: () => { strokes.brush.colour = colour.value; } });
    if (facts.channels === 1) { colour.value = "#ffffff"; strokes.brush.colour = "#ffffff"; }

    /** @param {import("./strokes.js").Tool} tool */
    function use(tool) {
      if (drawing && !["colour", "erase"].includes(tool)) return;
      strokes.brush.tool = tool;
      tools.forEach((element, k) => element.setAttribute("aria-pressed", String(TOOLS[k][0] === tool)));
    }

    strokes.overlay.addEventListener("keydown", (event) => {
      const number = Number(event.key);
      if (number >= 1 && number <= TOOLS.length) use(TOOLS[number - 1][0]);
      if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); strokes.undo(); }
    });

    const size = slider("size", { low: 1, high: Math.max(4, Math.round(Math.max(facts.width, facts.height) / 3)), value: strokes.brush.size, step: 1, shown: (v) => `${v} px`, title: "size of the brush" }, (v) => { strokes.brush.size = v; });
    const condition = facts.conditions.length ? field("Condition", select(facts.conditions.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name]), "0", (k) => { y = Number(k); sample(); })) : null;
    const undoing = [button("Undo", () => strokes.undo(), { id: "undo", title: "Ctrl+Z" }), button("Clear", () => { strokes.clear(); if (!drawing) ask(true); }, { id: "clear" })];
    const result = h("div", { class: "row" }, button("Go on from this", settle, { id: "settle" }), button("Back to the start", restart), button("Save image", () => image.toBlob((blob) => blob && save(blob, `${run}.png`))), button("Save GIF", film), button("Apply to the photograph", transfer, { id: "transfer" }));
    sample();
    return h("div", { class: "columns" },
      h("div", { class: "side" },
        h("section", { class: "card" }, h("h2", {}, "Start"), condition, h("div", { class: "row" }, button("Another sample", () => { seed++; sample(); }, { class: "main", id: "sample" }), button("Blank sheet", openSheet, { id: "sheet" })), field("or a photograph", file),
          facts.methods.length > 1 ? field("Images are projected by", methods) : null, errors, beforeCard)),
      h("div", { class: "plots" },
        h("section", { class: "card" }, h("h2", {}, "Image"), h("div", { class: "row", role: "group", "aria-label": "Brushes" }, ...tools), h("div", { class: "row" }, colour, size.element, ...undoing), stage, sheetBar, progress.element, note, result),
        h("section", { class: "card" }, h("h2", {}, "Candidates"), about, candidates.element, large)));
  }

  chooser.begin();
}
