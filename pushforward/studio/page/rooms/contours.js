// Lines along which a function on a grid has one value: marching squares.

const EDGES = [[], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 2], [0, 1]], [[0, 2]], [[3, 2]], [[2, 3]], [[0, 2]], [[0, 3], [1, 2]], [[1, 2]], [[1, 3]], [[0, 1]], [[3, 0]], []];

/**
 * Pieces of the line {f = height}, of two points each.
 * @param {ArrayLike<number>} f  at the centres of cells (cells, cells), row by row from the bottom
 * @param {number} cells @param {number} height
 * @param {[number, number]} xs @param {[number, number]} ys  the range of both axes
 * @returns {number[][]}
 */
export function contour(f, cells, height, xs, ys) {
  const at = (/** @type {number} */ r, /** @type {number} */ c) => f[r * cells + c];
  const x = (/** @type {number} */ c) => xs[0] + ((c + 0.5) / cells) * (xs[1] - xs[0]);
  const y = (/** @type {number} */ r) => ys[0] + ((r + 0.5) / cells) * (ys[1] - ys[0]);
  const lines = [];
  for (let r = 0; r + 1 < cells; r++) {
    for (let c = 0; c + 1 < cells; c++) {
      const corners = [at(r, c), at(r, c + 1), at(r + 1, c + 1), at(r + 1, c)];
      const which = corners.reduce((sum, v, k) => sum + (v >= height ? 1 << k : 0), 0);
      for (const [from, to] of EDGES[which]) {
        lines.push([from, to].flatMap((edge) => {
          const t = share(corners[edge], corners[(edge + 1) % 4], height);
          if (edge === 0) return [x(c + t), y(r)];
          if (edge === 1) return [x(c + 1), y(r + t)];
          if (edge === 2) return [x(c + 1 - t), y(r + 1)];
          return [x(c), y(r + 1 - t)];
        }));
      }
    }
  }
  return lines;
}

/** @param {number} a @param {number} b @param {number} height */
function share(a, b, height) {
  const t = (height - a) / (b - a);
  return Number.isFinite(t) ? Math.min(1, Math.max(0, t)) : 0.5;
}
