// The codes of the data as a map: in the plane of their main axes, or by neighbours. Where one
// presses, the code goes.

import { remember } from "../address.js";
import { category, isDark, themed } from "../colours.js";
import { field, h, select } from "../elements.js";
import { Plot, rangeOf, redrawn } from "../plot.js";

const NOTES = {
  plane: "Press and drag to move the code within this plane; arrow keys do the same.",
  neighbours: "t-SNE: codes that are near each other stay near, distances between groups mean little. Where you press, the code becomes the mean of the six nearest codes, the nearer the heavier; arrow keys do the same.",
};

/** @typedef {"plane" | "neighbours"} Kind */
/** @typedef {{x: [number, number], y: [number, number], places: Float32Array, content: any, dark?: boolean, still?: import("../plot.js").Mark[]}} Drawn */

/**
 * @param {import("../socket.js").Socket} socket @param {string} run @param {any} facts
 * @param {URLSearchParams} values
 * @param {{code: () => number[], go: (code: number[]) => void, goTo: (place: [number, number]) => void, again: () => void, fail: (error: unknown) => void, say: (text: string) => void}} acts
 *   what the room does: goTo goes to a place of the map of neighbours
 */
export function codeMap(socket, run, facts, values, acts) {
  /** @type {Kind} */
  let kind = values.get("map") === "neighbours" ? "neighbours" : "plane";
  /** @type {Partial<Record<Kind, Drawn>>} */
  const maps = {};
  /** @type {[number, number] | null} */
  let placed = null;
  /** @type {number[][]} */
  let walk = [];
  const plot = new Plot({ title: "Codes of the data", x: "", y: "", equal: true });
  plot.canvas.style.cursor = "crosshair";
  plot.canvas.tabIndex = 0;
  const note = h("p", { class: "note" }), waiting = h("p", { class: "note", role: "status", hidden: true });
  const choice = select([["plane", facts.latent > 2 ? "their two main axes" : "the codes themselves"], ["neighbours", "neighbours (t-SNE)"]], kind, (value) => { kind = /** @type {Kind} */ (value); remember({ map: kind === "plane" ? null : kind }); load(); });
  const element = h("section", { class: "card" }, field("Map by", choice), plot.element, waiting, note);

  async function load() {
    note.textContent = NOTES[kind];
    plot.look.x = kind === "neighbours" ? "first place of t-SNE" : facts.latent > 2 ? "first main axis" : "first code";
    plot.look.y = kind === "neighbours" ? "second place of t-SNE" : facts.latent > 2 ? "second main axis" : "second code";
    const wanted = kind;
    if (!maps[kind]) {
      waiting.hidden = false;
      waiting.textContent = kind === "neighbours" ? "Arranging up to 2,000 codes by their neighbours; this takes some seconds, once …" : "Encoding the data …";
      try {
        const { content, arrays } = await socket.ask(kind === "plane" ? "latent.map" : "latent.neighbours", { run });
        maps[wanted] = { content, places: /** @type {Float32Array} */ (arrays.places.values), ...square(arrays.places.values) };
        if (content.notes.length) acts.say(content.notes.join("; "));
      } catch (error) { acts.fail(error); }
      if (wanted !== kind) return;
      waiting.hidden = true;
    }
    if (kind === "neighbours") acts.again();
    draw();
  }

  /** @param {number[]} code  where it is in the plane */
  function inPlane(code) {
    const { centre, basis } = /** @type {Drawn} */ (maps.plane).content;
    return basis.map((/** @type {number[]} */ axis) => axis.reduce((sum, a, k) => sum + a * (code[k] - centre[k]), 0));
  }

  function draw() {
    const map = maps[kind];
    if (!map) return plot.show({ x: [-1, 1], y: [-1, 1], marks: [] });
    if (map.dark !== isDark()) Object.assign(map, { dark: isDark(), still: dots(map) });
    /** @type {import("../plot.js").Mark[]} */
    const marks = [];
    if (walk.length && kind === "plane") marks.push({ kind: "lines", lines: [walk.flatMap(inPlane)], colour: themed("ink"), width: 1.6, close: true, name: "walk" });
    const here = kind === "plane" ? inPlane(acts.code()) : placed;
    if (here) marks.push({ kind: "points", xy: here, colour: themed("ink"), size: 8 }, { kind: "points", xy: here, colour: themed("surface"), size: 5 }, { kind: "points", xy: here, colour: themed("accent"), size: 3.5, name: "here" });
    plot.show({ x: map.x, y: map.y, marks, still: map.still });
  }

  /** The codes of the data as marks, coloured by label. @param {Drawn} map @returns {import("../plot.js").Mark[]} */
  function dots({ content, places }) {
    const { labels, names } = content, groups = labels.length ? [...new Set(labels)].sort((a, b) => a - b) : [0];
    return groups.map((group) => {
      const xy = [];
      for (let i = 0; i < places.length / 2; i++) if (!labels.length || labels[i] === group) xy.push(places[2 * i], places[2 * i + 1]);
      return { kind: "points", xy, colour: labels.length ? category(group) : themed("edge"), size: 2.2, alpha: 0.65, name: labels.length ? names[group] : "data" };
    });
  }

  /** @param {number} a @param {number} b */
  function move(a, b) {
    if (!maps[kind]) return;
    if (kind === "neighbours") {
      placed = [a, b];
      draw();
      return acts.goTo(placed);
    }
    const { basis } = /** @type {Drawn} */ (maps.plane).content, now = inPlane(acts.code());
    acts.go(acts.code().map((v, k) => v + (a - now[0]) * basis[0][k] + (b - now[1]) * basis[1][k]));
  }

  let dragging = false;
  plot.canvas.addEventListener("pointerdown", (event) => { dragging = true; plot.canvas.setPointerCapture(event.pointerId); move(...plot.place(event)); });
  plot.canvas.addEventListener("pointermove", (event) => { if (dragging) move(...plot.place(event)); });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) plot.canvas.addEventListener(end, () => { dragging = false; });
  plot.canvas.addEventListener("keydown", (event) => {
    const map = maps[kind], by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!by || !map) return;
    event.preventDefault();
    const here = kind === "plane" ? inPlane(acts.code()) : placed ?? [0, 0], step = (map.x[1] - map.x[0]) / 50;
    move(here[0] + step * by[0], here[1] + step * by[1]);
  });

  redrawn(element, draw);
  return {
    element, draw, load,
    /** Whether the server should say where the code is. */
    asks: () => kind === "neighbours" && Boolean(maps.neighbours),
    /** @param {[number, number]} place  of the code, by neighbours */
    put: (place) => { if (!dragging) { placed = place; draw(); } },
    /** @param {number[][]} codes  of a walk */
    show: (codes) => { walk = codes; draw(); },
  };
}

/** Ranges of one length around places. @param {ArrayLike<number>} places */
function square(places) {
  const all = Array.from(places), x = rangeOf(all.filter((_, i) => i % 2 === 0)), y = rangeOf(all.filter((_, i) => i % 2 === 1));
  const half = Math.max(x[1] - x[0], y[1] - y[0]) / 2;
  const around = (/** @type {[number, number]} */ [a, b]) => /** @type {[number, number]} */ ([(a + b) / 2 - half, (a + b) / 2 + half]);
  return { x: around(x), y: around(y) };
}
