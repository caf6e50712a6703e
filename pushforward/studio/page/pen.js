// Two pens with the same strokes: one draws on a canvas, the other writes SVG.

/**
 * @typedef {{stroke?: string, width?: number, fill?: string, alpha?: number, close?: boolean, dash?: number[]}} Style
 * @typedef {{size?: number, align?: "left" | "center" | "right", fill?: string, turn?: number, weight?: number}} TextStyle
 */

const FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

export class CanvasPen {
  /** @param {CanvasRenderingContext2D} context */
  constructor(context) {
    this.context = context;
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {string} fill */
  rectangle(x, y, w, h, fill) {
    this.context.fillStyle = fill;
    this.context.fillRect(x, y, w, h);
  }

  /** @param {ArrayLike<number>} xy  x and y in turn @param {Style} style */
  path(xy, style) {
    const c = this.context;
    c.save();
    c.globalAlpha = style.alpha ?? 1;
    c.beginPath();
    for (let i = 0; i + 1 < xy.length; i += 2) {
      if (i) c.lineTo(xy[i], xy[i + 1]);
      else c.moveTo(xy[i], xy[i + 1]);
    }
    if (style.close) c.closePath();
    if (style.fill) { c.fillStyle = style.fill; c.fill(); }
    if (style.stroke) {
      c.strokeStyle = style.stroke; c.lineWidth = style.width ?? 1; c.lineJoin = "round"; c.setLineDash(style.dash ?? []);
      c.stroke();
    }
    c.restore();
  }

  /** @param {ArrayLike<number>} xy @param {number} radius @param {Style} style */
  dots(xy, radius, style) {
    const c = this.context;
    c.save();
    c.globalAlpha = style.alpha ?? 1;
    c.fillStyle = style.fill ?? "black";
    c.beginPath();
    for (let i = 0; i + 1 < xy.length; i += 2) {
      c.moveTo(xy[i] + radius, xy[i + 1]);
      c.arc(xy[i], xy[i + 1], radius, 0, 2 * Math.PI);
    }
    c.fill();
    c.restore();
  }

  /** @param {string} text @param {number} x @param {number} y @param {TextStyle} [style] */
  text(text, x, y, style = {}) {
    const c = this.context;
    c.save();
    c.translate(x, y);
    c.rotate(style.turn ?? 0);
    c.font = `${style.weight ?? 400} ${style.size ?? 12}px ${FONT}`;
    c.textAlign = style.align ?? "left";
    c.textBaseline = "middle";
    c.fillStyle = style.fill ?? "black";
    c.fillText(text, 0, 0);
    c.restore();
  }

  /** @param {string} text @param {number} size */
  measure(text, size) {
    this.context.font = `${size}px ${FONT}`;
    return this.context.measureText(text).width;
  }

  /**
   * @param {Uint8ClampedArray<ArrayBuffer>} pixels @param {number} width @param {number} height
   * @param {number} x @param {number} y @param {number} w @param {number} h
   */
  image(pixels, width, height, x, y, w, h) {
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(stamp(pixels, width, height), x, y, w, h);
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {() => void} draw */
  within(x, y, w, h, draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, w, h);
    this.context.clip();
    draw();
    this.context.restore();
  }
}

export class SvgPen {
  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    /** @type {string[]} */
    this.parts = [];
    this.clips = 0;
    this.ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {string} fill */
  rectangle(x, y, w, h, fill) {
    this.parts.push(`<rect x="${f(x)}" y="${f(y)}" width="${f(w)}" height="${f(h)}" fill="${fill}"/>`);
  }

  /** @param {ArrayLike<number>} xy @param {Style} style */
  path(xy, style) {
    const points = Array.from({ length: xy.length >> 1 }, (_, i) => `${f(xy[2 * i])},${f(xy[2 * i + 1])}`);
    const dash = style.dash?.length ? ` stroke-dasharray="${style.dash.join(" ")}"` : "";
    this.parts.push(`<path d="M${points.join("L")}${style.close ? "Z" : ""}" fill="${style.fill ?? "none"}" stroke="${style.stroke ?? "none"}" stroke-width="${style.width ?? 1}" opacity="${style.alpha ?? 1}"${dash}/>`);
  }

  /** @param {ArrayLike<number>} xy @param {number} radius @param {Style} style */
  dots(xy, radius, style) {
    const circles = Array.from({ length: xy.length >> 1 }, (_, i) => `<circle cx="${f(xy[2 * i])}" cy="${f(xy[2 * i + 1])}" r="${f(radius)}"/>`);
    this.parts.push(`<g fill="${style.fill ?? "black"}" opacity="${style.alpha ?? 1}">${circles.join("")}</g>`);
  }

  /** @param {string} text @param {number} x @param {number} y @param {TextStyle} [style] */
  text(text, x, y, style = {}) {
    const anchor = { left: "start", center: "middle", right: "end" }[style.align ?? "left"];
    const turn = style.turn ? ` transform="rotate(${f((style.turn * 180) / Math.PI)} ${f(x)} ${f(y)})"` : "";
    const safe = text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c] ?? c);
    this.parts.push(`<text x="${f(x)}" y="${f(y)}" dominant-baseline="central" text-anchor="${anchor}" font-size="${style.size ?? 12}" font-weight="${style.weight ?? 400}" fill="${style.fill ?? "black"}"${turn}>${safe}</text>`);
  }

  /** @param {string} text @param {number} size */
  measure(text, size) {
    this.ruler.font = `${size}px ${FONT}`;
    return this.ruler.measureText(text).width;
  }

  /**
   * @param {Uint8ClampedArray<ArrayBuffer>} pixels @param {number} width @param {number} height
   * @param {number} x @param {number} y @param {number} w @param {number} h
   */
  image(pixels, width, height, x, y, w, h) {
    const address = stamp(pixels, width, height).toDataURL();
    this.parts.push(`<image href="${address}" x="${f(x)}" y="${f(y)}" width="${f(w)}" height="${f(h)}" preserveAspectRatio="none"/>`);
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {() => void} draw */
  within(x, y, w, h, draw) {
    const id = `clip${this.clips++}`;
    this.parts.push(`<clipPath id="${id}"><rect x="${f(x)}" y="${f(y)}" width="${f(w)}" height="${f(h)}"/></clipPath><g clip-path="url(#${id})">`);
    draw();
    this.parts.push("</g>");
  }

  toString() {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family='${FONT}'>${this.parts.join("")}</svg>`;
  }
}

/** @param {number} x */
const f = (x) => (Math.round(x * 100) / 100).toString();

/** @param {Uint8ClampedArray<ArrayBuffer>} pixels @param {number} width @param {number} height */
function stamp(pixels, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}
