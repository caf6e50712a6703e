// A square to draw points in: pressing and moving scatters them around the pointer.

import { themed } from "../colours.js";
import { button, h } from "../elements.js";

const SIZE = 260, SCATTER = 0.035, MOST = 4000;

/** A pad with its points, x and y within -1 and 1. */
export function drawingPad() {
  /** @type {[number, number][]} */
  let points = [];
  const canvas = h("canvas", { width: SIZE, height: SIZE, class: "image", role: "img", "aria-label": "Square to draw points in", tabIndex: 0 });
  const count = h("span", { class: "note" }, "no points yet");
  const element = h("div", { class: "fields", hidden: true }, canvas, h("div", { class: "row spread" }, count, button("Clear", () => { points = []; paint(); })));
  let drawing = false;

  /** @param {PointerEvent} event */
  function scatter(event) {
    const box = canvas.getBoundingClientRect();
    const x = 2 * ((event.clientX - box.left) / box.width) - 1, y = 1 - 2 * ((event.clientY - box.top) / box.height);
    for (let k = 0; k < 6 && points.length < MOST; k++) points.push([x + SCATTER * noise(), y + SCATTER * noise()]);
    paint();
  }

  canvas.style.touchAction = "none";
  canvas.style.cursor = "crosshair";
  canvas.addEventListener("pointerdown", (event) => { drawing = true; canvas.setPointerCapture(event.pointerId); scatter(event); });
  canvas.addEventListener("pointermove", (event) => { if (drawing) for (const part of event.getCoalescedEvents?.() ?? [event]) scatter(part); });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) canvas.addEventListener(end, () => { drawing = false; });

  function paint() {
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    c.fillStyle = themed("sunken");
    c.fillRect(0, 0, SIZE, SIZE);
    c.fillStyle = themed("ink");
    for (const [x, y] of points) c.fillRect(((x + 1) / 2) * SIZE - 1, ((1 - y) / 2) * SIZE - 1, 2, 2);
    count.textContent = points.length ? `${points.length.toLocaleString("en")} points` : "no points yet";
  }
  paint();
  addEventListener("themechange", paint);
  return { element, points: () => points };
}

/** A normal number (Box & Muller). */
const noise = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
