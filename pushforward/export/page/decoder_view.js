/** Codes to images or points: sliders, random codes, conditions, paths between two codes, GIFs. */
import { Runtime, count } from "./runtime.js";
import { normal, uniforms } from "./random.js";
import { encodeGif } from "./gif.js";
import { contextOf, enlarge, scatter, show, toPixels } from "./drawing.js";
import { button, card, chooser, element, oncePerFrame, save, slider } from "./controls.js";

/** @typedef {{kind: string, from: number, size: number, rows?: number[][]}} Block */
/**
 * @typedef {object} Codes
 * @property {number} width
 * @property {number[]} centre
 * @property {number[]} scale
 * @property {Block[]} blocks
 * @property {{place: number, name: string, share: number, low: number, high: number}[]} sliders
 */
/** @typedef {{codes: Codes, output: any, condition: any, title: string}} DecoderContent */

const FRAMES = 24;
const GIF_SIDE = 280;

/** @param {Codes} codes @param {number} seed @returns {Float32Array} a code drawn from its distribution */
export function drawCode(codes, seed) {
  const uniform = uniforms(seed);
  const z = Float32Array.from(codes.centre);
  for (const { kind, from, size, rows = [] } of codes.blocks) {
    const chosen = Math.floor(uniform() * (kind === "rows" ? rows.length : size));
    for (let i = 0; i < size; i++) {
      const k = from + i;
      if (kind === "normal") z[k] = codes.centre[k] + codes.scale[k] * normal(uniform);
      else if (kind === "uniform") z[k] = 2 * uniform() - 1;
      else if (kind === "category") z[k] = Number(i === chosen);
      else z[k] = rows[chosen][i];
    }
  }
  return z;
}

/**
 * Between two codes: along the sphere for many normal numbers, whose length hardly varies, else straight.
 * @param {Codes} codes @param {Float32Array} a @param {Float32Array} b @param {number} t @returns {Float32Array}
 */
export function between(codes, a, b, t) {
  const z = a.map((v, i) => v + t * (b[i] - v));
  for (const { kind, from, size } of codes.blocks) {
    if (kind !== "normal" || size < 8) continue;
    const unit = (/** @type {Float32Array} */ code) =>
      Array.from({ length: size }, (_, i) => (code[from + i] - codes.centre[from + i]) / (codes.scale[from + i] || 1));
    const [u, v] = [unit(a), unit(b)];
    const long = (/** @type {number[]} */ w) => Math.hypot(...w) || 1;
    const cosine = u.reduce((sum, x, i) => sum + x * v[i], 0) / (long(u) * long(v));
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    if (angle < 1e-4) continue;
    const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
    for (let i = 0; i < size; i++) z[from + i] = codes.centre[from + i] + (codes.scale[from + i] || 1) * (p * u[i] + q * v[i]);
  }
  return z;
}

/** The view. */
export class DecoderView {
  /** @param {DecoderContent} content @param {Runtime} runtime */
  constructor(content, runtime) {
    this.content = content;
    this.runtime = runtime;
    this.codes = content.codes;
    this.images = content.output.kind === "images";
    this.rows = runtime.shape(runtime.program.inputs[0])[0] ?? 1;
    this.seed = 1;
    this.z = drawCode(this.codes, this.seed);
    this.ends = [this.z, drawCode(this.codes, 2)];
    this.position = 0;
    this.playing = 0;
    this.y = this.firstCondition();
    this.canvas = element("canvas", { role: "img", "aria-label": this.images ? "the image of the code" : "points; the large one has the code of the sliders" });
    this.ahead = [element("canvas", { role: "img", "aria-label": "start of the path" }), element("canvas", { role: "img", "aria-label": "end of the path" })];
    if (this.images) [this.canvas, ...this.ahead].forEach((each) => each.classList.add("pixels"));
    this.cloud = Array.from({ length: this.rows }, (_, i) => drawCode(this.codes, 1000 + i));
    this.update = oncePerFrame(() => this.render());
    this.seedInput = element("input", { type: "number", min: "0", step: "1", value: String(this.seed) });
    this.pathInput = element("input", { type: "range", min: "0", max: "1", step: "any", value: "0", "aria-label": "place on the path" });
    this.playButton = button("Play", () => (this.playing ? this.stop() : this.play()));
    /** @type {{root: HTMLElement, set: (value: number) => void}[]} */
    this.sliders = [];
  }

  /** @returns {number[]} one row of the condition */
  firstCondition() {
    const condition = this.content.condition;
    if (!condition) return [];
    return condition.kind === "label" ? [0] : condition.columns.map((/** @type {any} */ c) => (c.low + c.high) / 2);
  }

  /** @param {Float32Array} z @returns {Float32Array} what the model makes, with the cloud of samples for points */
  decode(z) {
    const input = new Float32Array(this.rows * this.codes.width);
    const rows = [z, ...this.cloud.slice(1)];
    for (let i = 0; i < this.rows; i++) input.set(rows[i], i * this.codes.width);
    const y = Array.from({ length: this.rows }, () => this.y).flat();
    return this.runtime.run(input, y);
  }

  /** @param {HTMLCanvasElement} canvas @param {Float32Array} z @param {number} [size] */
  paint(canvas, z, size = 840) {
    const values = this.decode(z);
    if (this.images) show(canvas, toPixels(values, this.content.output));
    else scatter(canvas, values, this.content.output.columns, size);
  }

  render() {
    this.paint(this.canvas, this.z);
  }

  renderEnds() {
    this.ends.forEach((z, i) => this.paint(this.ahead[i], z, 200));
  }

