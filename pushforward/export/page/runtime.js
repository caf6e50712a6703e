/**
 * Runs a program: a list of steps with fixed shapes, and its weights.
 * The steps are described in pushforward/export/program.py, which makes them.
 */
import { allocate, multiply } from "./gemm.js";

/**
 * @typedef {object} Step
 * @property {string} op
 * @property {string[]} inputs
 * @property {string} output
 * @property {Record<string, any>} [settings]
 */
/**
 * @typedef {object} Program
 * @property {string[]} inputs
 * @property {string} output
 * @property {Step[]} steps
 * @property {Record<string, number[]>} shapes
 * @property {{name: string, size: number}[]} constants  in the order of the weights
 * @property {boolean} half  whether weights are float16
 */
/** @typedef {import("./gemm.js").Memory} Memory */

/** Pixels of an image whose patches are laid out for one product. */
const STRIP = 256;

/** @param {number[]} shape @returns {number} */
export function count(shape) {
  return shape.reduce((a, b) => a * b, 1);
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} bytes in base64 */
export function fromBase64(text) {
  const raw = atob(text.trim());
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** @param {number} bits @returns {number} the number that 16 bits stand for */
export function fromHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {boolean} half @returns {Float32Array} */
export function readWeights(bytes, half) {
  if (!half) return new Float32Array(bytes.buffer, 0, bytes.length >> 2);
  const table = Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits));
  return Float32Array.from(new Uint16Array(bytes.buffer, 0, bytes.length >> 1), (bits) => table[bits] ?? 0);
}

/** Tensors that are needed at the same time have places of their own. */
class Places {
  constructor() {
    /** @type {{start: number, size: number}[]} */
    this.free = [];
    this.end = 0;
  }

  /** @param {number} size @returns {number} */
  take(size) {
    size = (size + 3) & ~3;
    const found = this.free.findIndex((gap) => gap.size >= size);
    const gap = this.free[found];
    if (!gap) {
      this.end += size;
      return this.end - size;
    }
    gap.start += size;
    gap.size -= size;
    return gap.start - size;
  }

  /** @param {number} start @param {number} size */
  give(start, size) {
    this.free.push({ start, size: (size + 3) & ~3 });
  }
}

/** @type {Record<string, (a: number, b: number) => number>} */
const BINARY = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b,
  pow: Math.pow, min: Math.min, max: Math.max,
  less: (a, b) => Number(a < b), greater: (a, b) => Number(a > b), equal: (a, b) => Number(a === b),
  at_most: (a, b) => Number(a <= b), at_least: (a, b) => Number(a >= b),
};

/** @param {number} x @returns {number} by a rational approximation, to 1.5e-7 (Abramowitz & Stegun 7.1.26) */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - p * Math.exp(-x * x));
}

