// What to fit a model to: built-in data, a drawing, or files of one's own.

import { remember } from "../address.js";
import { field, h, message, select } from "../elements.js";
import { imageGrid } from "../pixels.js";
import { drawingPad } from "./drawing.js";

const MOST = 60 * 2 ** 20;
const SIDES = ["8", "16", "28", "32", "48", "64"];
const COLOURS = /** @type {[string, string][]} */ ([["own", "as in the files"], ["grey", "grey"], ["colour", "colour"]]);
const IMAGES = ["digits"];

/** @typedef {{upload: string, title: string, kind: "table" | "images", rows: number, notes: string[], columns?: {name: string, missing: number}[], chosen?: string[], left_out?: string, shape?: number[]}} Upload */

/**
 * @param {import("../socket.js").Socket} socket
 * @param {string[]} names  of built-in data
 * @param {URLSearchParams} values  of the address
 * @param {() => void} changed
 */
export function dataChooser(socket, names, values, changed) {
  let chosen = values.get("data") ?? "eight_gaussians";
  if (![...names, "drawing", "upload"].includes(chosen)) chosen = names[0];
  /** @type {Upload | null} */
  let upload = null;
  let columns = [values.get("x") ?? "", values.get("y") ?? ""], side = values.get("side") ?? "32", colours = values.get("colours") ?? "own";
  /** @type {{name: string, bytes: Uint8Array<ArrayBuffer>}[]} */
  let files = [];

  const pad = drawingPad(), said = message(), facts = h("div", { class: "fields" }), preview = imageGrid("image");
  const input = h("input", { type: "file", multiple: true, id: "own-data", onchange: () => { take([...(input.files ?? [])]); input.value = ""; } });
  const drop = h("label", { class: "drop" }, h("strong", {}, "Choose a file"), h("span", { class: "note" }, "A table (CSV, TSV, Excel, Parquet, …), a .zip, .npy or .npz, or several pictures at once. It stays on this machine."), input);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.dataset.over = "yes"; });
  drop.addEventListener("dragleave", () => { delete drop.dataset.over; });
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (dropped.length) take(dropped); else said.say("Those were no files; drop a table or pictures from your disk.", "error");
  });
  const own = h("div", { class: "fields", hidden: true }, drop, said.element, facts);
  const options = /** @type {[string, string][]} */ ([...names.map((name) => [name, IMAGES.includes(name) ? `${name} (images)` : name]), ["drawing", "your own drawing"], ["upload", "your own table or images"]]);
  const element = h("div", { class: "fields" }, field("Data", select(options, chosen, (name) => { chosen = name; show(); remember({ data: name }); changed(); })), pad.element, own);

  function show() {
    pad.element.hidden = chosen !== "drawing";
    own.hidden = chosen !== "upload";
  }

  /** @param {File[]} list */
  async function take(list) {
    const total = list.reduce((sum, file) => sum + file.size, 0);
    if (total > MOST) return said.say(`The files have ${(total / 2 ** 20).toFixed(0)} MB, expected at most ${MOST / 2 ** 20}; choose fewer or smaller ones.`, "error");
    files = await Promise.all(list.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
    columns = ["", ""];
    await send();
  }

  async function send() {
    if (!files.length) return said.say("Choose the files again to bring them to another size.", "error");
    said.say("Reading …");
    const bytes = new Uint8Array(files.reduce((sum, file) => sum + file.bytes.length, 0));
    let at = 0;
    for (const file of files) { bytes.set(file.bytes, at); at += file.bytes.length; }
    try {
      const answer = await socket.ask("learn.data", { files: files.map((file) => ({ name: file.name, bytes: file.bytes.length })), side: Number(side), colours }, { file: bytes });
      accept(answer);
    } catch (error) {
      said.say(text(error), "error");
    }
  }

  /** @param {import("../socket.js").Answer} answer */
  function accept(answer) {
    upload = answer.content;
    columns = upload?.chosen ?? ["", ""];
    said.say("");
    build(answer.arrays.images);
    remember({ data: "upload", upload: upload?.upload ?? null, x: columns[0], y: columns[1], side: upload?.kind === "images" ? side : null, colours: upload?.kind === "images" && colours !== "own" ? colours : null });
    changed();
  }

  /** @param {string[]} wanted */
  async function recall(wanted) {
    try {
      accept(await socket.ask("learn.recall", { upload: upload?.upload ?? values.get("upload"), columns: wanted }));
    } catch (error) {
      said.say(text(error), "error");
    }
  }

  /** @param {import("../socket.js").NamedArray} [images] */
  function build(images) {
    if (!upload) return;
    const { title, kind, rows, notes, shape } = upload;
    const size = kind === "images" && shape ? `${rows.toLocaleString("en")} images of ${shape[1]} × ${shape[2]} pixels` : `${rows.toLocaleString("en")} rows`;
    const parts = [h("p", { class: "note", id: "upload-facts" }, h("b", {}, title), `: ${size}`)];
    if (upload.left_out) parts.push(h("p", { class: "warning", id: "left-out" }, upload.left_out));
    for (const note of notes.slice(0, 4)) parts.push(h("p", { class: "note" }, note));
    if (kind === "table") {
      const choices = (upload.columns ?? []).map(({ name }) => name);
      const pick = (/** @type {number} */ k) => select(choices, columns[k], (name) => {
        const next = [...columns];
        if (next[1 - k] === name) next[1 - k] = next[k];
        next[k] = name;
        recall(next);
      });
      parts.push(h("div", { class: "row even" }, field("Across (x)", pick(0)), field("Up (y)", pick(1))));
    } else {
      parts.push(h("div", { class: "row even" }, field("Brought to", select(SIDES.map((v) => /** @type {[string, string]} */ ([v, `${v} × ${v} pixels`])), side, (v) => { side = v; send(); })),
        field("Colours", select(COLOURS, colours, (v) => { colours = v; send(); }))));
      if (images) { preview.show(images); parts.push(preview.element); }
    }
    facts.replaceChildren(...parts);
  }

  /** What a request needs; throws what is missing. */
  function request() {
    if (chosen === "drawing") {
      if (pad.points().length < 10) throw new Error("Draw some points first: press and move in the square on the left.");
      return { kind: "drawn", points: pad.points() };
    }
    if (chosen !== "upload") return { kind: "built-in", name: chosen };
    if (!upload) throw new Error("Choose a file first: a table, or pictures.");
    return { kind: "upload", upload: upload.upload, columns: upload.kind === "table" ? columns : [] };
  }

  show();
  if (chosen === "upload" && values.get("upload")) recall(columns.filter(Boolean).length === 2 ? columns : []);
  return {
    element, request,
    /** Whether images are chosen. */
    images: () => (chosen === "upload" ? upload?.kind === "images" : IMAGES.includes(chosen)),
    /** What tells one choice from another. */
    key: () => [chosen, ...(chosen === "upload" ? [upload?.upload, ...columns] : [])].join("\n"),
  };
}

/** @param {unknown} error */
const text = (error) => String(/** @type {Error} */ (error).message);
