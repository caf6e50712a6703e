// Training curves of one run or several, with a choice of the term and a logarithmic scale.

import { remember } from "../address.js";
import { category } from "../colours.js";
import { check, field, h, select } from "../elements.js";
import { label, Plot, rangeOf } from "../plot.js";

const ALL = "";

/** @param {URLSearchParams} values */
export function curves(values) {
  let term = values.get("term") ?? ALL, log = values.get("log") === "1", known = "";
  /** @type {any[]} */
  let runs = [];
  const look = { title: "Training curves", x: "samples seen", y: "loss", writeY: (/** @type {number} */ v) => label(log ? Number((10 ** v).toPrecision(2)) : v) };
  const losses = new Plot(look), quality = new Plot({ title: "Held-out quality", x: "samples seen", y: "quality, higher is better" });
  const choices = h("div"), note = h("p", { class: "note", hidden: true });
  const scale = check("Logarithmic", log, (on) => { log = on; remember({ log: on ? 1 : null }); draw(); });
  const judging = h("section", { class: "card", id: "quality" }, quality.element);
  const element = h("div", { class: "plots" },
    h("section", { class: "card" }, h("div", { class: "row" }, choices, scale), losses.element, note), judging);

  function terms() {
    const found = new Set(runs.flatMap((run) => run.curves.flatMap((/** @type {any} */ report) => Object.keys(report.terms))));
    return [...found].sort((a, b) => Number(a.includes(".")) - Number(b.includes(".")));
  }

  /** The terms that several runs have in common come first: those compare. */
  function choose() {
    const all = terms(), now = JSON.stringify([all, runs.length]);
    if (now === known) return;
    known = now;
    if (!all.includes(term)) term = ALL;
    const shared = (/** @type {string} */ name) => runs.filter((run) => run.curves.some((/** @type {any} */ report) => name in report.terms)).length;
    const several = runs.length > 1;
    const ordered = all.toSorted((a, b) => shared(b) - shared(a));
    /** @type {[string, string][]} */
    const options = [[ALL, several ? "the main terms" : "all terms"], ...ordered.map((name) => /** @type {[string, string]} */ ([name, several ? `${name} (${shared(name)} of ${runs.length} runs)` : name]))];
    choices.replaceChildren(field("Term", select(options, term, (value) => { term = value; remember({ term: value }); draw(); })));
  }

  function draw() {
    const main = terms().filter((name) => !name.includes("."));
    const names = term !== ALL ? [term] : runs.length > 1 ? main.slice(0, 2) : main;
    /** @type {import("../plot.js").Mark[]} */
    const marks = [];
    let k = 0, left = 0;
    for (const run of runs) for (const name of names) {
      const pairs = run.curves.map((/** @type {any} */ report) => [report.samples, report.terms[name]]).filter((/** @type {any[]} */ [, v]) => v !== undefined && v !== null);
      const kept = log ? pairs.filter((/** @type {number[]} */ [, v]) => v > 0).map((/** @type {number[]} */ [n, v]) => [n, Math.log10(v)]) : pairs;
      left += pairs.length - kept.length;
      if (pairs.length) marks.push({ kind: "lines", lines: [kept.flat()], colour: category(k++), width: 1.6, name: runs.length > 1 ? `${run.name}: ${name}` : name });
    }
    const drawn = marks.flatMap((mark) => (mark.kind === "lines" ? [Array.from(mark.lines[0])] : []));
    const ys = drawn.flatMap((xy) => xy.filter((_, i) => i % 2)).sort((a, b) => a - b);
    look.y = term === ALL ? "loss" : term;
    losses.show({ x: rangeOf(drawn.flatMap((xy) => xy.filter((_, i) => i % 2 === 0))), y: rangeOf(log ? ys : ys.slice(0, Math.ceil(0.99 * ys.length))), marks });
    note.textContent = !marks.length ? "These runs logged no curves: they were fitted in one go." : left ? `${left} values of 0 or below have no logarithm and are left out.` : "";
    note.hidden = !note.textContent;
    const judged = runs.filter((run) => run.quality.length > 1);
    judging.hidden = !judged.length;
    const at = (/** @type {number} */ which) => judged.flatMap((run) => run.quality.map((/** @type {number[]} */ pair) => pair[which]));
    quality.show({ x: rangeOf(at(0)), y: rangeOf(at(1)), marks: judged.map((run, i) => ({ kind: "lines", lines: [run.quality.flat()], colour: category(i), width: 1.6, name: run.name })) });
  }

  /** @param {any[]} given  runs as `runs.show` describes them */
  function show(given) {
    runs = given;
    element.hidden = !runs.length;
    choose();
    draw();
  }

  return { element, show };
}