/** @type {Record<string, (s: Record<string, number>) => (x: number) => number>} */
const UNARY = {
  relu: () => (x) => (x > 0 ? x : 0),
  leaky: (s) => { const by = s.by ?? 0; return (x) => (x > 0 ? x : by * x); },
  elu: (s) => { const by = s.by ?? 1; return (x) => (x > 0 ? x : by * Math.expm1(x)); },
  tanh: () => Math.tanh,
  sigmoid: () => (x) => 1 / (1 + Math.exp(-x)),
  softplus: () => (x) => (x > 20 ? x : Math.log1p(Math.exp(x))),
  swish: (s) => { const by = s.by ?? 1; return (x) => x / (1 + Math.exp(-by * x)); },
  gelu: () => (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  gelu_tanh: () => (x) => 0.5 * x * (1 + Math.tanh(0.7978845608 * (x + 0.044715 * x * x * x))),
  clip: (s) => { const { low = 0, high = 0 } = s; return (x) => (x < low ? low : x > high ? high : x); },
  exp: () => Math.exp, log: () => Math.log, neg: () => (x) => -x, abs: () => Math.abs,
  sqrt: () => Math.sqrt, reciprocal: () => (x) => 1 / x, erf: () => erf, floor: () => Math.floor,
  round: () => (x) => { const r = Math.round(x); return r - x === 0.5 && r % 2 ? r - 1 : r; },
  not: () => (x) => Number(!x), sin: () => Math.sin, cos: () => Math.cos,
};

/** A program that is ready to run. */
export class Runtime {
  /**
   * @param {Program} program
   * @param {Uint8Array<ArrayBuffer>} weights
   * @param {{plain?: boolean}} [how]  `plain`: without WebAssembly
   * @returns {Promise<Runtime>}
   */
  static async load(program, weights, how = {}) {
    const places = new Places();
    /** @type {Map<string, number>} */
    const where = new Map();
    for (const each of program.constants) where.set(each.name, places.take(each.size));
    for (const name of program.inputs) where.set(name, places.take(count(program.shapes[name] ?? [])));
    const scratch = plan(program, places, where);
    const memory = await allocate(places.end, how.plain);
    const values = readWeights(weights, program.half);
    let from = 0;
    for (const each of program.constants) {
      memory.floats.set(values.subarray(from, from + each.size), where.get(each.name));
      from += each.size;
    }
    return new Runtime(program, memory, where, scratch);
  }

  /**
   * @param {Program} program @param {Memory} memory
   * @param {Map<string, number>} where @param {number[]} scratch
   */
  constructor(program, memory, where, scratch) {
    this.program = program;
    this.memory = memory;
    this.where = where;
    /** @type {Set<number>} */
    this.turned = new Set();
    /** @type {(() => void)[]} */
    this.work = program.steps.map((step, i) => compile(this, step, scratch[i] ?? 0));
  }

  /** @param {string} name @returns {number[]} */
  shape(name) {
    return this.program.shapes[name] ?? [];
  }

  /** @param {string} name @returns {number} its place */
  place(name) {
    return this.where.get(name) ?? 0;
  }

  /** @param {string} name @returns {Float32Array} its values, in place */
  view(name) {
    const start = this.place(name);
    return this.memory.floats.subarray(start, start + count(this.shape(name)));
  }

  /**
   * Turn the weights of a transposed convolution, once, so that rows of its product are contiguous:
   * (rows, lines) to (lines, rows) for each group.
   * @param {number} at @param {number} groups @param {number} rows @param {number} lines
   */
  turn(at, groups, rows, lines) {
    if (this.turned.has(at)) return;
    this.turned.add(at);
    const { floats } = this.memory;
    const before = floats.slice(at, at + groups * rows * lines);
    for (let g = 0, to = at; g < groups; g++) {
      for (let l = 0; l < lines; l++) {
        for (let i = 0; i < rows; i++) floats[to++] = /** @type {number} */ (before[(g * rows + i) * lines + l]);
      }
    }
  }

  /** @param {...ArrayLike<number>} inputs @returns {Float32Array} the output, until the next run */
  run(...inputs) {
    this.program.inputs.forEach((name, i) => this.view(name).set(inputs[i] ?? []));
    for (const step of this.work) step();
    return this.view(this.program.output);
  }
}

/**
 * Where every tensor is, and the scratch of every step; places are used again.
 * @param {Program} program @param {Places} places @param {Map<string, number>} where
 * @returns {number[]}
 */
function plan(program, places, where) {
  const { steps, shapes } = program;
  /** @type {Map<string, number>} */
  const last = new Map();
  steps.forEach((step, i) => step.inputs.forEach((name) => last.set(name, i)));
  last.set(program.output, steps.length);
  const fixed = new Set(where.keys());
  return steps.map((step, i) => {
    const source = step.inputs[0] ?? "";
    const size = count(shapes[step.output] ?? []);
    const ends = last.get(source) === i && !fixed.has(source);
    if (ends && (step.op === "unary" || step.op === "reshape")) {
      where.set(step.output, where.get(source) ?? 0);
      return 0;
    }
    where.set(step.output, places.take(size));
    const wanted = scratchSize(step, shapes);
    const scratch = wanted ? places.take(wanted) : 0;
    if (wanted) places.give(scratch, wanted);
    for (const name of new Set(step.inputs)) {
      if (last.get(name) === i && !fixed.has(name)) places.give(where.get(name) ?? 0, count(shapes[name] ?? []));
    }
    return scratch;
  });
}

/** @param {Step} step @param {Record<string, number[]>} shapes @returns {number} */
function scratchSize(step, shapes) {
  const [source = [], weight = []] = step.inputs.map((name) => shapes[name] ?? []);
  const [, w1 = 1, kh = 1, kw = 1] = weight;
  if (step.op === "conv") return w1 * kh * kw * STRIP;
  if (step.op === "spread") return w1 * kh * kw * count(source.slice(2));
  return 0;
}

/** @param {Runtime} r @param {Step} step @param {number} scratch @returns {() => void} */
function compile(r, step, scratch) {
  const make = STEPS[step.op];
  if (!make) throw new Error(`this page cannot compute ${step.op}`);
  return make(r, step, step.settings ?? {}, scratch);
}

/** @param {number[]} shape @returns {number[]} */
function stridesOf(shape) {
  const steps = Array(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) steps[i] = steps[i + 1] * /** @type {number} */ (shape[i + 1]);
  return steps;
}

/**
 * The place in a tensor of every value of a larger one that it is broadcast to; null if they are alike.
 * @param {number[]} shape @param {number[]} target @returns {Int32Array | null}
 */
function broadcast(shape, target) {
  if (shape.length === target.length && shape.every((n, i) => n === target[i])) return null;
  const full = [...Array(target.length - shape.length).fill(1), ...shape];
  const steps = stridesOf(full).map((step, i) => (full[i] === 1 ? 0 : step));
  return sums(target.map((n, i) => Array.from({ length: n }, (_, j) => j * steps[i])));
}

/** @param {number[][]} offsets @returns {Int32Array} the sum for every place; below 0 where any is far below */
function sums(offsets) {
  let made = new Int32Array([0]);
  for (const axis of offsets) {
    const next = new Int32Array(made.length * axis.length);
    let at = 0;
    for (const before of made) for (const step of axis) next[at++] = before < 0 ? before : before + step;
    made = next;
  }
  return made;
}

/** @typedef {(r: Runtime, step: Step, s: Record<string, any>, scratch: number) => () => void} Maker */

/** @type {Record<string, Maker>} */
const STEPS = {
  reshape(r, step) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    return () => { if (x.byteOffset !== out.byteOffset) out.set(x); };
  },
  unary(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    const f = /** @type {(s: any) => (x: number) => number} */ (UNARY[s.kind])(s);
    return () => { for (let i = 0; i < out.length; i++) out[i] = f(/** @type {number} */ (x[i])); };
  },
  binary(r, step, s) {
    const [a, b] = step.inputs.map((name) => r.view(name));
    const out = r.view(step.output);
    const f = /** @type {(a: number, b: number) => number} */ (BINARY[s.kind]);
    const [i1, i2] = step.inputs.map((name) => broadcast(r.shape(name), r.shape(step.output)));
    return () => {
      for (let i = 0; i < out.length; i++) {
        out[i] = f(/** @type {any} */ (a)[i1 ? /** @type {number} */ (i1[i]) : i], /** @type {any} */ (b)[i2 ? /** @type {number} */ (i2[i]) : i]);
      }
    };
  },
  where(r, step) {
    const views = step.inputs.map((name) => r.view(name));
    const maps = step.inputs.map((name) => broadcast(r.shape(name), r.shape(step.output)));
    const out = r.view(step.output);
    const value = (/** @type {number} */ k, /** @type {number} */ i) =>
      /** @type {number} */ (views[k]?.[maps[k] ? /** @type {number} */ (maps[k]?.[i]) : i]);
    return () => { for (let i = 0; i < out.length; i++) out[i] = value(0, i) ? value(1, i) : value(2, i); };
  },
  take(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    const from = sums(s.offsets);
    return () => {
      for (let i = 0; i < out.length; i++) {
        const place = /** @type {number} */ (from[i]);
        out[i] = place < 0 ? 0 : /** @type {number} */ (x[place]);
      }
    };
  },
  concat(r, step, s) {
    const out = r.view(step.output);
    const after = (/** @type {string} */ name) => count(r.shape(name).slice(s.axis));
    const whole = after(step.output);
    let at = 0;
    const parts = step.inputs.map((name) => {
      const part = { x: r.view(name), size: after(name), at };
      at += part.size;
      return part;
    });
    return () => {
      for (const { x, size, at } of parts) {
        for (let i = 0, n = x.length / size; i < n; i++) out.set(x.subarray(i * size, (i + 1) * size), i * whole + at);
      }
    };
  },
  resample(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    const [before, after] = [r.shape(step.inputs[0] ?? ""), r.shape(step.output)];
    const inner = count(after.slice(s.axis + 1));
    const [old = 1, wide = 1] = [before[s.axis], after[s.axis]];
    return () => {
      for (let o = 0; o < out.length / (wide * inner); o++) {
        for (let i = 0; i < wide; i++) {
          const [a, b] = [(o * old + s.first[i]) * inner, (o * old + s.second[i]) * inner];
          const [t, to] = [s.share[i], (o * wide + i) * inner];
          for (let j = 0; j < inner; j++) {
            const left = /** @type {number} */ (x[a + j]);
            out[to + j] = left + t * (/** @type {number} */ (x[b + j]) - left);
          }
        }
      }
    };
  },
  normalise(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    const n = s.length;
    return () => {
      for (let start = 0; start < x.length; start += n) {
        let [mean, variance] = [0, 0];
        for (let i = start; i < start + n; i++) mean += /** @type {number} */ (x[i]) / n;
        for (let i = start; i < start + n; i++) variance += (/** @type {number} */ (x[i]) - mean) ** 2 / n;
        const by = 1 / Math.sqrt(variance + s.epsilon);
        for (let i = start; i < start + n; i++) out[i] = (/** @type {number} */ (x[i]) - mean) * by;
      }
    };
  },
  reduce(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    return () => {
      for (let o = 0; o < out.length; o++) {
        const run = x.subarray(o * s.length, (o + 1) * s.length);
        const sum = s.kind === "mean" || s.kind === "sum" ? run.reduce((a, b) => a + b, 0) : 0;
        const largest = s.kind === "max" || s.kind === "argmax" ? run.reduce((a, b) => Math.max(a, b), -Infinity) : 0;
        out[o] = { mean: sum / s.length, sum, max: largest, argmax: run.indexOf(largest) }[/** @type {"sum"} */ (s.kind)];
      }
    };
  },
  softmax(r, step, s) {
    const [x, out] = [r.view(step.inputs[0] ?? ""), r.view(step.output)];
    return () => {
      for (let start = 0; start < x.length; start += s.length) {
        const run = x.subarray(start, start + s.length);
        const most = run.reduce((a, b) => Math.max(a, b), -Infinity);
        const shares = run.map((v) => Math.exp(v - most));
        const total = shares.reduce((a, b) => a + b, 0);
        out.set(shares.map((v) => v / total), start);
      }
    };
  },
  gemm(r, step) {
    const [a = 0, w = 0, bias = 0] = step.inputs.map((name) => r.place(name));
    const [k = 1, n = 1] = r.shape(step.inputs[1] ?? "");
    const out = r.view(step.output);
    const [m, c, f] = [out.length / n, r.place(step.output), r.memory.floats];
    return () => {
      for (let i = 0; i < m; i++) f.copyWithin(c + i * n, bias, bias + n);
      multiply(r.memory, a, w, c, m, n, k, k, n, n);
    };
  },
  conv(r, step, s, scratch) {
    const [x = 0, w = 0, bias = 0] = step.inputs.map((name) => r.place(name));
    const [, , height = 1, width = 1] = r.shape(step.inputs[0] ?? "");
    const [outputs = 1, inputs = 1, kh = 1, kw = 1] = r.shape(step.inputs[1] ?? "");
    const [rows = 1, , high = 1, wide = 1] = r.shape(step.output);
    const [f, out, depth, pixels] = [r.memory.floats, r.place(step.output), inputs * kh * kw, high * wide];
    const each = outputs / s.groups;
    const patch = { height, width, inputs, kh, kw, wide, stride: s.stride, pads: s.pads };
    const direct = kh * kw === 1 && s.stride[0] * s.stride[1] === 1 && s.pads[0] + s.pads[1] === 0;
    return () => {
      for (let row = 0; row < rows; row++) {
        const to = out + row * outputs * pixels;
        for (let o = 0; o < outputs; o++) f.fill(/** @type {number} */ (f[bias + o]), to + o * pixels, to + (o + 1) * pixels);
        for (let g = 0; g < s.groups; g++) {
          const image = x + (row * s.groups + g) * inputs * height * width;
          const [weights, made] = [w + g * each * depth, to + g * each * pixels];
          if (direct) {
            multiply(r.memory, weights, image, made, each, pixels, depth, depth, pixels, pixels);
            continue;
          }
          for (let from = 0; from < pixels; from += STRIP) {
            const n = Math.min(STRIP, pixels - from);
            patches(f, image, scratch, from, n, patch);
            multiply(r.memory, weights, scratch, made + from, each, n, depth, depth, STRIP, pixels);
          }
        }
      }
    };
  },
  spread(r, step, s, scratch) {
    const [x = 0, w = 0, bias = 0] = step.inputs.map((name) => r.place(name));
    const [, , height = 1, width = 1] = r.shape(step.inputs[0] ?? "");
    const [inputs = 1, each = 1, kh = 1, kw = 1] = r.shape(step.inputs[1] ?? "");
    const [rows = 1, outputs = 1, high = 1, wide = 1] = r.shape(step.output);
    const [f, out, pixels, area] = [r.memory.floats, r.place(step.output), height * width, high * wide];
    const [own, lines] = [inputs / s.groups, each * kh * kw];
    r.turn(w, s.groups, own, lines);
    return () => {
      for (let row = 0; row < rows; row++) {
        const to = out + row * outputs * area;
        for (let o = 0; o < outputs; o++) f.fill(/** @type {number} */ (f[bias + o]), to + o * area, to + (o + 1) * area);
        for (let g = 0; g < s.groups; g++) {
          f.fill(0, scratch, scratch + lines * pixels);
          const image = x + (row * inputs + g * own) * pixels;
          multiply(r.memory, w + g * lines * own, image, scratch, lines, pixels, own, own, pixels, pixels);
          collect(f, scratch, to + g * each * area, { height, width, each, kh, kw, high, wide, stride: s.stride, pads: s.pads });
        }
      }
    };
  },
};

