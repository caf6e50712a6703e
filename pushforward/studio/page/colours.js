// Colours of data: categories that colour-blind readers can tell apart (Okabe & Ito 2008,
// https://jfly.uni-koeln.de/color/), and scales whose lightness rises with the value.

export const CATEGORIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6914", "#7a5cc7", "#5b7f1e", "#b33a5e"];

const RISING = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const DIVERGING = [[178, 80, 30], [232, 176, 130], [243, 241, 236], [146, 190, 222], [24, 98, 168]];
const DIVERGING_DARK = [[240, 150, 90], [140, 84, 52], [38, 38, 42], [50, 92, 136], [120, 180, 245]];

export const isDark = () => document.documentElement.dataset.theme === "dark";

/** @param {string} name  of a custom property, without its hyphens */
export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** @param {number} k */
export const category = (k) => CATEGORIES[((k % CATEGORIES.length) + CATEGORIES.length) % CATEGORIES.length];

/** @param {number[][]} stops @param {number} t @returns {number[]} */
function between(stops, t) {
  const at = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const k = Math.min(stops.length - 2, Math.floor(at));
  return stops[k].map((c, i) => Math.round(c + (stops[k + 1][i] - c) * (at - k)));
}

/**
 * A heat map as RGBA bytes, its first row at the top.
 * @param {ArrayLike<number>} values  row by row from the bottom
 * @param {number} width @param {number} height
 * @param {{kind: "rising" | "diverging" | "categories", low: number, high: number}} scale
 */
export function heat(values, width, height, scale) {
  const pixels = new Uint8ClampedArray(4 * width * height);
  const stops = scale.kind === "rising" ? RISING : isDark() ? DIVERGING_DARK : DIVERGING;
  const span = scale.high - scale.low || 1;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const value = values[row * width + column];
      const at = 4 * ((height - 1 - row) * width + column);
      const rgb = scale.kind === "categories" ? channels(category(value)) : between(stops, (value - scale.low) / span);
      pixels.set(rgb, at);
      pixels[at + 3] = Number.isFinite(value) || value === -Infinity ? (scale.kind === "categories" ? 90 : 255) : 0;
    }
  }
  return pixels;
}

/** @param {string} hex */
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
