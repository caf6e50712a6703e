// One run: how it stands, what it warned of, its images and its film; it can be stopped and resumed.

import { button, field, h, message } from "../elements.js";
import { film } from "./film.js";

const IMAGES = 4;
const MORE = { epochs: "10", steps: "1000", samples: "10000", minutes: "1" };

/**
 * @param {import("../socket.js").Socket} socket @param {string} name
 * @param {URLSearchParams} values @param {() => void} changed
 */
export function runCard(socket, name, values, changed) {
  const badge = h("span"), sentence = h("p", { class: "note" }), description = h("p", { class: "note" });
  const said = message(), warnings = h("div", { class: "fields" }), images = h("div", { class: "plots" });
  const frame = values.get(`frame.${name}`), shown = film(socket, name, frame === null ? null : Number(frame));
  const more = h("input", { type: "number", min: "1", step: "1" }), moreField = h("div");
  const stop = button("Stop", () => act("runs.stop"), { "aria-label": `Stop ${name}` });
  const resume = button("Resume", () => act("runs.resume", moreField.hidden ? {} : { more: more.valueAsNumber }), { class: "main", "aria-label": `Resume ${name}` });
  const promise = h("p", { class: "note" });
  const element = h("section", { class: "card run" }, h("div", { class: "row spread" }, h("h2", {}, name), badge), sentence, description,
    h("div", { class: "row end" }, stop, moreField, resume), promise, said.element, warnings, images, shown.element);
  /** @type {string[]} */
  let urls = [];
  let drawn = "", failed = "";

  /** @param {string} verb @param {Record<string, any>} [more] */
  async function act(verb, more = {}) {
    stop.disabled = resume.disabled = true;
    try {
      await socket.ask(verb, { run: name, ...more });
      said.say("");
    } catch (error) { said.say(String(/** @type {Error} */ (error).message), "error"); }
    stop.disabled = resume.disabled = false;
    changed();
  }

  /** @param {any} run  as `runs.show` describes it */
  function update(run) {
    badge.className = `badge ${run.state}`;
    badge.textContent = run.state;
    sentence.textContent = run.sentence + (run.state === "running" && run.here ? " It is this studio’s, and ends with it, saved." : "") + (run.state === "finished" && run.reason ? ` ${{ budget: "Its budget was spent.", converged: "It converged.", patience: "Its quality rose no more." }[/** @type {"budget"} */ (run.reason)] ?? ""}` : "");
    description.textContent = run.command ? `${run.command}` : run.description;
    stop.hidden = run.state !== "running";
    resume.hidden = !(run.resumable || run.extendable);
    moreField.hidden = !run.extendable;
    if (run.extendable && !moreField.firstChild) {
      more.value = MORE[/** @type {"epochs"} */ (run.unit)] ?? "10";
      moreField.append(field(`More ${run.unit}`, more));
    }
    promise.hidden = stop.hidden && resume.hidden;
    promise.textContent = !stop.hidden ? "Stop puts a file “stop” into the run’s folder; its process finishes the step, saves and ends, as after Ctrl-C."
      : "Resume goes on in this studio and writes into the run’s folder. Without this button the page leaves that folder alone.";
    if (run.problem && run.problem !== failed) said.say(run.problem, "error");
    failed = run.problem;
    const now = JSON.stringify([run.warnings, run.images, run.state]);
    if (now !== drawn) {
      drawn = now;
      warnings.replaceChildren(...run.warnings.map((/** @type {any} */ w) => h("p", { class: "warning" }, `After ${w.samples.toLocaleString("en")} samples: ${w.symptom}. Try: ${w.advice}.`.replace("..", "."))));
      draw(run.images.slice(0, IMAGES), run.images.length);
    }
    shown.element.hidden = !run.film.length && run.fitter !== "Trainer";
    shown.update(run.film, run.state === "running");
  }

  /** @param {string[]} names @param {number} of */
  async function draw(names, of) {
    try {
      const figures = await Promise.all(names.map(picture));
      for (const url of urls) URL.revokeObjectURL(url);
      urls = figures.map(({ url }) => url);
      const rest = of > names.length ? [h("p", { class: "note" }, `and ${of - names.length} more in the folder “images” of the run`)] : [];
      images.replaceChildren(...figures.map(({ figure }) => figure), ...rest);
    } catch (error) { said.say(String(/** @type {Error} */ (error).message), "error"); }
  }

  /** @param {string} image */
  async function picture(image) {
    const { content, arrays } = await socket.ask("runs.image", { run: name, image });
    const url = URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (arrays.file.values)], { type: `image/${content.type}` }));
    const shown = h("img", { src: url, alt: `${image} of ${name}` });
    shown.style.maxWidth = "100%";
    return { url, figure: h("figure", {}, shown, h("figcaption", { class: "note" }, image.replace("images/", ""))) };
  }

  function leave() {
    shown.leave();
    for (const url of urls) URL.revokeObjectURL(url);
  }

  return { element, update, leave };
}
