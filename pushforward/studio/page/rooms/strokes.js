// What is drawn on an image: colours, a sketch, parts that stay and parts that are dragged, each in
// a plane of the image's own size, under a canvas that shows them larger.

import { h } from "../elements.js";

/**
 * @typedef {"colour" | "sketch" | "fixed" | "drag" | "erase"} Tool
 * @typedef {{planes: Record<string, ImageData>, drags: number[][], beside: unknown}} Snapshot
 */

const SCALE = 416; // pixels of the overlay's longer side
const MOST_UNDONE = 50;

/**
 * @param {number} width @param {number} height  of the image
 * @param {(finished: boolean) => void} changed  called while and after something is drawn
 * @param {{get: () => unknown, set: (value: any) => void}} beside  what undoing brings back with the strokes
 */
export function strokesOver(width, height, changed, beside) {
  const scale = Math.max(1, Math.round(SCALE / Math.max(width, height)));
  const overlay = h("canvas", { width: width * scale, height: height * scale, class: "overlay", tabIndex: 0, role: "img", "aria-label": "Canvas to draw on" });
  /** @type {Record<string, HTMLCanvasElement>} */
  const planes = Object.fromEntries(["colour", "sketch", "fixed"].map((name) => [name, h("canvas", { width, height })]));
  /** @type {number[][]} */
  let drags = [];
  /** @type {Snapshot[]} */
  const past = [];
  /** @type {{tool: Tool, colour: string, size: number}} */
  const brush = { tool: "colour", colour: "#d03020", size: Math.max(1, Math.round(Math.max(width, height) / 10)) };
  let last = /** @type {[number, number] | null} */ (null);

  const context = (/** @type {HTMLCanvasElement} */ canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));

  /** @returns {Snapshot} */
  const snapshot = () => ({ planes: Object.fromEntries(Object.entries(planes).map(([name, canvas]) => [name, context(canvas).getImageData(0, 0, width, height)])), drags: drags.map((d) => d.slice()), beside: beside.get() });

  /** @param {PointerEvent} event @returns {[number, number]} */
  function place(event) {
    const box = overlay.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  /** @param {HTMLCanvasElement} canvas @param {[number, number]} from @param {[number, number]} to @param {string} style @param {boolean} [erase] */
  function dab(canvas, from, to, style, erase = false) {
    const c = context(canvas), radius = brush.size / 2;
    c.globalCompositeOperation = erase ? "destination-out" : "source-over";
    c.fillStyle = style;
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(0.5, radius / 2)));
    for (let k = 0; k <= steps; k++) {
      const x = from[0] + ((to[0] - from[0]) * k) / steps, y = from[1] + ((to[1] - from[1]) * k) / steps;
      if (brush.size <= 1) c.fillRect(Math.floor(x), Math.floor(y), 1, 1);
      else { c.beginPath(); c.arc(x, y, radius, 0, 2 * Math.PI); c.fill(); }
    }
  }

  /** @param {[number, number]} from @param {[number, number]} to */
  function draw(from, to) {
    if (brush.tool === "colour") dab(planes.colour, from, to, brush.colour);
    else if (brush.tool === "sketch") dab(planes.sketch, from, to, "#000");
    else if (brush.tool === "fixed") dab(planes.fixed, from, to, "#000");
    else if (brush.tool === "erase") for (const canvas of Object.values(planes)) dab(canvas, from, to, "#000", true);
    else drags[drags.length - 1].splice(2, 2, to[0] - 0.5, to[1] - 0.5);
  }

  overlay.addEventListener("pointerdown", (event) => {
    overlay.setPointerCapture(event.pointerId);
    past.push(snapshot());
    if (past.length > MOST_UNDONE) past.shift();
    last = place(event);
    if (brush.tool === "drag") drags.push([last[0] - 0.5, last[1] - 0.5, last[0] - 0.5, last[1] - 0.5]);
    else draw(last, last);
    show();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) { const at = place(part); draw(last, at); last = at; }
    show();
    changed(false);
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) overlay.addEventListener(end, () => {
    if (!last) return;
    last = null;
    drags = drags.filter(([a, b, c, d]) => Math.hypot(c - a, d - b) >= 0.5);
    show();
    changed(true);
  });

  function show() {
    const c = context(overlay);
    c.clearRect(0, 0, overlay.width, overlay.height);
    c.imageSmoothingEnabled = false;
    c.globalAlpha = 0.85;
    c.drawImage(planes.colour, 0, 0, overlay.width, overlay.height);
    c.globalAlpha = 0.9;
    tint(planes.sketch, "#00c2a8");
    c.globalAlpha = 0.35;
    tint(planes.fixed, "#7aa7ff");
    c.globalAlpha = 1;
    for (const [a, b, x, y] of drags) arrow(c, (a + 0.5) * scale, (b + 0.5) * scale, (x + 0.5) * scale, (y + 0.5) * scale);

    /** @param {HTMLCanvasElement} plane @param {string} colour */
    function tint(plane, colour) {
      const tinted = h("canvas", { width, height }), t = context(tinted);
      t.drawImage(plane, 0, 0);
      t.globalCompositeOperation = "source-in";
      t.fillStyle = colour;
      t.fillRect(0, 0, width, height);
      c.drawImage(tinted, 0, 0, overlay.width, overlay.height);
    }
  }

  /** What was drawn, as the server takes it: names of parts, their bytes, and drags. */
  function content() {
    /** @type {string[]} */
    const parts = [];
    /** @type {Uint8Array[]} */
    const bytes = [];
    for (const [name, canvas] of Object.entries(planes)) {
      const { data } = context(canvas).getImageData(0, 0, width, height);
      if (!data.some((value, i) => i % 4 === 3 && value > 0)) continue;
      parts.push(name);
      bytes.push(name === "colour" ? new Uint8Array(data) : new Uint8Array(data.filter((_, i) => i % 4 === 3)));
    }
    const file = new Uint8Array(bytes.reduce((sum, part) => sum + part.length, 0));
    bytes.reduce((at, part) => { file.set(part, at); return at + part.length; }, 0);
    return { parts, drags, file, asks: parts.some((name) => name !== "fixed") || drags.length > 0 };
  }

  function undo() {
    const before = past.pop();
    if (!before) return false;
    for (const [name, data] of Object.entries(before.planes)) context(planes[name]).putImageData(data, 0, 0);
    drags = before.drags;
    beside.set(before.beside);
    show();
    changed(true);
    return true;
  }

  /** @param {boolean} [everything]  also what stays */
  function clear(everything = true) {
    past.push(snapshot());
    for (const [name, canvas] of Object.entries(planes)) if (everything || name !== "fixed") context(canvas).clearRect(0, 0, width, height);
    drags = [];
    show();
  }

  /** What was painted, on paper of a colour, as a picture of the image's size. @param {string} paper */
  function sheet(paper) {
    const made = h("canvas", { width, height }), c = context(made);
    c.fillStyle = paper;
    c.fillRect(0, 0, width, height);
    c.drawImage(planes.colour, 0, 0);
    return made;
  }

  /** Forget what was drawn and what could be undone. */
  function reset() {
    clear();
    past.length = 0;
  }

  return { overlay, brush, content, undo, clear, reset, sheet, scale };
}

/** @param {CanvasRenderingContext2D} c @param {number} a @param {number} b @param {number} x @param {number} y */
function arrow(c, a, b, x, y) {
  const angle = Math.atan2(y - b, x - a);
  for (const [colour, width] of /** @type {[string, number][]} */ ([["#000", 5], ["#ffd23f", 2.5]])) {
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.arc(a, b, 5, 0, 2 * Math.PI);
    c.moveTo(a, b);
    c.lineTo(x, y);
    for (const turn of [2.6, -2.6]) { c.moveTo(x, y); c.lineTo(x + 11 * Math.cos(angle + turn), y + 11 * Math.sin(angle + turn)); }
    c.stroke();
  }
}
