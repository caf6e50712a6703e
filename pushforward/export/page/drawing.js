/** Images and points on canvases, and drawing by pointer or keyboard. */

/**
 * @typedef {object} ImageSpace
 * @property {number} channels  1, 3 or 4
 * @property {number} height
 * @property {number} width
 * @property {number} low   of the levels
 * @property {number} high
 * @property {number[][]} [palette]  colours of classes, in 0..255
 * @property {boolean} [planes]  one channel for each class, in place of colours
 */
/** @typedef {{name: string, low: number, high: number, categories: string[]}} Column */

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
export function contextOf(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser draws no canvas");
  return context;
}

/** @param {string} name @returns {string} a colour of the style sheet, such as --ink */
export function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {ArrayLike<number>} values  channels first @param {ImageSpace} space @returns {ImageData} */
export function toPixels(values, space) {
  const { channels, height, width, low, high } = space;
  const [image, area] = [new ImageData(width, height), width * height];
  const by = 255 / (high - low || 1);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round((values[i + area * (channels < 3 ? 0 : c)] - low) * by);
    image.data[4 * i + 3] = channels === 4 ? (values[i + 3 * area] - low) * by : 255;
  }
  return image;
}

/** @param {ImageData} image @param {ImageSpace} space @returns {Float32Array} channels first */
export function fromPixels(image, space) {
  const { channels, height, width, low, high } = space;
  const area = width * height;
  const values = new Float32Array(channels * area);
  const level = (/** @type {number} */ share) => low + (share / 255) * (high - low);
  const palette = space.palette ?? [];
  for (let i = 0; i < area; i++) {
    const [r, g, b] = image.data.subarray(4 * i, 4 * i + 3);
    if (space.planes) {
      const apart = palette.map((c) => (c[0] - r) ** 2 + ((c[1] ?? c[0]) - g) ** 2 + ((c[2] ?? c[0]) - b) ** 2);
      const nearest = apart.indexOf(Math.min(...apart));
      for (let c = 0; c < channels; c++) values[c * area + i] = c === nearest ? high : low;
    } else if (channels === 1) values[i] = level(0.299 * r + 0.587 * g + 0.114 * b);
    else [r, g, b, 255].slice(0, channels).forEach((v, c) => { values[c * area + i] = level(v); });
  }
  return values;
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} image */
export function show(canvas, image) {
  if (canvas.width !== image.width || canvas.height !== image.height) [canvas.width, canvas.height] = [image.width, image.height];
  contextOf(canvas).putImageData(image, 0, 0);
}

/** @param {ImageData} image @param {number} by  whole @returns {ImageData} every pixel repeated */
export function enlarge(image, by) {
  const made = new ImageData(image.width * by, image.height * by);
  const [from, to] = [new Uint32Array(image.data.buffer), new Uint32Array(made.data.buffer)];
  for (let y = 0; y < made.height; y++) {
    for (let x = 0; x < made.width; x++) to[y * made.width + x] = from[Math.floor(y / by) * image.width + Math.floor(x / by)];
  }
  return made;
}

/**
 * Points with their axes: one column as a strip, two or more by the first two.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values  rows of all columns
 * @param {Column[]} columns
 * @param {number} size  of the canvas in its own pixels
 */
export function scatter(canvas, values, columns, size) {
  [canvas.width, canvas.height] = [size, size];
  const context = contextOf(canvas);
  const [unit, small] = [size / 420, size < 300];
  const [left, top, right, bottom] = small ? [0, 0, size, size] : [52 * unit, 14 * unit, size - 14 * unit, size - 44 * unit];
  const axes = columns.length > 1 ? [columns[0], columns[1]] : [columns[0], { name: "", low: 0, high: 1, categories: [] }];
  const [wide, high] = axes.map(({ low, high }) => widened(low, high));
  const x = (/** @type {number} */ v) => left + ((v - wide[0]) / (wide[1] - wide[0])) * (right - left);
  const y = (/** @type {number} */ v) => bottom - ((v - high[0]) / (high[1] - high[0])) * (bottom - top);
  context.fillStyle = colourOf("--card");
  context.fillRect(0, 0, size, size);
  if (!small) {
    context.font = `${13 * unit}px system-ui, sans-serif`;
    context.textAlign = "center";
    for (const tick of ticks(wide[0], wide[1])) {
      line(context, x(tick), top, x(tick), bottom, unit);
      label(context, format(tick), x(tick), bottom + 17 * unit);
    }
    context.textAlign = "right";
    if (columns.length > 1) {
      for (const tick of ticks(high[0], high[1])) {
        line(context, left, y(tick), right, y(tick), unit);
        label(context, format(tick), left - 7 * unit, y(tick) + 4 * unit);
      }
    }
    label(context, axes[0].name, right, size - 8 * unit);
    context.textAlign = "left";
    label(context, axes[1].name, 6 * unit, top + 2 * unit);
  }
  const step = columns.length;
  const place = (/** @type {number} */ i) => /** @type {[number, number]} */ (
    [x(values[i * step]), y(step > 1 ? values[i * step + 1] : ((i * 0.618034) % 1) * 0.8 + 0.1)]);
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.fillStyle = colourOf("--point");
  context.globalAlpha = 0.55;
  for (let i = 1; i < values.length / step; i++) dot(context, ...place(i), 2.6 * unit);
  context.restore();
  context.fillStyle = colourOf("--mark");
  dot(context, ...place(0), small ? 18 : 7 * unit);
  context.lineWidth = 2 * unit;
  context.strokeStyle = colourOf("--card");
  context.stroke();
}

