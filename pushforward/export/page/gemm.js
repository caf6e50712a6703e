/**
 * Products of matrices, C += A · B, by a WebAssembly module that is assembled here: 128-bit SIMD,
 * one function for each size of tile. Without WebAssembly or SIMD, the same loops in JavaScript.
 */

/**
 * @typedef {object} Memory
 * @property {ArrayBuffer} buffer
 * @property {Float32Array} floats  all of it
 * @property {Record<string, Tile> | null} tiles  compiled functions; null for plain JavaScript
 */
/** @typedef {(a: number, b: number, c: number, k: number, lda: number, ldb: number, ldc: number) => void} Tile */

const PAGE = 65536;
const SHAPES = /** @type {const} */ ([[4, 2], [4, 1], [1, 4], [1, 2], [1, 1]]);
/** Bytes of B that stay in the nearest caches while rows of A pass by. */
const PANEL = 1 << 17;

/** @param {number} value @returns {number[]} unsigned LEB128 */
function unsigned(value) {
  const bytes = [];
  do {
    const rest = value >>> 7;
    bytes.push((value & 127) | (rest ? 128 : 0));
    value = rest;
  } while (value);
  return bytes;
}

/** @param {number} id @param {number[]} content @returns {number[]} */
function section(id, content) {
  return [id, ...unsigned(content.length), ...content];
}

/** @param {number[][]} items @returns {number[]} */
function vector(items) {
  return [...unsigned(items.length), ...items.flat()];
}

/** @param {string} text @returns {number[]} */
function named(text) {
  return vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
}

/**
 * The body of a function that adds a tile of `rows` × 4 `vectors` numbers of A · B to C.
 * Pointers and strides are in bytes: a, b, c, k, lda, ldb, ldc.
 * @param {number} rows
 * @param {number} vectors
 * @param {boolean} fused  products and sums by one instruction (relaxed SIMD)
 * @returns {number[]}
 */
function tileBody(rows, vectors, fused) {
  const get = (/** @type {number} */ i) => [0x20, ...unsigned(i)];
  const set = (/** @type {number} */ i) => [0x21, ...unsigned(i)];
  const at = (/** @type {number} */ offset) => [2, ...unsigned(offset)];
  const simd = (/** @type {number} */ code) => [0xfd, ...unsigned(code)];
  const add = [0x6a];
  const step = (/** @type {number} */ i, /** @type {number[]} */ by) => [...get(i), ...by, ...add, ...set(i)];
  const [B, C, K, LDA, LDB, LDC] = [1, 2, 3, 4, 5, 6];
  const left = (/** @type {number} */ i) => (i === 0 ? 0 : 6 + i);
  const line = (/** @type {number} */ i) => (i === 0 ? C : 6 + rows - 1 + i);
  const first = 7 + 2 * (rows - 1);
  const sum = (/** @type {number} */ i, /** @type {number} */ j) => first + i * vectors + j;
  const right = (/** @type {number} */ j) => first + rows * vectors + j;
  const value = first + rows * vectors + vectors;
  const code = [];
  for (let i = 1; i < rows; i++) {
    code.push(...get(left(i - 1)), ...get(LDA), ...add, ...set(left(i)));
    code.push(...get(line(i - 1)), ...get(LDC), ...add, ...set(line(i)));
  }
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < vectors; j++) code.push(...get(line(i)), ...simd(0), ...at(16 * j), ...set(sum(i, j)));
  }
  code.push(0x03, 0x40); // loop over k
  for (let j = 0; j < vectors; j++) code.push(...get(B), ...simd(0), ...at(16 * j), ...set(right(j)));
  for (let i = 0; i < rows; i++) {
    code.push(...get(left(i)), ...simd(9), ...at(0), ...set(value)); // one number of A, four times
    for (let j = 0; j < vectors; j++) {
      if (fused) code.push(...get(value), ...get(right(j)), ...get(sum(i, j)), ...simd(0x105), ...set(sum(i, j)));
      else code.push(...get(sum(i, j)), ...get(value), ...get(right(j)), ...simd(0xe6), ...simd(0xe4), ...set(sum(i, j)));
    }
    code.push(...step(left(i), [0x41, 4]));
  }
  code.push(...step(B, get(LDB)));
  code.push(...get(K), 0x41, 1, 0x6b, 0x22, K, 0x0d, 0, 0x0b);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < vectors; j++) code.push(...get(line(i)), ...get(sum(i, j)), ...simd(0x0b), ...at(16 * j));
  }
  code.push(0x0b);
  const locals = vector([[...unsigned(2 * (rows - 1)), 0x7f], [...unsigned(rows * vectors + vectors + 1), 0x7b]]);
  return [...unsigned(locals.length + code.length), ...locals, ...code];
}

