// Images from the server, RGBA bytes, on canvases.

import { h } from "./elements.js";

/** @typedef {import("./socket.js").NamedArray} NamedArray */

/**
 * Draw one image (h, w, 4) of several (n, h, w, 4).
 * @param {HTMLCanvasElement} canvas @param {NamedArray} images @param {number} [which]
 */
export function paint(canvas, images, which = 0) {
  const [count, height, width] = images.shape, size = 4 * width * height;
  if (which >= count) return;
  const pixels = new Uint8ClampedArray(images.values.slice(which * size, (which + 1) * size));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(new ImageData(pixels, width, height), 0, 0);
}

/**
 * Canvases for images, made once and painted again: grid.show(images, captions?).
 * @param {string} what  they show
 * @param {(which: number) => void} [act]  when one is chosen
 */
export function imageGrid(what, act) {
  const element = h("div", { class: "thumbs" });
  /** @type {{figure: HTMLElement, canvas: HTMLCanvasElement, caption: HTMLElement}[]} */
  const cells = [];
  /** @param {NamedArray} images @param {string[]} [captions] */
  function show(images, captions = []) {
    const count = images.shape[0];
    while (cells.length < count) {
      const k = cells.length, canvas = h("canvas", { class: "image", role: "img", "aria-label": `${what} ${k + 1}` });
      const caption = h("figcaption");
      const shown = act ? h("button", { type: "button", class: "quiet", onclick: () => act(k) }, canvas) : canvas;
      const figure = h("figure", {}, shown, caption);
      cells.push({ figure, canvas, caption });
      element.append(figure);
    }
    cells.forEach(({ figure, canvas, caption }, k) => {
      figure.hidden = k >= count;
      if (k < count) paint(canvas, images, k);
      caption.textContent = captions[k] ?? "";
    });
  }
  return { element, show };
}
