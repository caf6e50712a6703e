/** Animations as GIF: 256 colours for all frames, by median cut, and LZW. */

/**
 * @typedef {object} Frame
 * @property {Uint8ClampedArray | Uint8Array} data  RGBA
 * @property {number} width
 * @property {number} height
 */

/** Colours are counted in 5 bits of each channel. */
const CELL = 3;

/** @param {number} r @param {number} g @param {number} b @returns {number} */
function cellOf(r, g, b) {
  return ((r >> CELL) << 10) | ((g >> CELL) << 5) | (b >> CELL);
}

/**
 * At most 256 colours that represent all frames: boxes of colours are halved at the median of their
 * longest side (Heckbert 1982, https://doi.org/10.1145/965145.801294).
 * @param {Frame[]} frames
 * @returns {number[][]}
 */
export function findPalette(frames) {
  /** @type {Map<number, number[]>} */
  const cells = new Map();
  for (const { data } of frames) {
    for (let i = 0; i < data.length; i += 4) {
      const [r = 0, g = 0, b = 0] = data.subarray(i, i + 3);
      const sum = cells.get(cellOf(r, g, b)) ?? [0, 0, 0, 0];
      cells.set(cellOf(r, g, b), [sum[0] + r, sum[1] + g, sum[2] + b, sum[3] + 1]);
    }
  }
  const colours = [...cells.values()].map(([r = 0, g = 0, b = 0, n = 1]) => ({ at: [r / n, g / n, b / n], n }));
  let boxes = [colours];
  while (boxes.length < 256) {
    const sides = boxes.map(longestSide);
    const [largest] = sides.map((side, i) => ({ ...side, i })).sort((a, b) => b.length - a.length);
    if (!largest || largest.length === 0) break;
    const box = /** @type {typeof colours} */ (boxes[largest.i]);
    box.sort((a, b) => /** @type {number} */ (a.at[largest.axis]) - /** @type {number} */ (b.at[largest.axis]));
    boxes.splice(largest.i, 1, box.slice(0, box.length >> 1), box.slice(box.length >> 1));
  }
  return boxes.map((box) => {
    const total = box.reduce((sum, c) => sum + c.n, 0);
    return [0, 1, 2].map((k) => Math.round(box.reduce((sum, c) => sum + /** @type {number} */ (c.at[k]) * c.n, 0) / total));
  });
}

/** @param {{at: number[]}[]} box @returns {{axis: number, length: number}} */
function longestSide(box) {
  const lengths = [0, 1, 2].map((k) => {
    const values = box.map((c) => /** @type {number} */ (c.at[k]));
    return values.reduce((a, b) => Math.max(a, b), 0) - values.reduce((a, b) => Math.min(a, b), 255);
  });
  const length = Math.max(...lengths);
  return { axis: lengths.indexOf(length), length: box.length > 1 ? length : 0 };
}

/** @param {Frame} frame @param {number[][]} palette @param {Map<number, number>} known @returns {Uint8Array} */
function nearestColours(frame, palette, known) {
  const { data } = frame;
  const places = new Uint8Array(data.length >> 2);
  for (let i = 0; i < places.length; i++) {
    const [r = 0, g = 0, b = 0] = data.subarray(4 * i, 4 * i + 3);
    const key = (r << 16) | (g << 8) | b;
    let best = known.get(key);
    if (best === undefined) {
      let least = Infinity;
      best = 0;
      for (const [j, [x = 0, y = 0, z = 0]] of palette.entries()) {
        const distance = (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2;
        if (distance < least) [least, best] = [distance, j];
      }
      known.set(key, best);
    }
    places[i] = best;
  }
  return places;
}

/** @param {Uint8Array} places @returns {number[]} LZW with codes of up to 12 bits, in blocks of 255 bytes */
function compress(places) {
  const [clear, end] = [256, 257];
  /** @type {number[]} */
  const bytes = [];
  let [buffer, bits, size, next] = [0, 0, 9, 258];
  /** @type {Map<number, number>} */
  let table = new Map();
  const write = (/** @type {number} */ code) => {
    buffer |= code << bits;
    for (bits += size; bits >= 8; bits -= 8) {
      bytes.push(buffer & 255);
      buffer >>>= 8;
    }
  };
  write(clear);
  let prefix = places[0] ?? 0;
  for (const value of places.subarray(1)) {
    const key = (prefix << 8) | value;
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    write(prefix);
    if (next === 4096) {
      write(clear);
      [size, next, table] = [9, 258, new Map()];
    } else {
      if (next === 1 << size) size++;
      table.set(key, next++);
    }
    prefix = value;
  }
  write(prefix);
  if (next === 1 << size && size < 12) size++;
  write(end);
  if (bits) bytes.push(buffer & 255);
  const blocks = [];
  for (let i = 0; i < bytes.length; i += 255) {
    const block = bytes.slice(i, i + 255);
    blocks.push(block.length, ...block);
  }
  return [8, ...blocks, 0];
}

/**
 * An animation that repeats for ever.
 * @param {Frame[]} frames  of one size
 * @param {number} delay  hundredths of a second for each frame
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeGif(frames, delay) {
  const { width = 1, height = 1 } = frames[0] ?? {};
  const short = (/** @type {number} */ n) => [n & 255, n >> 8];
  const palette = findPalette(frames);
  const table = [...palette.flat(), ...Array(768).fill(0)].slice(0, 768);
  const known = new Map();
  const parts = [
    [...new TextEncoder().encode("GIF89a"), ...short(width), ...short(height), 0xf7, 0, 0, ...table],
    [0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0],
  ];
  for (const frame of frames) {
    parts.push([0x21, 0xf9, 4, 4, ...short(delay), 0, 0]);
    parts.push([0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0]);
    parts.push(compress(nearestColours(frame, palette, known)));
  }
  parts.push([0x3b]);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
