// Translate: a photo or a drawing turned into an image, or a photo enlarged, side by side.

import { remember } from "../address.js";
import { button, check, field, h, message, save, select } from "../elements.js";
import { paint } from "../pixels.js";
import { Superseded } from "../socket.js";
import { runChooser } from "./choosing.js";
import { painting } from "./painting.js";

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true;
  /** @type {((file: File) => void) | null} */
  let take = null;
  const said = message(), body = h("div", { class: "side" });
  const chooser = runChooser(socket, "Translates", values.get("run") ?? "", open);
  root.append(h("h1", {}, "Translate images"),
    h("p", { class: "intro" }, "Give a photo, or draw what the model is told, and see what it makes of it. Pictures stay on this machine and are not written to its disk."),
    chooser.element, said.element, body);

  /** @param {string} run */
  async function open(run) {
    if (run !== values.get("run")) for (const name of ["mode", "seed", "row", "size", "fit", "derive", "mean"]) values.delete(name);
    remember({ ...Object.fromEntries(["mode", "seed", "row", "size", "fit", "derive", "mean"].map((name) => [name, values.get(name)])), run });
    values.set("run", run);
    body.replaceChildren(h("p", { class: "note" }, "Opening …"));
    try {
      const { content } = await socket.ask("translate.open", { run }, { channel: "translate" });
      if (!here) return;
      said.say(content.notes.join("; "));
      body.replaceChildren(room(run, content));
    } catch (error) {
      if (error instanceof Superseded) return;
      body.replaceChildren();
      said.say(text(error), "error");
    }
  }

  /** @param {string} run @param {any} facts */
  function room(run, facts) {
    const [, high, wide] = facts.takes, drawable = facts.colours.length > 0 && high && wide;
    let mode = values.get("mode") === "draw" && drawable ? "draw" : values.get("mode") === "photo" || !drawable ? "photo" : "draw";
    const settings = {
      seed: Number(values.get("seed") ?? 0) || 0, size: values.get("size") === "own" ? "own" : "model", fit: ["crop", "pad", "stretch"].includes(values.get("fit") ?? "") ? String(values.get("fit")) : "crop",
      derive: facts.derives ? (values.has("derive") ? values.get("derive") === "yes" : facts.derive) : false, mean: values.get("mean") === "yes",
    };
    if (facts.enlarges && !values.has("size")) settings.size = "own";
    /** @type {{name: string, bytes: Uint8Array} | null} */
    let photo = null;
    /** @type {(() => void)} */
    let again = () => {};

    const inputCanvas = h("canvas", { class: "image", role: "img", "aria-label": "What the model is told", id: "input" });
    const outputCanvas = h("canvas", { class: "image", role: "img", "aria-label": "What the model makes of it", id: "output" });
    const targetCanvas = h("canvas", { class: "image", role: "img", "aria-label": "What it is in the data", id: "target" });
    const target = h("figure", { hidden: true }, targetCanvas, h("figcaption", { class: "note" }, "In the data"));
    const inputSize = h("figcaption", { class: "note" }), outputSize = h("figcaption", { class: "note", id: "milliseconds" });
    const inputFigure = h("figure", {}, inputCanvas, inputSize), results = message(), photoSaid = message();
    const keep = button("Save PNG", () => outputCanvas.toBlob((blob) => blob && save(blob, `${run === "." ? "result" : run.replaceAll("/", "-")}.png`)), { id: "save", disabled: true });

    /** @param {import("../socket.js").Answer} answer */
    function show({ content, arrays }) {
      paint(inputCanvas, arrays.input);
      paint(outputCanvas, arrays.output);
      target.hidden = !arrays.target;
      if (arrays.target) paint(targetCanvas, arrays.target);
      const sides = (/** @type {number[]} */ shape) => `${shape[1]} × ${shape[0]}`;
      inputSize.textContent = `Told: ${sides(arrays.input.shape.slice(1))}${content.before ? ` (the photo: ${sides(content.before)})` : ""}`;
      outputSize.textContent = `Made: ${sides(content.after)}, ${content.milliseconds} ms`;
      for (const canvas of [inputCanvas, outputCanvas, targetCanvas]) canvas.style.imageRendering = canvas.width > 200 ? "auto" : "pixelated";
      results.say((content.notes ?? []).join("; "));
      keep.disabled = false;
      root.dataset.made = String(Number(root.dataset.made ?? 0) + 1);
    }

    /** @param {string} verb @param {Record<string, any>} content @param {{say: (text: string, kind?: "error" | "note" | "warning") => void}} where @param {Uint8Array} [file] */
    async function make(verb, content, where, file) {
      remember({ mode, seed: facts.noisy ? settings.seed : null, size: settings.size, fit: settings.fit === "crop" ? null : settings.fit, derive: facts.derives ? (settings.derive ? "yes" : "no") : null, mean: settings.mean ? "yes" : null });
      try {
        const answer = await socket.ask(verb, { run, seed: settings.seed, mean: settings.mean, ...content }, { channel: "make", file });
        where.say("");
        show(answer);
        return answer;
      } catch (error) {
        if (!(error instanceof Superseded)) where.say(text(error), "error");
        return null;
      }
    }

    // ---------------------------------------------------------------------------------------- photo
    const translatePhoto = () => {
      if (!photo) return;
      again = translatePhoto;
      photoSaid.say(facts.enlarges ? "Enlarging …" : "Translating …");
      make("translate.photo", { name: photo.name, derive: settings.derive, size: settings.size, fit: settings.fit }, photoSaid, photo.bytes);
    };
    /** @param {File} file */
    async function takeFile(file) {
      if (file.size > 60 * 2 ** 20) return photoSaid.say(`${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MB, expected at most 60; shrink it first.`, "error");
      photo = { name: file.name || "the picture", bytes: new Uint8Array(await file.arrayBuffer()) };
      setMode("photo");
      translatePhoto();
    }
    take = takeFile;
    const chooserInput = h("input", { type: "file", accept: "image/*", id: "photo", onchange: () => { const file = chooserInput.files?.[0]; if (file) takeFile(file); chooserInput.value = ""; } });
    const drop = h("label", { class: "drop" }, h("strong", {}, "Choose a photo"), h("span", { class: "note" }, "or drop one here, or paste one"), chooserInput);
    drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.dataset.over = "yes"; });
    drop.addEventListener("dragleave", () => { delete drop.dataset.over; });
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      delete drop.dataset.over;
      const file = event.dataTransfer?.files[0];
      if (file) takeFile(file); else photoSaid.say("That was no file; drop a picture from your disk.", "error");
    });
    const derived = facts.enlarges ? "Reduce the photo first, to compare with it" : `Make the condition of the photo first (${facts.derives})`;
    const photoBox = h("div", { class: "fields" }, drop,
      facts.derives ? check(derived, settings.derive, (on) => { settings.derive = on; again(); }) : null,
      facts.enlarges ? null : field("Size", select([["model", `the model's, ${wide} × ${high}`], ["own", "the photo's own"]], settings.size, (v) => { settings.size = v; again(); })),
      facts.enlarges ? null : field("Brought to it by", select([["crop", "cutting"], ["pad", "adding margins"], ["stretch", "stretching"]], settings.fit, (v) => { settings.fit = v; again(); })),
      photoSaid.element);

    // ---------------------------------------------------------------------------------------- draw
    const drawSaid = message();
    const pad = drawable ? painting({ colours: facts.colours, height: high, width: wide, lines: facts.lines }, draw) : null;
    function draw() {
      if (!pad) return;
      again = draw;
      make("translate.drawing", { height: high, width: wide }, drawSaid, pad.numbers().slice());
    }
    const drawBox = h("div", { class: "fields" }, ...(pad ? [pad.element, drawSaid.element] : []));

    // --------------------------------------------------------------------------------------- rows
    const rowSaid = message();
    const rowInput = h("input", { type: "number", min: "0", max: String(facts.rows - 1), step: "1", value: values.get("row") ?? "0", onchange: () => showExample() });
    const showExample = async () => {
      again = showExample;
      const number = rowInput.valueAsNumber;
      const answer = await make("translate.example", { number }, rowSaid);
      if (!answer) return;
      remember({ row: number });
      if (pad && answer.arrays.drawing) pad.set(/** @type {Uint8Array} */ (answer.arrays.drawing.values));
    };
    const rowBox = facts.rows ? h("section", { class: "card" }, h("h2", {}, "From the data"), h("div", { class: "row even" }, field(`Row, of ${facts.rows.toLocaleString("en")}`, rowInput), button("Show", showExample, { id: "example" })), drawable ? h("p", { class: "note" }, "A row also becomes the drawing, to go on with.") : null, rowSaid.element) : null;

    // ---------------------------------------------------------------------------------------- noise
    const seedInput = h("input", { type: "number", min: "0", max: "2147483647", step: "1", value: String(settings.seed), onchange: () => { settings.seed = Math.max(0, Math.trunc(seedInput.valueAsNumber) || 0); seedInput.value = String(settings.seed); again(); } });
    const noise = facts.noisy ? h("section", { class: "card" }, h("h2", {}, "Noise"), h("div", { class: "row even" }, field("Seed", seedInput), button("New noise", () => { settings.seed = Math.floor(Math.random() * 1e9); seedInput.value = String(settings.seed); again(); }, { id: "noise" })), check("Leave the noise out", settings.mean, (on) => { settings.mean = on; again(); })) : null;

    const tabs = drawable ? h("div", { class: "row", role: "group", "aria-label": "What to give" }, button("Photo", () => setMode("photo"), { id: "mode-photo" }), button("Draw", () => { setMode("draw"); draw(); }, { id: "mode-draw" })) : null;
    /** @param {string} next */
    function setMode(next) {
      mode = next;
      remember({ mode });
      photoBox.hidden = mode !== "photo";
      drawBox.hidden = mode !== "draw";
      inputFigure.hidden = mode === "draw";
      if (tabs) [...tabs.children].forEach((child, k) => child.setAttribute("aria-pressed", String((k === 1) === (mode === "draw"))));
    }
    setMode(mode);
    const why = drawable ? null : h("p", { class: "note" }, facts.enlarges ? `This model enlarges photos ${facts.enlarges} times.` : "This model is told photographs, so there is nothing to draw.");
    const give = h("section", { class: "card" }, h("h2", {}, facts.enlarges ? "Photo" : "What the model is told"), tabs, why, photoBox, drawBox);
    const result = h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, facts.enlarges ? "Enlarged" : "What it makes of it"), keep), h("div", { class: "beside" }, inputFigure, h("figure", {}, outputCanvas, outputSize), target), results.element);
    if (mode === "draw") draw();
    else if (facts.rows) showExample();
    root.dataset.ready = "true";
    return h("div", { class: "columns even" }, h("div", { class: "side" }, give, rowBox, noise), h("div", { class: "side" }, result));
  }

  /** @param {ClipboardEvent} event */
  function paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file && take) { event.preventDefault(); take(file); }
  }
  addEventListener("paste", paste);
  chooser.begin();
  return () => { here = false; removeEventListener("paste", paste); };
}

/** @param {unknown} error */
const text = (error) => String(/** @type {Error} */ (error).message);
