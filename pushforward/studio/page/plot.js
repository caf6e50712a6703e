// A plot with axes, ticks, units and a legend, on a canvas; it can be saved as SVG or PNG.

import { heat, isDark, themed } from "./colours.js";
import { button, h, save } from "./elements.js";
import { CanvasPen, SvgPen } from "./pen.js";

/**
 * @typedef {CanvasPen | SvgPen} Pen
 * @typedef {{kind: "heat", values: ArrayLike<number>, width: number, height: number, scale: {kind: "rising" | "diverging" | "categories", low: number, high: number}, name?: string}} Heat
 * @typedef {{kind: "points", xy: ArrayLike<number>, colour: string, size?: number, alpha?: number, name?: string}} Points
 * @typedef {{kind: "lines", lines: ArrayLike<number>[], colour: string, width?: number, alpha?: number, close?: boolean, dash?: number[], name?: string}} Lines
 * @typedef {{kind: "arrows", from: ArrayLike<number>, by: ArrayLike<number>, colour: string, name?: string}} Arrows
 * @typedef {Heat | Points | Lines | Arrows} Mark
 * @typedef {{x: [number, number], y: [number, number], marks: Mark[], still?: Mark[]}} Content
 * @typedef {{title: string, x: string, y: string, equal?: boolean, log?: boolean, shape?: number, writeX?: (v: number) => string, writeY?: (v: number) => string}} Look
 */

const LEFT = 52, RIGHT = 12, TOP = 8, BOTTOM = 40, LEGEND = 20, SIZE = 12;
const BEHIND_WHITE = "#55606e"; // in legends: white stands on heat maps, not on the page

