// The samples of fixed codes over time, with a scrubber.

import { remember } from "../address.js";
import { themed } from "../colours.js";
import { button, h } from "../elements.js";
import { imageGrid } from "../pixels.js";
import { Plot, rangeOf, redrawn } from "../plot.js";
import { Superseded } from "../socket.js";

const PACE = 160; // milliseconds per frame

/**
 * @param {import("../socket.js").Socket} socket @param {string} run
 * @param {number | null} at  the frame of so many samples seen; the latest if null
 */
export function film(socket, run, at) {
  /** @type {number[]} */
  let times = [];
  let timer = 0, now = at, painted = -1;
  const grid = imageGrid("sample"), cloud = new Plot({ title: "Samples", x: "first column", y: "second column", equal: true });
  const seen = h("output", { class: "note" }), problem = h("p", { class: "error", hidden: true });
  const input = h("input", { type: "range", min: "0", step: "1", "aria-label": `frame of the film of ${run}`, oninput: () => { hold(); go(input.valueAsNumber); } });
  const play = button("Play", () => (timer ? hold() : start()), { "aria-label": `Play the film of ${run}` });
  const controls = h("div", { class: "row" }, play, seen);
  const none = h("p", { class: "note" }, "This run kept no samples of its fit. Fit with --film 36 (in Python: Trainer(film=36)) to keep 36 of the same codes as they change.");
  cloud.element.hidden = true;
  const element = h("div", { class: "fields film" }, h("h3", {}, "The same codes over time"), none, controls, input, grid.element, cloud.element, problem);
  /** @type {import("../plot.js").Content | null} */
  let frame = null;

  function hold() { clearInterval(timer); timer = 0; play.textContent = "Play"; }
  function start() {
    let k = input.valueAsNumber >= times.length - 1 ? -1 : input.valueAsNumber;
    play.textContent = "Hold";
    timer = setInterval(() => { if (++k >= times.length) hold(); else { input.value = String(k); go(k); } }, PACE);
  }

  /** @param {number} k */
  async function go(k) {
    const last = k === times.length - 1;
    now = last ? null : times[k];
    if (!timer) remember({ [`frame.${run}`]: now });
    await paint(times[k], k);
  }

  /** @param {number} samples @param {number} k */
  async function paint(samples, k) {
    seen.textContent = `after ${samples.toLocaleString("en")} samples, frame ${k + 1} of ${times.length}`;
    input.setAttribute("aria-valuetext", seen.textContent);
    try {
      const { content, arrays } = await socket.ask("runs.frame", { run, samples }, { channel: `frame ${run}` });
      painted = samples;
      problem.hidden = true;
      if (content.kind === "images") return grid.show(arrays.images);
      cloud.element.hidden = false;
      const { values } = arrays.points, axis = (/** @type {number} */ which) => values.filter((_, i) => i % 2 === which);
      cloud.look.x = content.names[0] ?? "first column";
      cloud.look.y = content.names[1] ?? "";
      const x = rangeOf([...axis(0), ...(frame?.x ?? [])]), y = rangeOf([...axis(1), ...(frame?.y ?? [])]);
      const wide = frame ? { x: frame.x, y: frame.y } : { x, y };
      const inside = x[0] >= wide.x[0] && x[1] <= wide.x[1] && y[0] >= wide.y[0] && y[1] <= wide.y[1];
      frame = { ...(inside ? wide : { x, y }), marks: [{ kind: "points", xy: values, colour: themed("accent"), size: 2.5, alpha: 0.8, name: "samples" }] };
      cloud.show(frame);
    } catch (error) {
      if (error instanceof Superseded) return;
      problem.hidden = false;
      problem.textContent = String(/** @type {Error} */ (error).message);
    }
  }

  /** @param {number[]} given  samples seen at each frame @param {boolean} going */
  function update(given, going) {
    times = given;
    none.hidden = times.length > 0;
    controls.hidden = input.hidden = grid.element.hidden = !times.length;
    play.hidden = times.length < 2;
    none.textContent = going && !times.length ? "No samples of this fit are kept; they are with --film 36 (in Python: Trainer(film=36))." : none.textContent;
    if (!times.length) return;
    input.max = String(times.length - 1);
    const k = now === null ? -1 : times.findIndex((time) => time >= /** @type {number} */ (now));
    const which = k < 0 ? times.length - 1 : k;
    input.value = String(which);
    if (!timer && painted !== times[which]) paint(times[which], which);
  }

  redrawn(element, () => {
    if (!frame) return;
    frame.marks = frame.marks.map((mark) => ({ ...mark, colour: themed("accent") }));
    cloud.show(frame);
  });
  return { element, update, leave: hold };
}