  /** @param {Float32Array} z  to show, with the sliders where it is */
  set(z) {
    this.z = Float32Array.from(z);
    this.sliders.forEach(({ set }, i) => set(this.z[this.codes.sliders[i].place]));
    this.update();
  }

  /** @param {number} seed */
  random(seed) {
    this.seed = seed >>> 0;
    this.seedInput.value = String(this.seed);
    this.set(drawCode(this.codes, this.seed));
  }

  /** @returns {HTMLElement} */
  build() {
    this.seedInput.addEventListener("change", () => this.random(Number(this.seedInput.value)));
    this.sliders = this.codes.sliders.map((each) => slider(
      { name: each.name, low: each.low, high: each.high, value: this.z[each.place], note: `${(100 * each.share).toFixed(each.share < 0.1 ? 1 : 0)} %` },
      (value) => { this.stop(); this.z[each.place] = value; this.update(); },
    ));
    const picture = card("", [
      this.canvas,
      element("div", { class: "row" }, [
        button("Random", () => { this.stop(); this.random(Math.floor(Math.random() * 1e6)); }, true),
        element("label", { class: "field" }, ["Seed", this.seedInput]),
        button("Middle", () => { this.stop(); this.set(Float32Array.from(this.middle())); }),
      ]),
    ]);
    picture.classList.add("stick");
    const total = this.codes.sliders.reduce((sum, s) => sum + s.share, 0);
    const note = `By how much each changes the result; all shown: ${Math.round(100 * total)} %.`;
    const panels = [
      ...this.choosers(),
      ...(this.sliders.length ? [card("What the code changes", [
        element("div", { class: "sliders" }, this.sliders.map(({ root }) => root)), element("p", { class: "note" }, [note])])] : []),
      this.pathCard(),
    ];
    this.render();
    this.renderEnds();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.update(); this.renderEnds(); });
    return element("div", { class: "layout" }, [picture, element("div", { class: "column" }, panels)]);
  }

  /** @returns {Float32Array | number[]} the mean code; categories keep their choice */
  middle() {
    const z = Float32Array.from(this.codes.centre);
    for (const { kind, from, size } of this.codes.blocks) {
      if (kind === "category") z.set(this.z.subarray(from, from + size), from);
    }
    return z;
  }

  /** @returns {HTMLElement[]} of conditions, and of categories in the code */
  choosers() {
    const made = [];
    const condition = this.content.condition;
    const refresh = () => { this.update(); this.renderEnds(); };
    if (condition?.kind === "label") {
      made.push(card(condition.name, [chooser(condition.name, condition.categories, (i) => { this.y = [i]; refresh(); })]));
    } else if (condition) {
      const sliders = condition.columns.map((/** @type {any} */ c, /** @type {number} */ i) => slider(
        { ...c, value: this.y[i], show: (/** @type {number} */ v) => v.toPrecision(3) }, (v) => { this.y[i] = v; refresh(); }).root);
      made.push(card("Conditions", [element("div", { class: "sliders" }, sliders)]));
    }
    this.codes.blocks.filter(({ kind }) => kind === "category").forEach(({ from, size }, b) => {
      const name = `Category ${b + 1}`;
      const options = Array.from({ length: size }, (_, i) => String(i));
      const chosen = chooser(name, options, (i) => {
        this.z.fill(0, from, from + size);
        this.z[from + i] = 1;
        this.update();
      });
      made.push(card(name, [chosen]));
    });
    return made;
  }

  /** @returns {HTMLElement} */
  pathCard() {
    const input = this.pathInput;
    input.addEventListener("input", () => { this.stop(); this.along(Number(input.value)); });
    return card("From one to another", [
      element("div", { class: "pair" }, [this.ahead[0], input, this.ahead[1]]),
      element("div", { class: "row" }, [
        button("Start here", () => this.end(0, this.z)),
        button("End here", () => this.end(1, this.z)),
        button("New pair", () => {
          this.ends = [0, 1].map(() => drawCode(this.codes, Math.floor(Math.random() * 1e6)));
          this.renderEnds();
          this.along(this.position);
        }),
      ]),
      element("div", { class: "row" }, [this.playButton, button("Save GIF", () => this.saveGif())]),
    ]);
  }

  /** @param {0 | 1} which @param {Float32Array} z */
  end(which, z) {
    this.ends[which] = Float32Array.from(z);
    this.renderEnds();
  }

  /** @param {number} t */
  along(t) {
    this.position = t;
    this.pathInput.value = String(t);
    this.set(between(this.codes, this.ends[0], this.ends[1], t));
  }

  play() {
    const began = performance.now();
    const step = (/** @type {number} */ now) => {
      this.along(0.5 - 0.5 * Math.cos((now - began) / 1100));
      this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
    this.playButton.textContent = "Stop";
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.playButton.textContent = "Play";
  }

  /** @returns {Uint8Array<ArrayBuffer>} there and back */
  gif() {
    const canvas = element("canvas");
    const there = Array.from({ length: FRAMES }, (_, i) => {
      this.paint(canvas, between(this.codes, this.ends[0], this.ends[1], i / (FRAMES - 1)), 2 * GIF_SIDE);
      const image = contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
      return enlarge(image, Math.max(1, Math.round(GIF_SIDE / image.width)));
    });
    return encodeGif([...there, ...there.slice(1, -1).reverse()], 6);
  }

  saveGif() {
    this.stop();
    save(this.gif(), "image/gif", `${this.content.title}.gif`);
  }
}

/** @param {Runtime} runtime @returns {number} numbers in a code */
export function widthOf(runtime) {
  return count(runtime.shape(runtime.program.inputs[0]).slice(1));
}
