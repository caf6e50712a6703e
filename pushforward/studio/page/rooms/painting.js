// A picture of a few colours to paint: brush, line, rectangle and fill, with undo; never a colour in between.

import { button, field, h } from "../elements.js";

const UNDOS = 40;
/** @typedef {"brush" | "line" | "rectangle" | "fill"} Tool */
const TOOLS = /** @type {[Tool, string][]} */ ([["brush", "Brush"], ["line", "Line"], ["rectangle", "Rectangle"], ["fill", "Fill"]]);

/**
 * @param {{colours: number[][], height: number, width: number, lines: boolean}} look  lines: the first colour is paper, the second ink
 * @param {() => void} changed  after every stroke, and while it is drawn
 */
export function painting({ colours, height, width, lines }, changed) {
  const canvas = h("canvas", { class: "image", width, height, tabIndex: 0, role: "img", id: "painting", "aria-label": "Picture to paint: press and move; arrow keys move a pointer, the space bar paints there" });
  let numbers = new Uint8Array(width * height), colour = colours.length > 1 ? 1 : 0, size = Math.max(1, Math.round(width / (lines ? 128 : 24)));
  /** @type {Tool} */
  let tool = "brush";
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let undone = [];
  /** @type {{x: number, y: number} | null} */
  let start = null;
  /** @type {{x: number, y: number} | null} */
  let last = null;
  let before = numbers, keys = { x: width >> 1, y: height >> 1 }, keyed = false;

  const undo = button("Undo", back, { disabled: true, id: "undo" });
  const clear = button("Clear", () => { keep(); numbers.fill(0); show(); changed(); }, { id: "clear" });
  const swatches = h("div", { class: "row", role: "group", "aria-label": "Colours" }, ...colours.map((rgb, k) => {
    const name = lines ? ["Rubber", "Ink"][k] : `Colour ${k + 1}`;
    const made = button(lines ? name : "", () => { colour = k; mark(); }, { class: "swatch", "aria-label": name, title: `${name}: ${rgb.join(", ")}` });
    if (!lines) made.style.backgroundColor = `rgb(${rgb.join(" ")})`;
    return made;
  }));
  const tools = h("div", { class: "row", role: "group", "aria-label": "Tools" }, ...TOOLS.map(([name, shown]) => button(shown, () => { tool = name; mark(); }, { "data-tool": name })));
  const range = h("input", { type: "range", min: "1", max: String(Math.max(4, width >> 2)), step: "1", "aria-label": "Size of brush and line, pixels", oninput: () => { size = range.valueAsNumber; } });
  range.value = String(size);
  const element = h("div", { class: "fields" }, canvas, swatches, tools, field("Size of brush and line", range), h("div", { class: "row" }, undo, clear));

  function mark() {
    [...swatches.children].forEach((child, k) => child.setAttribute("aria-pressed", String(k === colour)));
    for (const child of tools.children) child.setAttribute("aria-pressed", String(child.getAttribute("data-tool") === tool));
  }

  function keep() {
    undone.push(numbers.slice());
    if (undone.length > UNDOS) undone.shift();
    undo.disabled = false;
  }

  function back() {
    const earlier = undone.pop();
    if (earlier) numbers = earlier;
    undo.disabled = !undone.length;
    show();
    changed();
  }

  function show() {
    const pixels = new Uint8ClampedArray(4 * width * height);
    numbers.forEach((k, i) => { pixels.set(colours[k], 4 * i); pixels[4 * i + 3] = 255; });
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    c.putImageData(new ImageData(pixels, width, height), 0, 0);
    if (!keyed) return;
    c.strokeStyle = "#d1005b";
    c.strokeRect(keys.x - size / 2, keys.y - size / 2, size, size);
  }

  /** @param {number} x @param {number} y */
  function dot(x, y) {
    const r = size / 2;
    for (let v = Math.max(0, Math.floor(y - r)); v < Math.min(height, y + r); v++) {
      for (let u = Math.max(0, Math.floor(x - r)); u < Math.min(width, x + r); u++) {
        if ((u + 0.5 - x) ** 2 + (v + 0.5 - y) ** 2 <= r * r + 0.25) numbers[v * width + u] = colour;
      }
    }
  }

  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, size / 2)));
    for (let k = 0; k <= steps; k++) dot(from.x + ((to.x - from.x) * k) / steps, from.y + ((to.y - from.y) * k) / steps);
  }

  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
  function rectangle(from, to) {
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)], [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    for (let v = Math.max(0, Math.floor(top)); v < Math.min(height, Math.ceil(bottom)); v++) numbers.fill(colour, v * width + Math.max(0, Math.floor(left)), v * width + Math.min(width, Math.ceil(right)));
  }

  /** @param {{x: number, y: number}} at */
  function fill(at) {
    const first = Math.floor(at.y) * width + Math.floor(at.x), old = numbers[first];
    if (old === undefined || old === colour) return;
    const waiting = [first];
    while (waiting.length) {
      const i = /** @type {number} */ (waiting.pop());
      if (numbers[i] !== old) continue;
      numbers[i] = colour;
      if (i % width) waiting.push(i - 1);
      if ((i + 1) % width) waiting.push(i + 1);
      if (i >= width) waiting.push(i - width);
      if (i + width < numbers.length) waiting.push(i + width);
    }
  }

  /** @param {PointerEvent} event */
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: Math.min(width - 0.01, Math.max(0, ((event.clientX - box.left) / box.width) * width)), y: Math.min(height - 0.01, Math.max(0, ((event.clientY - box.top) / box.height) * height)) };
  };

  /** @param {{x: number, y: number}} at */
  function press(at) {
    keep();
    before = numbers.slice();
    start = last = at;
    if (tool === "fill") { fill(at); start = null; } else move(at);
    show();
    changed();
  }

  /** @param {{x: number, y: number}} at */
  function move(at) {
    if (!start || !last) return;
    if (tool !== "brush") numbers = before.slice();
    if (tool === "brush") stroke(last, at);
    else if (tool === "line") stroke(start, at);
    else rectangle(start, at);
    last = at;
    show();
    changed();
  }

  canvas.style.touchAction = "none";
  canvas.style.cursor = "crosshair";
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); keyed = false; press(place(event)); });
  canvas.addEventListener("pointermove", (event) => { if (start) for (const part of event.getCoalescedEvents?.() ?? [event]) move(place(part)); });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) canvas.addEventListener(end, () => { start = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max(1, size >> 1), by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); back(); return; }
    if (!by && event.key !== " ") return;
    event.preventDefault();
    keyed = true;
    if (by) keys = { x: Math.min(width - 1, Math.max(0, keys.x + by[0])), y: Math.min(height - 1, Math.max(0, keys.y + by[1])) };
    if (event.key !== " ") return show();
    if (tool === "brush" || tool === "fill" || !start) press({ ...keys });
    else move({ ...keys });
    if (tool === "brush" || tool === "fill" || (last && start && last !== start)) start = null;
  });
  canvas.addEventListener("blur", () => { keyed = false; show(); });
  mark();
  show();
  return {
    element,
    numbers: () => numbers,
    /** @param {Uint8Array} given */
    set: (given) => { keep(); numbers = given.slice(); show(); },
  };
}
