// A walk through several codes, as a loop that plays, and as a GIF or film.

import { remember } from "../address.js";
import { button, field, h, save, select } from "../elements.js";
import { paint } from "../pixels.js";

const STEPS = 12, PACE = 1000 / 12, MOST = 20;

/**
 * @param {import("../socket.js").Socket} socket @param {string} run @param {any} facts
 * @param {URLSearchParams} values
 * @param {{code: () => number[], go: (code: number[]) => void, along: () => string, y: () => number, drawn: (codes: number[][]) => void, fail: (error: unknown) => void, say: (text: string) => void}} acts
 */
export function walks(socket, run, facts, values, acts) {
  /** @type {number[][]} */
  let kept = codesOf(values.get("kept"), facts.latent);
  /** @type {number[][]} */
  let stops = [];
  /** @type {number[][]} */
  let codes = [];
  /** @type {import("../socket.js").NamedArray | null} */
  let images = null;
  /** @type {number | null} */
  let seed = null;
  let frames = 1, timer = 0, count = values.get("stops") ?? "5";
  const canvas = h("canvas", { class: "image", role: "img", "aria-label": "The walk", id: "walked", hidden: true });
  const input = h("input", { type: "range", min: "0", step: "1", value: "0", "aria-label": "place in the walk", oninput: () => { hold(); show(input.valueAsNumber); } });
  const play = button("Play", () => (timer ? hold() : start()), { id: "play-walk" }), note = h("p", { class: "note" });
  const keptNote = h("span", { class: "note" });
  const through = button("Walk through kept codes", () => begin(kept.slice(), null), { id: "walk-kept" });
  const forget = button("Forget them", () => keep([]));
  const shown = h("div", { class: "fields", hidden: true }, canvas, input,
    h("div", { class: "row" }, play, button("Go to this code", () => { hold(); acts.go(codes[input.valueAsNumber]); }),
      facts.kind === "images" ? button("Save walk as GIF", () => film("gif")) : null, facts.kind === "images" ? button("Save walk as mp4", () => film("mp4")) : null), note);
  const element = h("section", { class: "card", id: "walk-card" }, h("h2", {}, "Walk"),
    h("p", { class: "note" }, "From code to code and back to the first, as a loop; along a line or a sphere, as chosen above."),
    h("div", { class: "row end" }, field("Random codes", select(["3", "5", "8", "12"], count, (value) => { count = value; remember({ stops: value }); })),
      button("Walk through random codes", () => random(Math.floor(Math.random() * 1e9)), { id: "walk" })),
    h("div", { class: "row" }, button("Keep this code", () => keep([...kept, acts.code().slice()]), { id: "keep-code" }), through, forget, keptNote), shown);

  /** @param {number[][]} all */
  function keep(all) {
    kept = all.slice(-MOST);
    remember({ kept: kept.length ? JSON.stringify(kept.map((code) => code.map((v) => Number(v.toPrecision(5))))) : null });
    told();
  }

  function told() {
    through.disabled = kept.length < 2;
    forget.hidden = !kept.length;
    keptNote.textContent = kept.length ? `${kept.length} kept` : "";
  }

  /** @param {number} drawn  the seed */
  async function random(drawn) {
    try {
      const { content } = await socket.ask("latent.codes", { run, seed: drawn, n: Number(count) });
      await begin(content.codes, drawn);
    } catch (error) { acts.fail(error); }
  }

  /** @param {number[][]} through @param {number | null} drawn  the seed of random codes */
  async function begin(through, drawn) {
    [stops, seed] = [through, drawn];
    try {
      const { content, arrays } = await socket.ask("latent.walk", { run, through: stops, steps: STEPS, along: acts.along(), y: acts.y() }, { channel: "walk" });
      codes = content.codes;
      images = arrays.images ?? null;
      frames = content.frames ?? 1;
      remember({ walk: seed === null ? "kept" : seed });
    } catch (error) { return acts.fail(error); }
    shown.hidden = false;
    canvas.hidden = !images;
    input.max = String(codes.length - 1);
    note.textContent = `Through ${stops.length} codes along ${acts.along() === "line" ? "lines" : "a sphere"}, in ${codes.length} steps.`;
    acts.drawn(codes);
    show(0);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) hold(); else start();
  }

  /** @param {number} k */
  function show(k) {
    input.value = String(k);
    input.setAttribute("aria-valuetext", `step ${k + 1} of ${codes.length}`);
    if (images) paint(canvas, images, k * frames + (k % frames));
    else acts.go(codes[k]);
  }

  function start() {
    clearInterval(timer);
    play.textContent = "Hold";
    timer = setInterval(() => { if (element.isConnected) show((input.valueAsNumber + 1) % codes.length); else hold(); }, PACE);
  }
  function hold() { clearInterval(timer); timer = 0; play.textContent = "Play"; }

  async function film(/** @type {string} */ format) {
    try {
      const { content, arrays } = await socket.ask("latent.film", { run, through: stops, steps: STEPS, along: acts.along(), y: acts.y(), format });
      save(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: format === "mp4" ? "video/mp4" : `image/${format}` }), content.name.replace(".", "-walk."));
    } catch (error) { acts.fail(error); }
  }

  /** Walk again, as after a reload. */
  function again() {
    const given = values.get("walk");
    if (given === "kept" && kept.length > 1) begin(kept.slice(), null);
    else if (given && given !== "kept") random(Number(given) || 0);
  }

  /** Walk through the same codes again, since the way or the condition changed. */
  function renew() { if (stops.length) begin(stops, seed); }

  told();
  return { element, again, renew, hold };
}

/** @param {string | null} text @param {number} width @returns {number[][]} */
function codesOf(text, width) {
  try {
    const found = JSON.parse(text ?? "[]");
    return Array.isArray(found) && found.every((code) => Array.isArray(code) && code.length === width && code.every(Number.isFinite)) ? found : [];
  } catch { return []; }
}