/**
 * Lay out the patches of n pixels of a convolution's result, one below the other.
 * @param {Float32Array} f @param {number} image @param {number} to @param {number} from @param {number} n
 * @param {{height: number, width: number, inputs: number, kh: number, kw: number, wide: number, stride: number[], pads: number[]}} p
 */
function patches(f, image, to, from, n, p) {
  const { height, width, inputs, kh, kw, wide } = p;
  const [sy = 1, sx = 1] = p.stride;
  const [top = 0, left = 0] = p.pads;
  let line = to;
  for (let c = 0; c < inputs; c++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++, line += STRIP) {
        let [oy, ox] = [Math.floor(from / wide), from % wide];
        for (let i = 0; i < n; ) {
          const y = oy * sy - top + ky;
          const row = image + (c * height + y) * width;
          const run = Math.min(n - i, wide - ox);
          const inside = y >= 0 && y < height;
          for (let j = 0, x = ox * sx - left + kx; j < run; j++, x += sx) {
            f[line + i + j] = inside && x >= 0 && x < width ? /** @type {number} */ (f[row + x]) : 0;
          }
          i += run;
          ox = 0;
          oy++;
        }
      }
    }
  }
}

/**
 * Add up the patches that a transposed convolution spreads.
 * @param {Float32Array} f @param {number} from @param {number} to
 * @param {{height: number, width: number, each: number, kh: number, kw: number, high: number, wide: number, stride: number[], pads: number[]}} p
 */
function collect(f, from, to, p) {
  const { height, width, each, kh, kw, high, wide } = p;
  const [sy = 1, sx = 1] = p.stride;
  const [top = 0, left = 0] = p.pads;
  let line = from;
  for (let o = 0; o < each; o++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++, line += height * width) {
        const first = Math.max(0, Math.ceil((left - kx) / sx));
        const end = Math.min(width, Math.floor((wide - 1 + left - kx) / sx) + 1);
        for (let y = 0; y < height; y++) {
          const oy = y * sy - top + ky;
          if (oy < 0 || oy >= high) continue;
          const [source, target] = [line + y * width, to + (o * high + oy) * wide - left + kx];
          for (let x = first; x < end; x++) f[target + x * sx] += /** @type {number} */ (f[source + x]);
        }
      }
    }
  }
}