/** A plot; `still` marks lie under the others and are painted once, as long as the same array comes. */
export class Plot {
  /** @param {Look} look  equal: one scale on both axes; shape: height over width */
  constructor(look) {
    this.look = look;
    /** @type {Content} */
    this.content = { x: [0, 1], y: [0, 1], marks: [] };
    this.canvas = h("canvas", { role: "img", "aria-label": look.title });
    const tools = h("span", { class: "save" },
      button("SVG", () => this.saveSvg(), { class: "quiet", title: "Save this plot as SVG", "aria-label": `Save ${look.title} as SVG` }),
      button("PNG", () => this.savePng(), { class: "quiet", title: "Save this plot as PNG", "aria-label": `Save ${look.title} as PNG` }));
    this.element = h("figure", { class: "plot" }, h("figcaption", {}, h("span", {}, look.title), tools), this.canvas);
    this.frame = 0;
    this.rows = 1;
    this.ground = h("canvas");
    /** @type {unknown[]} what the ground was painted for */
    this.painted = [];
    new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement ?? this.canvas);
    redrawWithTheme(this);
  }

  /** @param {Content} content */
  show(content) {
    this.content = content;
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const width = this.element.clientWidth;
    if (!width) return;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d")), pen = new CanvasPen(context);
    this.rows = legendRows(pen, this.marks(), width - LEFT - RIGHT).length;
    const height = this.height(width), dense = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.ground]) {
      if (canvas.width !== Math.round(width * dense)) canvas.width = Math.round(width * dense);
      if (canvas.height !== Math.round(height * dense)) canvas.height = Math.round(height * dense);
    }
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    this.drawGround(width, height, dense);
    context.drawImage(this.ground, 0, 0, width, height);
    this.renderMarks(pen, width, height);
  }

  /** @param {number} width @param {number} height @param {number} dense */
  drawGround(width, height, dense) {
    const { x, y, still } = this.content, wanted = [width, height, dense, isDark(), ...x, ...y, still];
    if (still && wanted.every((value, k) => value === this.painted[k])) return;
    const context = /** @type {CanvasRenderingContext2D} */ (this.ground.getContext("2d"));
    context.setTransform(dense, 0, 0, dense, 0, 0);
    this.renderGround(new CanvasPen(context), width, height);
    this.painted = wanted;
  }

  marks() {
    return [...(this.content.still ?? []), ...this.content.marks];
  }

  /** @param {number} width */
  height(width) {
    const inner = width - LEFT - RIGHT;
    return Math.round((this.look.equal ? inner : inner * (this.look.shape ?? 0.6)) + TOP + BOTTOM + this.rows * LEGEND);
  }

  /** @param {number} width @param {number} height */
  scales(width, height) {
    const { x, y } = this.content;
    const legend = this.rows * LEGEND;
    const [left, top, w, hh] = [LEFT, TOP + legend, width - LEFT - RIGHT, height - TOP - BOTTOM - legend];
    const spanX = x[1] - x[0] || 1, spanY = y[1] - y[0] || 1;
    return {
      left, top, w, h: hh,
      /** @param {number} v */ x: (v) => left + ((v - x[0]) / spanX) * w,
      /** @param {number} v */ y: (v) => top + hh - ((v - y[0]) / spanY) * hh,
    };
  }

  /**
   * Where in the data a pointer is.
   * @param {PointerEvent} event
   * @returns {[number, number]}
   */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const s = this.scales(box.width, this.height(box.width));
    const { x, y } = this.content;
    return [
      x[0] + ((event.clientX - box.left - s.left) / s.w) * (x[1] - x[0]),
      y[0] + ((s.top + s.h - (event.clientY - box.top)) / s.h) * (y[1] - y[0]),
    ];
  }

  /** @param {Pen} pen @param {number} width @param {number} height */
  render(pen, width, height) {
    this.renderGround(pen, width, height);
    this.renderMarks(pen, width, height);
  }

  /** Axes and still marks. @param {Pen} pen @param {number} width @param {number} height */
  renderGround(pen, width, height) {
    const s = this.scales(width, height), ink = themed("ink"), soft = themed("soft"), line = themed("line");
    pen.rectangle(0, 0, width, height, themed("surface"));
    pen.rectangle(s.left, s.top, s.w, s.h, themed("ground"));
    pen.within(s.left, s.top, s.w, s.h, () => (this.content.still ?? []).forEach((mark) => drawMark(pen, mark, s)));
    for (const v of ticks(this.content.x, Math.max(2, s.w / 80))) {
      pen.path([s.x(v), s.top + s.h, s.x(v), s.top + s.h + 4], { stroke: line });
      pen.text((this.look.writeX ?? label)(v), s.x(v), s.top + s.h + 13, { size: SIZE - 1, align: "center", fill: soft });
    }
    for (const v of ticks(this.content.y, Math.max(2, s.h / 50))) {
      pen.path([s.left - 4, s.y(v), s.left, s.y(v)], { stroke: line });
      pen.text((this.look.writeY ?? label)(v), s.left - 7, s.y(v), { size: SIZE - 1, align: "right", fill: soft });
    }
    pen.text(this.look.x, s.left + s.w / 2, height - 9, { size: SIZE, align: "center", fill: ink });
    pen.text(this.look.y, 9, s.top + s.h / 2, { size: SIZE, align: "center", fill: ink, turn: -Math.PI / 2 });
  }

  /** Marks that move, and the legend. @param {Pen} pen @param {number} width @param {number} height */
  renderMarks(pen, width, height) {
    const s = this.scales(width, height), ink = themed("ink");
    pen.within(s.left, s.top, s.w, s.h, () => this.content.marks.forEach((mark) => drawMark(pen, mark, s)));
    pen.path([s.left, s.top, s.left, s.top + s.h, s.left + s.w, s.top + s.h], { stroke: themed("line") });
    legendRows(pen, this.marks(), s.w).forEach((row, k) => drawLegend(pen, row, s.left, TOP + 6 + k * LEGEND, ink));
  }

  saveSvg() {
    const width = Math.max(320, this.element.clientWidth), height = this.height(width), pen = new SvgPen(width, height);
    this.render(pen, width, height);
    save(new Blob([pen.toString()], { type: "image/svg+xml" }), `${fileName(this.look.title)}.svg`);
  }

  savePng() {
    this.canvas.toBlob((blob) => blob && save(blob, `${fileName(this.look.title)}.png`));
  }
}

/**
 * Draw a plot again when the theme changes, as long as it is in use.
 * @param {Plot} plot
 */
function redrawWithTheme(plot) {
  const weak = new WeakRef(plot);
  const redraw = () => { const found = weak.deref(); if (found) found.draw(); else removeEventListener("themechange", redraw); };
  addEventListener("themechange", redraw);
}

/**
 * Draw marks again when the theme changes, as their colours change with it, while they are shown.
 * @param {HTMLElement} element  that shows them @param {() => void} draw
 */
export function redrawn(element, draw) {
  const redraw = () => { if (element.isConnected) draw(); else removeEventListener("themechange", redraw); };
  addEventListener("themechange", redraw);
}

/** @param {string} title */
const fileName = (title) => title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "plot";

/** @typedef {{left: number, top: number, w: number, h: number, x: (v: number) => number, y: (v: number) => number}} Scales */

/** @param {ArrayLike<number>} xy @param {Scales} s */
function toPlaces(xy, s) {
  const out = new Float64Array(xy.length - (xy.length % 2));
  for (let i = 0; i + 1 < xy.length; i += 2) {
    out[i] = s.x(xy[i]);
    out[i + 1] = s.y(xy[i + 1]);
  }
  return out;
}

