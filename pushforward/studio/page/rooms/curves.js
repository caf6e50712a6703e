// Training curves of one run or several, with a choice of the term and a logarithmic scale. What is not measured alike
// has axes of its own.

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
  /** @type {Map<string, Plot>} */
  const losses = new Map();
  /** @type {Map<string, Plot>} */
  const qualities = new Map();
  const choices = h("div"), note = h("p", { class: "note", hidden: true });
  const scale = check("Logarithmic", log, (on) => { log = on; remember({ log: on ? 1 : null }); draw(); });
  const drawn = h("div", { class: "side" }), judged = h("div", { class: "side" }), judging = h("section", { class: "card", id: "quality" }, judged);
  const element = h("div", { class: "plots" },
    h("section", { class: "card" }, h("div", { class: "row" }, choices, scale), drawn, note), judging);

  function terms() {
    return allTerms(runs).sort((a, b) => Number(a.includes(".")) - Number(b.includes(".")));
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
    const logged = runs.filter((run) => run.curves.length), groups = term === ALL && logged.length ? alike(logged) : [{ key: term, runs: logged }];
    let left = 0, lines = 0;
    show(losses, drawn, groups.map((group) => {
      const main = mainTerms(group.runs), several = runs.length > 1;
      const names = term !== ALL ? [term] : several ? main.slice(0, 2) : main;
      /** @type {import("../plot.js").Mark[]} */
      const marks = [];
      for (const run of group.runs) for (const name of names) {
        const pairs = run.curves.map((/** @type {any} */ report) => [report.samples, report.terms[name]]).filter((/** @type {any[]} */ [, v]) => v !== undefined && v !== null);
        const kept = log ? pairs.filter((/** @type {number[]} */ [, v]) => v > 0).map((/** @type {number[]} */ [n, v]) => [n, Math.log10(v)]) : pairs;
        left += pairs.length - kept.length;
        if (pairs.length) marks.push({ kind: "lines", lines: [kept.flat()], colour: category(lines++), width: 1.6, name: several ? `${run.name}: ${name}` : name });
      }
      const points = marks.flatMap((mark) => (mark.kind === "lines" ? [Array.from(mark.lines[0])] : []));
      const ys = points.flatMap((xy) => xy.filter((_, i) => i % 2)).sort((a, b) => a - b);
      const y = rangeOf(log ? ys : ys.slice(0, Math.ceil(0.99 * ys.length)));
      const writeY = (/** @type {number} */ v) => label(log ? Number((10 ** v).toPrecision(2)) : v);
      const look = { title: titled("Training curves", group, groups), x: "samples seen", y: term === ALL ? "loss" : term, writeY };
      return { key: group.key, look, content: { x: rangeOf(points.flatMap((xy) => xy.filter((_, i) => i % 2 === 0))), y, marks } };
    }));
    note.textContent = !lines ? "These runs logged no curves: they were fitted in one go." : left ? `${left} values of 0 or below have no logarithm and are left out.` : "";
    note.hidden = !note.textContent;
    const known = runs.filter((run) => run.quality.length > 1), kinds = alike(known);
    judging.hidden = !known.length;
    show(qualities, judged, kinds.map((group) => {
      const at = (/** @type {number} */ which) => group.runs.flatMap((run) => run.quality.map((/** @type {number[]} */ pair) => pair[which]));
      const look = { title: titled("Held-out quality", group, kinds), x: "samples seen", y: "quality, higher is better" };
      /** @type {import("../plot.js").Mark[]} */
      const marks = group.runs.map((run) => ({ kind: "lines", lines: [run.quality.flat()], colour: category(known.indexOf(run)), width: 1.6, name: run.name }));
      return { key: group.key, look, content: { x: rangeOf(at(0)), y: rangeOf(at(1)), marks } };
    }));
  }

  /** @param {any[]} given  runs as `runs.show` describes them */
  function take(given) {
    runs = given;
    element.hidden = !runs.length;
    choose();
    draw();
  }

  return { element, show: take };
}

/** @typedef {{key: string, runs: any[]}} Group */
/** @typedef {import("../plot.js").Look} Look */
/** @typedef {import("../plot.js").Content} Content */

/** @param {any[]} runs @returns {string[]} */
const allTerms = (runs) => [...new Set(runs.flatMap((run) => run.curves.flatMap((/** @type {any} */ report) => Object.keys(report.terms))))];

/** Without terms that belong to another, such as the accuracy of a critic. @param {any[]} runs */
const mainTerms = (runs) => allTerms(runs).filter((name) => !name.includes("."));

/** Runs in groups that are measured alike: by the same terms, of the same kind of observations. @param {any[]} runs */
function alike(runs) {
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const run of runs) {
    const key = JSON.stringify([mainTerms([run]).sort(), run.space]), group = groups.get(key);
    if (group) group.runs.push(run); else groups.set(key, { key, runs: [run] });
  }
  return [...groups.values()];
}

/** A title that tells plots of several groups apart. @param {string} text @param {Group} group @param {Group[]} groups */
const titled = (text, group, groups) => (groups.length > 1 ? `${text}: ${group.runs.map((run) => run.name).join(", ")}` : text);

/**
 * Show these plots and no others, each in the figure that it had before.
 * @param {Map<string, Plot>} plots @param {HTMLElement} place
 * @param {{key: string, look: Look, content: Content}[]} wanted
 */
function show(plots, place, wanted) {
  const names = new Set(wanted.map(({ key, look }) => key + look.title));
  for (const [name, plot] of plots) if (!names.has(name)) { plot.element.remove(); plots.delete(name); }
  wanted.forEach(({ key, look, content }, k) => {
    const plot = plots.get(key + look.title) ?? new Plot(look);
    plots.set(key + look.title, plot);
    plot.look = look;
    if (place.children[k] !== plot.element) place.insertBefore(plot.element, place.children[k] ?? null);
    plot.show(content);
  });
}
