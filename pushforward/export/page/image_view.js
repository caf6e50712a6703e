/** Images to images: a drawing or a file on one side, what the model makes of it on the other. */
import { Runtime } from "./runtime.js";
import { Pen, contextOf, enlarge, fromPixels, show, showFile, toPixels } from "./drawing.js";
import { button, card, element, fileButton, oncePerFrame, slider } from "./controls.js";

/** @typedef {{kind: string, output: any, condition: any, title: string}} ImageContent */

/** The view. */
export class ImageView {
  /** @param {ImageContent} content @param {Runtime} runtime */
  constructor(content, runtime) {
    this.content = content;
    this.runtime = runtime;
    const [, , height, width] = runtime.shape(runtime.program.inputs[0]);
    const [, , high, wide] = runtime.shape(runtime.program.output);
    this.space = { ...content.condition, height, width };
    this.output = { ...content.output, height: high, width: wide };
    this.input = element("canvas", {
      class: "pixels drawn", tabindex: "0", role: "img",
      "aria-label": "drawing; arrow keys draw, with shift they move the pen",
    });
    [this.input.width, this.input.height] = [width, height];
    this.result = element("canvas", { class: "pixels", role: "img", "aria-label": "what the model makes of the drawing" });
    this.update = oncePerFrame(() => this.render());
    this.pen = new Pen(this.input, this.update);
  }

  render() {
    const image = contextOf(this.input).getImageData(0, 0, this.input.width, this.input.height);
    show(this.result, toPixels(this.runtime.run(fromPixels(image, this.space)), this.output));
  }

  /** @returns {string[]} colours to draw with: the classes' own, or white and black */
  colours() {
    const palette = /** @type {number[][]} */ (this.content.condition.palette ?? []);
    return palette.length ? palette.map((c) => `rgb(${[...c, ...c, ...c].slice(0, 3).join(" ")})`) : ["rgb(255 255 255)", "rgb(0 0 0)"];
  }

  /** Fill the drawing, with the first class or black. */
  clear() {
    const classes = (this.content.condition.palette ?? []).length > 0;
    const context = contextOf(this.input);
    context.fillStyle = classes ? this.colours()[0] : "black";
    context.fillRect(0, 0, this.input.width, this.input.height);
    this.update();
  }

  /** Something to begin with: three boxes. */
  example() {
    const [w, h] = [this.input.width, this.input.height];
    const context = contextOf(this.input);
    const colours = this.colours();
    const classes = (this.content.condition.palette ?? []).length > 0;
    context.lineWidth = 1;
    [[0.15, 0.2, 0.3, 0.3], [0.55, 0.2, 0.3, 0.3], [0.35, 0.6, 0.3, 0.4]].forEach(([x, y, a, b], i) => {
      const box = /** @type {[number, number, number, number]} */ ([Math.round(x * w), Math.round(y * h), Math.round(a * w), Math.round(b * h)]);
      context.fillStyle = context.strokeStyle = classes ? colours[(i + 1) % colours.length] : colours[0];
      if (classes) context.fillRect(...box);
      else context.strokeRect(box[0] + 0.5, box[1] + 0.5, box[2], box[3]);
    });
  }

  /** @returns {HTMLElement} */
  build() {
    const colours = this.colours();
    const swatches = colours.map((colour, i) => {
      const dot = element("canvas", { "aria-hidden": "true" });
      [dot.width, dot.height] = [8, 8];
      const context = contextOf(dot);
      context.fillStyle = colour;
      context.fillRect(0, 0, 8, 8);
      const made = button("", () => {
        swatches.forEach((each, j) => each.setAttribute("aria-pressed", String(i === j)));
        this.pen.colour = colour;
      });
      made.classList.add("swatch");
      made.setAttribute("aria-label", colours.length === 2 && !this.content.condition.palette?.length ? ["draw", "erase"][i] : `class ${i + 1}`);
      made.append(dot);
      return made;
    });
    swatches[0]?.setAttribute("aria-pressed", "true");
    /** @type {HTMLElement[]} */
    const more = [];
    if (!this.content.condition.palette?.length && this.space.channels > 1) {
      const picker = element("input", { type: "color", value: "#3366cc", "aria-label": "another colour" });
      picker.addEventListener("input", () => {
        this.pen.colour = picker.value;
        swatches.forEach((each) => each.setAttribute("aria-pressed", "false"));
      });
      more.push(picker);
    }
    this.pen.colour = colours[0];
    const classes = (this.content.condition.palette ?? []).length > 0;
    this.pen.width = Math.max(1, Math.round(this.input.width / (classes ? 12 : 64)));
    const width = slider({ name: "Width", low: 1, high: Math.max(4, this.input.width / 5), value: this.pen.width, show: (v) => `${Math.round(v)} px` }, (v) => { this.pen.width = Math.round(v); });
    const box = button("Box", () => { this.pen.box = !this.pen.box; box.setAttribute("aria-pressed", String(this.pen.box)); });
    box.setAttribute("aria-pressed", "false");
    this.clear();
    this.example();
    const load = fileButton("Open image", (file) => { showFile(this.input, file).then(this.update, () => this.clear()); });
    const left = card("Draw", [
      this.input, element("div", { class: "row" }, [...swatches, ...more]), width.root,
      element("div", { class: "row" }, [box, button("Clear", () => this.clear()), load]),
    ]);
    const right = card("Result", [this.result, element("div", { class: "row" }, [button("Save PNG", () => this.savePng(), true)])]);
    this.render();
    return element("div", { class: "layout even" }, [left, right]);
  }

  savePng() {
    const image = contextOf(this.result).getImageData(0, 0, this.result.width, this.result.height);
    const canvas = element("canvas");
    show(canvas, enlarge(image, Math.max(1, Math.round(256 / image.width))));
    element("a", { href: canvas.toDataURL("image/png"), download: `${this.content.title}.png` }).click();
  }
}
