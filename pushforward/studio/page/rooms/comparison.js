// Runs side by side by named features: a table with error bars, the best of each line marked.

import { remember } from "../address.js";
import { button, field, h, message, select } from "../elements.js";

const ROWS = ["200", "500", "1000", "2000", "5000"];
const NAMES = { raw: "values as they are (raw)", scaled: "scaled values (scaled)", classifier: "a classifier’s features", frames: "frames of clips", movement: "movement in clips" };
const DIRECTIONS = { higher: "↑ higher is better", lower: "↓ lower is better", near: "nearer the ideal is better", "": "" };

/** @param {import("../socket.js").Socket} socket @param {URLSearchParams} values */
export function comparison(socket, values) {
  let features = values.get("features") ?? "", rows = ROWS.includes(values.get("rows") ?? "") ? /** @type {string} */ (values.get("rows")) : "500", known = "", asked = 0;
  /** @type {string[]} */
  let runs = [];
  const said = message(), choices = h("div", { class: "row even" }), result = h("div", { class: "fields" });
  const go = button("Compare", compare, { class: "main", id: "compare", disabled: true });
  const element = h("section", { class: "card", id: "comparison", hidden: true }, h("h2", {}, "Compare"),
    h("p", { class: "note" }, "Measures of the chosen runs on rows that none of them was fitted to, and of as many samples of each beside these rows. Distances and neighbours are those of the features."),
    choices, h("div", { class: "row" }, go), said.element, result);

  /** @param {any[]} given  runs as `runs.show` describes them */
  async function show(given) {
    runs = given.filter((run) => run.able.length).map((run) => run.name);
    element.hidden = !runs.length;
    const now = JSON.stringify(runs);
    if (now === known || !runs.length) return;
    known = now;
    const number = ++asked;
    result.replaceChildren();
    go.disabled = true;
    try {
      const { content } = await socket.ask("runs.features", { runs });
      if (number !== asked) return;
      if (!content.features.includes(features)) features = content.features[0];
      const options = content.features.map((/** @type {string} */ name) => [name, NAMES[/** @type {"raw"} */ (name)] ?? name.replace(/^pca\((\d+)\)$/, "$1 principal components (pca)")]);
      choices.replaceChildren(
        field("Features", select(options, features, (value) => { features = value; remember({ features: value }); })),
        field("Rows at most", select(ROWS, rows, (value) => { rows = value; remember({ rows: value }); })));
      said.say("");
      go.disabled = false;
    } catch (error) {
      if (number !== asked) return;
      choices.replaceChildren();
      go.disabled = true;
      said.say(String(/** @type {Error} */ (error).message), "error");
    }
  }

  async function compare() {
    const number = ++asked, began = performance.now();
    go.disabled = true;
    const clock = setInterval(() => said.say(`Sampling and measuring ${runs.length} ${runs.length > 1 ? "runs" : "run"}: ${((performance.now() - began) / 1000).toFixed(0)} s …`), 250);
    try {
      const { content } = await socket.ask("runs.compare", { runs, features, rows: Number(rows) });
      if (number === asked) { result.replaceChildren(...described(content)); said.say(""); }
    } catch (error) { if (number === asked) said.say(String(/** @type {Error} */ (error).message), "error"); }
    clearInterval(clock);
    if (number !== asked) return; // other runs were chosen meanwhile
    if (said.element.className === "note") said.say("");
    go.disabled = false;
  }

  return { element, show };
}

/** @param {any} content */
function described({ runs, data, lines, notes }) {
  const head = ["Measure", ...runs, "Ideal"].map((text) => h("th", { scope: "col" }, text));
  let features = "";
  const body = lines.flatMap((/** @type {any} */ line) => {
    const group = line.features !== features ? [h("tr", {}, h("th", { colSpan: runs.length + 2, scope: "rowgroup", class: "group" }, `Samples beside rows, by ${line.features.replace(/ #\w+$/, "")}`))] : [];
    features = line.features;
    const cells = line.values.map((/** @type {any} */ value, /** @type {number} */ k) => cell(value, k === line.best, line.level.includes(k)));
    return [...group, h("tr", {}, h("th", { scope: "row" }, line.title, h("span", { class: "note" }, [line.unit, DIRECTIONS[/** @type {"higher"} */ (line.better)]].filter(Boolean).map((text) => ` ${text}`).join(","))), ...cells, h("td", {}, line.ideal === null ? "" : rounded(line.ideal)))];
  });
  return [h("p", { class: "note" }, `Measured on ${data}. ± is one standard error.${runs.length > 1 ? " ★ marks the best of a line; ≈ what is less than two standard errors from it." : ""}`),
    h("div", { class: "scroll" }, h("table", { class: "measures" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body))),
    ...notes.map((/** @type {string} */ note) => h("p", { class: "warning" }, note))];
}

/** @param {any} value @param {boolean} best @param {boolean} level */
function cell(value, best, level) {
  if (!value || value.value === null) return h("td", {}, "–");
  const sign = { "lower bound": "≥ ", "upper bound": "≤ " }[/** @type {"lower bound"} */ (value.bound)] ?? "";
  const error = value.error === null ? "" : ` ± ${Number(value.error.toPrecision(2))}`;
  const mark = best ? h("span", { title: "the best" }, " ★") : level ? h("span", { title: "level with the best" }, " ≈") : null;
  return h("td", { class: best ? "best" : "" }, `${sign}${rounded(value.value)}${error}`, mark);
}

/** @param {number} value */
const rounded = (value) => String(Number(value.toPrecision(4)));
