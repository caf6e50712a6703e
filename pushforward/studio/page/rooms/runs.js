// Runs: what there is, how each went or goes, and runs side by side.

import { link, remember } from "../address.js";
import { button, check, h, message } from "../elements.js";
import { comparison } from "./comparison.js";
import { curves } from "./curves.js";
import { runCard } from "./run_card.js";

const EVERY = 2000; // milliseconds between looks

/** @typedef {import("../socket.js").Socket} Socket */

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true, timer = 0, looks = 0;
  const said = message(), empty = h("p", { class: "warning", hidden: true });
  const body = h("tbody"), cards = h("div", { class: "side" });
  /** @type {Set<string>} */
  const chosen = new Set((values.get("runs") ?? values.get("run") ?? "").split(",").filter(Boolean));
  /** @type {Map<string, ReturnType<typeof tableRow>>} */
  const rows = new Map();
  /** @type {Map<string, ReturnType<typeof runCard>>} */
  const shown = new Map();
  const drawn = curves(values), compared = comparison(socket, values);
  const head = ["", "Run", "State", "Model", "Data", "Samples seen", "Time"].map((text) => h("th", { scope: "col" }, text));
  const table = h("table", { class: "runs" }, h("thead", {}, h("tr", {}, ...head)), body);
  root.append(h("h1", {}, "Runs"), h("p", { class: "intro" }, "Fits that ended or are going on, in this process or another. Choose one to see how it went, or several to lay them side by side."),
    said.element, h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, "What there is"), button("Look again", () => look())), empty, h("div", { class: "scroll" }, table)),
    drawn.element, compared.element, cards);

  /** @param {unknown} error */
  const fail = (error) => said.say(String(/** @type {Error} */ (error).message), "error");

  /** Look at all runs, and again after a while. */
  async function look() {
    clearTimeout(timer);
    const number = ++looks;
    try {
      const { content } = await socket.ask("runs.list");
      if (!here || number !== looks) return;
      list(content);
      await show();
      if (!here || number !== looks) return;
      said.clear();
      root.dataset.ready = "true";
    } catch (error) { fail(error); }
    if (here && number === looks) timer = setTimeout(look, EVERY);
  }

  /** @param {any} content */
  function list({ folder, runs }) {
    empty.hidden = runs.length > 0;
    table.hidden = !runs.length;
    empty.textContent = `There is no run in “${folder}” yet. Fit one, for example with: pushforward fit vae digits. It appears here by itself.`;
    const names = new Set(runs.map((/** @type {any} */ run) => run.name));
    for (const [name, row] of rows) if (!names.has(name)) { row.element.remove(); rows.delete(name); }
    for (const name of chosen) if (!names.has(name)) chosen.delete(name);
    const first = runs.find((/** @type {any} */ run) => !run.error);
    if (!chosen.size && first) chosen.add(first.name);
    runs.forEach((/** @type {any} */ run, /** @type {number} */ k) => {
      let row = rows.get(run.name);
      if (!row) rows.set(run.name, row = tableRow(run.name, (on) => choose(run.name, on)));
      row.update(run, chosen.has(run.name), folder);
      if (body.children[k] !== row.element) body.insertBefore(row.element, body.children[k] ?? null);
    });
  }

  /** @param {string} name @param {boolean} on */
  function choose(name, on) {
    if (on) chosen.add(name); else chosen.delete(name);
    remember({ runs: [...chosen].join(","), run: null });
    show().catch(fail);
  }

  async function show() {
    const names = [...chosen];
    const runs = (await Promise.all(names.map((run) => socket.ask("runs.show", { run })))).map(({ content }) => content);
    if (!here) return;
    const able = runs.filter((run) => !run.error);
    drawn.show(able);
    compared.show(able);
    for (const [name, card] of shown) if (!chosen.has(name)) { card.leave(); card.element.remove(); shown.delete(name); }
    for (const run of able) {
      let card = shown.get(run.name);
      if (!card) {
        shown.set(run.name, card = runCard(socket, run.name, values, look));
        cards.append(card.element);
      }
      card.update(run);
    }
  }

  look();
  return () => {
    here = false;
    clearTimeout(timer);
    for (const card of shown.values()) card.leave();
  };
}

/**
 * A line of the table, made once and updated, so that it keeps the focus.
 * @param {string} name @param {(on: boolean) => void} choose
 */
function tableRow(name, choose) {
  const box = check("", false, choose), input = /** @type {HTMLInputElement} */ (box.querySelector("input"));
  input.setAttribute("aria-label", `show ${name}`);
  const title = h("span"), rooms = h("span", { class: "row" }), badge = h("span");
  const [model, data, samples, time] = [h("td"), h("td"), h("td"), h("td")];
  const problem = h("p", { class: "error", hidden: true });
  const element = h("tr", {}, h("td", {}, box), h("td", {}, title, rooms, problem), h("td", {}, badge), model, data, samples, time);
  let before = "";
  /** @param {any} run @param {boolean} chosen @param {string} folder */
  function update(run, chosen, folder) {
    input.checked = chosen;
    input.disabled = Boolean(run.error);
    const now = JSON.stringify(run);
    if (now === before) return;
    before = now;
    title.textContent = name === "." ? folder : name;
    problem.hidden = !run.error;
    problem.textContent = run.error ?? "";
    if (run.error) return;
    const able = [run.able.includes("Decodes") && "latent", run.able.includes("Decodes") && run.kind === "images" && "edit", run.able.includes("HasDensity") && run.kind === "points" && "density", run.able.includes("Translates") && "translate"];
    rooms.replaceChildren(...able.filter((room) => typeof room === "string").map((room) => h("a", { href: link(room, { run: name }), "aria-label": `${room} of ${name}` }, room)));
    badge.className = `badge ${run.state}`;
    badge.textContent = run.state;
    badge.title = run.sentence;
    model.textContent = run.model;
    model.title = run.description;
    data.title = run.source ?? "";
    data.textContent = `${String(run.source ?? "in memory").replace(/^.*[/\\](?=.)/, "")}${run.space ? `: ${run.space}` : ""}`;
    samples.textContent = run.samples === null ? "" : `${run.samples.toLocaleString("en")}${run.state === "running" && run.budget ? ` of ${run.budget.toLocaleString("en")}` : ""}`;
    time.textContent = duration(run.seconds) + (run.state === "running" && run.remaining ? `, ${duration(run.remaining)} left` : "");
  }
  return { element, update };
}

/** @param {number | null | undefined} seconds */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