/** @param {number} low @param {number} high @returns {[number, number]} with a margin */
function widened(low, high) {
  const margin = 0.08 * (high - low) || 1;
  return [low - margin, high + margin];
}

/** @param {number} low @param {number} high @returns {number[]} round numbers, about five */
export function ticks(low, high) {
  const raw = (high - low) / 5;
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = ten * ([1, 2, 5, 10].find((n) => n * ten >= raw) ?? 10);
  const made = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) made.push(i * step);
  return made;
}

/** @param {number} value @returns {string} */
export function format(value) {
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/** @param {CanvasRenderingContext2D} c @param {number} x @param {number} y @param {number} radius */
function dot(c, x, y, radius) {
  c.beginPath();
  c.arc(x, y, radius, 0, 2 * Math.PI);
  c.fill();
}

/** @param {CanvasRenderingContext2D} c @param {number} x @param {number} y @param {number} u @param {number} v @param {number} width */
function line(c, x, y, u, v, width) {
  c.strokeStyle = colourOf("--line");
  c.lineWidth = width;
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(u, v);
  c.stroke();
}

/** @param {CanvasRenderingContext2D} c @param {string} text @param {number} x @param {number} y */
function label(c, text, x, y) {
  c.fillStyle = colourOf("--quiet");
  c.fillText(text, x, y);
}

/**
 * The middle of an image in a file, in the size of a canvas.
 * @param {HTMLCanvasElement} canvas @param {Blob} file
 */
export async function showFile(canvas, file) {
  const image = await createImageBitmap(file);
  const side = Math.min(image.width / canvas.width, image.height / canvas.height);
  const [w, h] = [canvas.width * side, canvas.height * side];
  const context = contextOf(canvas);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (image.width - w) / 2, (image.height - h) / 2, w, h, 0, 0, canvas.width, canvas.height);
}

/** Strokes on a canvas by mouse, touch, pen, or arrow keys with the space bar. */
export class Pen {
  /** @param {HTMLCanvasElement} canvas @param {() => void} changed */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.colour = "#000000";
    this.width = 2;
    this.box = false;
    /** @type {ImageData | null} */
    this.before = null;
    this.down = false;
    this.x = canvas.width / 2;
    this.y = canvas.height / 2;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.down = false; });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  place(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * this.canvas.width, ((event.clientY - top) / height) * this.canvas.height];
  }

  /** @param {PointerEvent} event */
  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.down = true;
    [this.x, this.y] = this.place(event);
    this.before = contextOf(this.canvas).getImageData(0, 0, this.canvas.width, this.canvas.height);
    if (!this.box) this.to(this.x, this.y);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.down) return;
    const [x, y] = this.place(event);
    if (this.box) this.rectangle(x, y);
    else this.to(x, y);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = Math.max(1, this.width / 2);
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    });
    const by = moves[event.key];
    if (event.key === " ") this.to(this.x, this.y);
    else if (by && event.shiftKey) [this.x, this.y] = [this.x + by[0], this.y + by[1]];
    else if (by) this.to(this.x + by[0], this.y + by[1]);
    else return;
    event.preventDefault();
  }

  /** @param {number} x @param {number} y  a line from where the pen is */
  to(x, y) {
    const context = contextOf(this.canvas);
    context.strokeStyle = this.colour;
    context.lineWidth = this.width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(this.x, this.y);
    context.lineTo(x + 0.01, y);
    context.stroke();
    [this.x, this.y] = [x, y];
    this.changed();
  }

  /** @param {number} x @param {number} y  a filled box from where the stroke began */
  rectangle(x, y) {
    const context = contextOf(this.canvas);
    if (this.before) context.putImageData(this.before, 0, 0);
    context.fillStyle = this.colour;
    context.fillRect(Math.min(x, this.x), Math.min(y, this.y), Math.abs(x - this.x), Math.abs(y - this.y));
    this.changed();
  }
}