/** @param {Pen} pen @param {Mark} mark @param {Scales} s */
function drawMark(pen, mark, s) {
  if (mark.kind === "heat") {
    pen.image(heat(mark.values, mark.width, mark.height, mark.scale), mark.width, mark.height, s.left, s.top, s.w, s.h);
  } else if (mark.kind === "points") {
    pen.dots(toPlaces(mark.xy, s), mark.size ?? 2, { fill: mark.colour, alpha: mark.alpha });
  } else if (mark.kind === "lines") {
    for (const path of mark.lines) if (path.length === 2) pen.dots(toPlaces(path, s), 3, { fill: mark.colour });
    for (const path of mark.lines) pen.path(toPlaces(path, s), { stroke: mark.colour, width: mark.width, alpha: mark.alpha, close: mark.close, dash: mark.dash });
  } else {
    drawArrows(pen, mark, s);
  }
}

/** @param {Pen} pen @param {Arrows} mark @param {Scales} s */
function drawArrows(pen, mark, s) {
  let longest = 0;
  for (let i = 0; i + 1 < mark.by.length; i += 2) longest = Math.max(longest, Math.hypot(mark.by[i], mark.by[i + 1]));
  const unit = 0.07 * s.w / (longest || 1);
  for (let i = 0; i + 1 < mark.from.length; i += 2) {
    const x = s.x(mark.from[i]), y = s.y(mark.from[i + 1]);
    const dx = mark.by[i] * unit, dy = -mark.by[i + 1] * unit, length = Math.hypot(dx, dy);
    if (length < 1) continue;
    const ux = dx / length, uy = dy / length, head = Math.min(4, length / 2);
    pen.path([x, y, x + dx, y + dy], { stroke: mark.colour, width: 1.2 });
    pen.path([x + dx - head * (ux - uy), y + dy - head * (uy + ux), x + dx, y + dy, x + dx - head * (ux + uy), y + dy - head * (uy - ux)], { stroke: mark.colour, width: 1.2 });
  }
}

/** @param {Pen} pen @param {Mark} mark */
const legendWidth = (pen, mark) => pen.measure(mark.name ?? "", SIZE - 1) + 32;

/**
 * The marks with names, in rows of a legend.
 * @param {Pen} pen @param {Mark[]} marks @param {number} width
 */
function legendRows(pen, marks, width) {
  /** @type {Mark[][]} */
  const rows = [[]];
  let used = 0;
  for (const mark of marks) {
    if (!mark.name) continue;
    const long = legendWidth(pen, mark);
    if (used && used + long > width + 12) { rows.push([]); used = 0; }
    rows[rows.length - 1].push(mark);
    used += long;
  }
  return rows;
}

/** @param {Pen} pen @param {Mark[]} marks @param {number} left @param {number} y @param {string} ink */
function drawLegend(pen, marks, left, y, ink) {
  let x = left;
  for (const mark of marks) {
    if (mark.kind !== "heat" && mark.colour.toLowerCase() === "#ffffff") pen.rectangle(x - 1, y - 6, 16, 12, BEHIND_WHITE);
    if (mark.kind === "heat") drawScale(pen, mark, x, y);
    else if (mark.kind === "points") pen.dots([x + 7, y], 4, { fill: mark.colour });
    else pen.path([x, y, x + 14, y], { stroke: mark.colour, width: 2, dash: mark.kind === "lines" ? mark.dash : [] });
    pen.text(mark.name ?? "", x + 19, y, { size: SIZE - 1, fill: ink });
    x += legendWidth(pen, mark);
  }
}

/** @param {Pen} pen @param {Heat} mark @param {number} x @param {number} y */
function drawScale(pen, mark, x, y) {
  const ramp = Array.from({ length: 14 }, (_, i) => mark.scale.kind === "categories" ? Math.floor(i / 5) : mark.scale.low + ((mark.scale.high - mark.scale.low) * i) / 13);
  pen.image(heat(ramp, 14, 1, mark.scale), 14, 1, x, y - 4, 14, 8);
}

/**
 * Round numbers within a range.
 * @param {[number, number]} range @param {number} most
 */
export function ticks([low, high], most) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const rough = span / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

/** @param {number} v */
export function label(v) {
  const size = Math.abs(v);
  if (size >= 1e4 && size < 1e15) return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 }).format(v);
  if (size !== 0 && (size >= 1e15 || size < 1e-3)) return Number(v.toPrecision(3)).toExponential().replace("e+", "e");
  return String(Number(v.toPrecision(4)));
}

/**
 * The range of some numbers, widened a little.
 * @param {Iterable<number>} values
 * @returns {[number, number]}
 */
export function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) return [0, 1];
  const pad = 0.04 * (high - low) || 0.5 * Math.abs(high) || 0.5;
  return [low - pad, high + pad];
}