/** @param {boolean} fused @returns {Uint8Array<ArrayBuffer>} the module, which imports its memory */
export function assemble(fused) {
  const type = [0x60, ...vector(Array(7).fill([0x7f])), 0];
  const exported = SHAPES.map(([rows, vectors], i) => [...named(`${rows}x${vectors}`), 0, i]);
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector([type])),
    ...section(2, vector([[...named("host"), ...named("memory"), 2, 0, 1]])),
    ...section(3, vector(SHAPES.map(() => [0]))),
    ...section(7, vector(exported)),
    ...section(10, vector(SHAPES.map(([rows, vectors]) => tileBody(rows, vectors, fused)))),
  ]);
}

/**
 * Memory for `floats` numbers, with compiled tiles where the browser has WebAssembly and SIMD.
 * @param {number} floats
 * @param {boolean} [plain]  JavaScript alone
 * @returns {Promise<Memory>}
 */
export async function allocate(floats, plain = false) {
  try {
    if (plain) throw new Error("asked for plain JavaScript");
    const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * floats + 64) / PAGE) + 1 });
    const code = [true, false].map(assemble).find((bytes) => WebAssembly.validate(bytes));
    if (!code) throw new Error("no SIMD");
    const { instance } = await WebAssembly.instantiate(code, { host: { memory } });
    const tiles = /** @type {Record<string, Tile>} */ (/** @type {unknown} */ (instance.exports));
    return { buffer: memory.buffer, floats: new Float32Array(memory.buffer), tiles };
  } catch {
    const buffer = new ArrayBuffer(4 * floats + 64);
    return { buffer, floats: new Float32Array(buffer), tiles: null };
  }
}

/**
 * C (m, n) += A (m, k) · B (k, n); places and strides in numbers, from the start of the memory.
 * @param {Memory} memory
 * @param {number} a @param {number} b @param {number} c
 * @param {number} m @param {number} n @param {number} k
 * @param {number} lda @param {number} ldb @param {number} ldc
 */
export function multiply(memory, a, b, c, m, n, k, lda, ldb, ldc) {
  if (!m || !n || !k) return;
  const { tiles, floats } = memory;
  const panel = Math.max(8, (PANEL / (4 * k)) & ~7);
  for (let from = 0; from < n; from += panel) {
    const to = Math.min(n, from + panel);
    for (let i = 0; i < m; ) {
      const rows = m - i >= 4 && tiles ? 4 : 1;
      let j = from;
      if (tiles) {
        for (const vectors of rows === 4 ? [2, 1] : [4, 2, 1]) {
          const tile = /** @type {Tile} */ (tiles[`${rows}x${vectors}`]);
          const wide = 4 * vectors;
          for (; j + wide <= to; j += wide) {
            tile(4 * (a + i * lda), 4 * (b + j), 4 * (c + i * ldc + j), k, 4 * lda, 4 * ldb, 4 * ldc);
          }
        }
      }
      if (j < to) for (let r = i; r < i + rows; r++) rest(floats, a + r * lda, b, c + r * ldc, j, to, k, ldb);
      i += rows;
    }
  }
}

/**
 * One row of the product, columns j to n, in JavaScript.
 * @param {Float32Array} f
 * @param {number} a @param {number} b @param {number} c
 * @param {number} j @param {number} n @param {number} k @param {number} ldb
 */
function rest(f, a, b, c, j, n, k, ldb) {
  for (let p = 0; p < k; p++) {
    const left = /** @type {number} */ (f[a + p]);
    const row = b + p * ldb;
    for (let q = j; q < n; q++) f[c + q] += left * /** @type {number} */ (f[row + q]);
  }
}
