// Images while a model learns: data beside samples, reconstructions, and the same codes over time.

import { h } from "../elements.js";
import { imageGrid, paint } from "../pixels.js";
import { label } from "../plot.js";

/** @typedef {import("../socket.js").NamedArray} NamedArray */

const CODES = 6, MOMENTS = 12, FIRST_GAP = 1024;

/** @param {string} title @param {string} what */
function gallery(title, what) {
  const grid = imageGrid(what);
  grid.element.classList.add("close");
  const card = h("section", { class: "card", hidden: true }, h("h2", {}, title), grid.element);
  /** @param {NamedArray | undefined} images */
  const show = (images) => { card.hidden = !images; if (images) grid.show(images); };
  return { card, show };
}

export function imageCards() {
  const samples = gallery("Samples of the same codes", "sample"), data = gallery("Data", "datum");
  const rebuilt = gallery("Data, encoded and decoded", "reconstruction"), centres = gallery("Centres", "centre");
  const strip = h("div", { class: "strip" }), stripTitle = h("h2", {});
  const stripCard = h("section", { class: "card", hidden: true, id: "over-time" }, stripTitle, strip);
  /** @type {{samples: number, column: HTMLElement}[]} */
  let moments = [];
  let gap = FIRST_GAP;

  function begin() {
    moments = [];
    gap = FIRST_GAP;
    strip.replaceChildren();
    stripCard.hidden = true;
  }

  /** @param {Record<string, NamedArray>} arrays @param {number} seen  samples */
  function draw(arrays, seen) {
    data.show(arrays.data);
    samples.show(arrays.images);
    rebuilt.show(arrays.rebuilt);
    centres.show(arrays.centres);
    const images = arrays.images ?? arrays.rebuilt ?? arrays.centres;
    if (!images) return;
    stripTitle.textContent = arrays.images ? "The same codes over time" : arrays.rebuilt ? "The same rows decoded, over time" : "Centres over time";
    const last = moments.at(-1)?.samples;
    if (last === undefined || seen >= last + gap) keep(images, seen);
  }

  /** @param {NamedArray} images @param {number} seen */
  function keep(images, seen) {
    const shown = Array.from({ length: Math.min(CODES, images.shape[0]) }, (_, k) => {
      const canvas = h("canvas", { class: "image", role: "img", "aria-label": `code ${k + 1} after ${seen} samples` });
      paint(canvas, images, k);
      return canvas;
    });
    const column = h("figure", {}, ...shown, h("figcaption", { class: "note" }, label(Number(seen.toPrecision(2)))));
    moments.push({ samples: seen, column });
    if (moments.length > MOMENTS) {
      moments = moments.filter((_, k) => k % 2 === 0);
      gap *= 2;
    }
    strip.replaceChildren(...moments.map((moment) => moment.column));
    stripCard.hidden = moments.length < 2;
  }

  const cards = [data.card, samples.card, rebuilt.card, centres.card];
  return { cards, strip: stripCard, begin, draw, hide: () => [...cards, stripCard].forEach((card) => { card.hidden = true; }) };
}
