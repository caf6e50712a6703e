// Density: two columns at a time, the others given the values of some, and odd rows.

import { remember } from "../address.js";
import { category, heat, themed } from "../colours.js";
import { button, check, field, h, message, select } from "../elements.js";
import { Plot, label } from "../plot.js";
import { Superseded } from "../socket.js";
import { runChooser } from "./choosing.js";
import { contour } from "./contours.js";
import { DATES, parsed, writer, written } from "./column_texts.js";
import { oddRows } from "./odd_rows.js";
import { exact, shown, tell, text } from "./values.js";

/**
 * @typedef {{name: string, kind: string, unit: string, categories: string[], low: number, high: number, from: number, to: number}} Column
 * @typedef {{name: string, written: Record<string, any>, low: number, high: number, mean: number, q05: number, q50: number, q95: number}} Marginal
 */

const MOST = 6, LARGE = 72, SMALL = 24, DEPTH = 12;

/** @type {import("../main.js").Room["enter"]} */
export function enter(root, { socket, values }) {
  let here = true;
  const said = message(), body = h("div", { class: "stack" });
  const chooser = runChooser(socket, "HasDensity", values.get("run") ?? "", open, (run) => run.kind === "points");
  root.append(h("h1", {}, "Density of a table"),
    h("p", { class: "intro" }, "Two columns at a time, the other columns when some are known, and the rows that are least like the rest."),
    chooser.element, said.element, body);

  /** @param {string} run */
  async function open(run) {
    const fresh = run !== values.get("run");
    remember(fresh ? { run, x: null, y: null, columns: null, fixed: null, row: null } : { run });
    if (fresh) for (const name of ["x", "y", "columns", "fixed", "row"]) values.delete(name);
    values.set("run", run);
    body.replaceChildren(h("p", { class: "note" }, "Opening …"));
    try {
      const answer = await socket.ask("density.open", { run }, { channel: "density" });
      if (!here) return;
      said.say(answer.content.notes.join("; "));
      body.replaceChildren(...room(run, answer));
    } catch (error) {
      if (error instanceof Superseded) return;
      body.replaceChildren();
      said.say(text(error), "error");
    }
  }

  /** @param {string} run @param {import("../socket.js").Answer} opened */
  function room(run, { content: facts, arrays }) {
    /** @type {Column[]} */
    const columns = facts.columns;
    const numeric = columns.filter((c) => c.kind !== "categorical").map((c) => c.name);
    const known = (/** @type {string | null} */ name) => (name !== null && numeric.includes(name) ? name : null);
    let x = known(values.get("x")) ?? numeric[0];
    let y = [known(values.get("y")), numeric[1], numeric[0]].find((name) => name && name !== x) ?? numeric[0];
    let chosen = (values.get("columns") ?? "").split(",").filter((name) => known(name)).slice(0, MOST);
    if (chosen.length < 2) chosen = numeric.slice(0, MOST);
    /** @type {Record<string, number | string>} */
    let fixed = {};
    try { fixed = Object.fromEntries(Object.entries(JSON.parse(values.get("fixed") ?? "{}")).filter(([name]) => columns.some((c) => c.name === name))); } catch { /* an old link */ }
    /** @type {any} */
    let pair = null;
    /** @type {any} */
    let marked = null;
    /** @type {Marginal[]} */
    let before = [];
    /** @type {Float32Array | null} */
    let beforeCurves = null;

    const axis = (/** @type {string} */ name) => { const c = column(name); return c.unit && !DATES.includes(c.unit) ? `${name} (${c.unit})` : name; };
    const column = (/** @type {string} */ name) => /** @type {Column} */ (columns.find((c) => c.name === name));
    const place = (/** @type {string} */ name) => columns.findIndex((c) => c.name === name);

    // ------------------------------------------------------------------------------ the large pair
    const plot = new Plot({ title: "Log density of two columns", x: axis(x), y: axis(y), shape: 0.8 });
    plot.canvas.tabIndex = 0;
    const about = h("p", { class: "note", id: "about" }), pairSaid = message(), markedSaid = message();
    const selectX = h("div"), selectY = h("div");

    function buildAxes() {
      plot.look = { ...plot.look, x: axis(x), y: axis(y), writeX: writer(column(x)), writeY: writer(column(y)) };
      selectX.replaceChildren(field("Across", select(numeric, x, (name) => choose(name, name === y ? x : y))));
      selectY.replaceChildren(field("Up", select(numeric, y, (name) => choose(name === x ? y : x, name))));
    }

    /** @param {string} first @param {string} second */
    function choose(first, second) {
      [x, y] = [first, second];
      remember({ x, y });
      buildAxes();
      showPair();
      markThumbs();
    }

    async function showPair() {
      try {
        const { content, arrays: drawn } = await socket.ask("density.pair", { run, x, y, fixed, cells: LARGE }, { channel: "pair" });
        pair = { ...content, density: drawn.density, names: [x, y] };
        pairSaid.say(drawn.density.values.some(Number.isFinite) ? "" : "The density is 0 everywhere in view: nothing like the fixed values was seen.", "warning");
        about.textContent = describe(content) + (content.unseen ? ` ${content.unseen.toLocaleString("en")} rows lie outside what is drawn.` : "");
        drawPair();
        root.dataset.pair = `${x},${y}`;
        root.dataset.kind = content.kind;
        root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
      } catch (error) { tell(pairSaid, error); }
    }

    /** @param {any} content */
    function describe(content) {
      const list = (/** @type {Record<string, any>} */ held) => Object.entries(held).map(([name, v]) => `${name} = ${shown(v)}`).join(", ");
      const shares = content.levels.map((/** @type {any} */ l) => `${Math.round(100 * l.share)} %`).join(", ");
      const inside = shares ? ` Lines hold ${shares} of the mass.` : "";
      if (content.kind === "slice") return `This model has no closed marginals: you see a slice through its density, with ${list(content.held)}${facts.of ? " (medians where nothing is fixed)" : ""}.${inside}`;
      if (content.kind === "conditional") return `Density of ${x} and ${y}, given ${list(content.given)}.${inside}`;
      return `${content.kind === "marginal" ? "Marginal density" : "Density"} of ${x} and ${y}${content.kind === "marginal" ? ", whatever the other columns are" : ""}.${inside}`;
    }

    function drawPair() {
      if (!pair) return;
      const { density, levels, names } = pair, cells = density.shape[0];
      const scale = scaleOf(density.values);
      /** @type {import("../plot.js").Mark[]} */
      const marks = [{ kind: "heat", values: density.values, width: cells, height: cells, scale, name: `log density, ${label(round(scale.low))} to ${label(round(scale.high))}` }];
      if (arrays.rows) { const xy = pick(names); marks.push({ kind: "points", xy, colour: "#ff5c39", size: 1.5, alpha: xy.length > 2000 ? 0.35 : 0.6, name: "data" }); }
      for (const { height } of levels) {
        const lines = contour(density.values, cells, height, pair.x, pair.y); // white in black: readable on every colour of scale and points
        marks.push({ kind: "lines", lines, colour: "#000000", width: 3.2, alpha: 0.55 }, { kind: "lines", lines, colour: "#ffffff", width: 1.4 });
      }
      for (const [name, value] of Object.entries(fixed)) {
        if (typeof value !== "number") continue;
        if (name === names[0]) marks.push({ kind: "lines", lines: [[value, pair.y[0], value, pair.y[1]]], colour: "#ffffff", width: 1.5, dash: [5, 4] });
        if (name === names[1]) marks.push({ kind: "lines", lines: [[pair.x[0], value, pair.x[1], value]], colour: "#ffffff", width: 1.5, dash: [5, 4] });
      }
      if (marked) {
        const xy = names.map((/** @type {string} */ name) => marked.place[place(name)]);
        const seen = [pair.x, pair.y].every(([low, high], k) => xy[k] === null || (low <= xy[k] && xy[k] <= high));
        markedSaid.say(xy.some((/** @type {number | null} */ v) => v === null) ? `Row ${marked.number} lacks one of these two values.` : seen ? "" : `Row ${marked.number} lies outside what is drawn.`);
        if (xy.every(Number.isFinite)) marks.push({ kind: "points", xy, colour: "#000000", size: 8 }, { kind: "points", xy, colour: "#ffffff", size: 6.5 }, { kind: "points", xy, colour: "#d1005b", size: 4.5, name: `row ${marked.number}` });
      }
      plot.show({ x: pair.x, y: pair.y, marks });
    }

    /** Finite places of the rows drawn, x and y in turn. @param {string[]} names */
    function pick([first, second]) {
      const { values: rows, shape: [n, d] } = arrays.rows, [a, b] = [place(first), place(second)], xy = [];
      for (let i = 0; i < n; i++) if (Number.isFinite(rows[i * d + a]) && Number.isFinite(rows[i * d + b])) xy.push(rows[i * d + a], rows[i * d + b]);
      return xy;
    }

    plot.canvas.style.cursor = arrays.rows ? "pointer" : "default";
    plot.canvas.addEventListener("click", (event) => {
      if (!pair || !arrays.rows) return;
      const at = plot.place(/** @type {PointerEvent} */ (event)), { values: rows, shape: [n, d] } = arrays.rows;
      const [a, b] = pair.names.map(place), spans = [pair.x[1] - pair.x[0], pair.y[1] - pair.y[0]];
      let best = -1, least = 0.05;
      for (let i = 0; i < n; i++) {
        const far = Math.hypot((rows[i * d + a] - at[0]) / spans[0], (rows[i * d + b] - at[1]) / spans[1]);
        if (far < least) [best, least] = [i, far];
      }
      if (best >= 0) odd.show(arrays.numbers.values[best]);
      else odd.said.say("There is no row near that place; choose a point.");
    });

    // ------------------------------------------------------------------------------- the small pairs
    /** @type {Map<string, {canvas: HTMLCanvasElement, button: HTMLElement}>} */
    const thumbs = new Map();
    const matrix = h("div", { class: "matrix", role: "group", "aria-label": "Pairs of columns" }), matrixSaid = message();
    let turn = 0;

    function buildMatrix() {
      thumbs.clear();
      matrix.style.gridTemplateColumns = `repeat(${chosen.length - 1}, minmax(0, 1fr)) minmax(0, auto)`;
      const cells = chosen.slice(1).flatMap((second, r) => [
        ...chosen.slice(0, -1).map((first, c) => {
          if (c > r) return h("span");
          const canvas = h("canvas", { width: SMALL, height: SMALL });
          const made = button("", () => choose(first, second), { class: "quiet", "aria-label": `${first} and ${second}`, title: `${first} and ${second}` });
          made.append(canvas);
          thumbs.set(`${first}\n${second}`, { canvas, button: made });
          return made;
        }), h("span", { class: "note" }, second)]);
      matrix.replaceChildren(...cells, ...chosen.slice(0, -1).map((name) => h("span", { class: "note" }, name)));
      markThumbs();
      drawMatrix();
    }

    function markThumbs() {
      for (const [key, { button: made }] of thumbs) {
        const [a, b] = key.split("\n");
        made.setAttribute("aria-pressed", String((a === x && b === y) || (a === y && b === x)));
      }
    }

    async function drawMatrix() {
      const mine = ++turn;
      for (const [key, { canvas }] of thumbs) {
        const [first, second] = key.split("\n");
        try {
          const { content, arrays: drawn } = await socket.ask("density.pair", { run, x: first, y: second, fixed, cells: SMALL });
          if (mine !== turn || !here) return;
          paintThumb(canvas, drawn.density, content, first, second);
          matrixSaid.say("");
        } catch (error) {
          if (mine === turn) tell(matrixSaid, error);
          return;
        }
      }
      root.dataset.pairs = String(thumbs.size);
    }

    /** @param {HTMLCanvasElement} canvas @param {any} density @param {any} content @param {string} first @param {string} second */
    function paintThumb(canvas, density, content, first, second) {
      const side = 96, c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), small = document.createElement("canvas");
      small.width = small.height = SMALL;
      /** @type {CanvasRenderingContext2D} */ (small.getContext("2d")).putImageData(new ImageData(heat(density.values, SMALL, SMALL, scaleOf(density.values)), SMALL, SMALL), 0, 0);
      canvas.width = canvas.height = side;
      c.drawImage(small, 0, 0, side, side);
      if (!arrays.rows) return;
      const xy = pick([first, second]), step = 2 * Math.max(1, Math.ceil(xy.length / 400));
      c.fillStyle = "rgb(255 92 57 / 70%)";
      for (let i = 0; i + 1 < xy.length; i += step) c.fillRect(side * (xy[i] - content.x[0]) / (content.x[1] - content.x[0]) - 1, side * (1 - (xy[i + 1] - content.y[0]) / (content.y[1] - content.y[0])) - 1, 2, 2);
    }

    const picker = numeric.length > 2 ? h("details", { open: numeric.length > MOST }, h("summary", {}, `Columns of the pairs (at most ${MOST})`), h("div", { class: "row" }, ...numeric.map((name) => {
      const made = check(name, chosen.includes(name), (on) => {
        const next = numeric.filter((other) => (other === name ? on : chosen.includes(other)));
        const box = /** @type {HTMLInputElement} */ (made.querySelector("input"));
        if (next.length > MOST || next.length < 2) { box.checked = !on; matrixSaid.say(`Choose 2 to ${MOST} columns at a time; take one out first.`, "warning"); return; }
        chosen = next;
        matrixSaid.say("");
        remember({ columns: chosen.join(",") });
        buildMatrix();
      });
      return made;
    }))) : null;

    // --------------------------------------------------------------------------------- conditions
    const givenSaid = message(), warnings = h("div", { class: "fields", id: "warnings" }), curves = h("div", { class: "curves", id: "curves" });
    /** @type {Map<string, Plot>} */
    const plots = new Map();

    function fixedChanged() {
      remember({ fixed: Object.keys(fixed).length ? JSON.stringify(fixed) : null });
      showGiven();
      showPair();
      drawMatrix();
    }

    async function showGiven() {
      try {
        if (facts.closed && !beforeCurves) {
          const first = await socket.ask("density.given", { run, fixed: {} });
          before = first.content.columns;
          beforeCurves = /** @type {Float32Array} */ (first.arrays.curves.values);
        }
        const { content, arrays: drawn } = await socket.ask("density.given", { run, fixed }, { channel: "given" });
        givenSaid.say("");
        warnings.replaceChildren(...content.warnings.map((/** @type {string} */ w) => h("p", { class: "warning" }, sentence(w))));
        if (drawn.curves) drawCurves(content.columns, /** @type {Float32Array} */ (drawn.curves.values), drawn.curves.shape[1]);
        root.dataset.given = JSON.stringify(fixed);
      } catch (error) { warnings.replaceChildren(); tell(givenSaid, error); }
    }

    /** @param {Marginal[]} marginals @param {Float32Array} all @param {number} count */
    function drawCurves(marginals, all, count) {
      const xy = (/** @type {Marginal} */ m, /** @type {Float32Array} */ from, /** @type {number} */ k) => Array.from({ length: count }, (_, i) => [m.low + ((m.high - m.low) * i) / (count - 1), from[k * count + i]]).flat();
      const elements = marginals.map((m, k) => {
        const made = plots.get(m.name) ?? new Plot({ title: m.name, x: axis(m.name), y: "density", shape: 0.42, writeX: writer(column(m.name)) });
        plots.set(m.name, made);
        const now = xy(m, all, k), past = before.findIndex((b) => b.name === m.name), known = Object.keys(fixed).length > 0;
        const earlier = known && beforeCurves ? xy(before[past], beforeCurves, past) : [];
        const top = 1.08 * Math.max(...now.filter((_, i) => i % 2), ...earlier.filter((_, i) => i % 2)) || 1;
        /** @type {import("../plot.js").Mark[]} */
        const marks = earlier.length ? [{ kind: "lines", lines: [earlier], colour: themed("edge"), width: 1.3, dash: [4, 3], name: "nothing known" }] : [];
        marks.push({ kind: "lines", lines: [now], colour: category(0), width: 2, name: known ? "given" : "density" },
          { kind: "lines", lines: [[m.q05, 0, m.q95, 0]], colour: category(0), width: 7, alpha: 0.75, name: "90 %" },
          { kind: "lines", lines: [[m.mean, 0, m.mean, top]], colour: category(1), width: 1.6, name: "mean" });
        made.show({ x: [m.low, m.high], y: [0, top], marks });
        const w = m.written, note = h("p", { class: "numbers" }, ...[["mean", w.mean], ["median", w.q50], ["5 to 95 %", `${shown(w.q05)} to ${shown(w.q95)}`]].map(([name, v]) => h("span", {}, `${name} `, h("b", {}, shown(v)))));
        return h("div", { class: "fields", "data-column": m.name }, made.element, note);
      });
      curves.replaceChildren(...elements);
    }

    const sliders = h("div", { class: "fields" }, ...columns.map((c) => condition(c)));
    const forget = button("Forget all", () => { fixed = {}; sliders.replaceChildren(...columns.map((c) => condition(c))); fixedChanged(); });

    /** @param {Column} c */
    function condition(c) {
      const on = h("input", { type: "checkbox", checked: c.name in fixed, "aria-label": `fix ${c.name}` });
      const control = c.kind === "categorical" ? choiceOf(c) : sliderOf(c, () => on);
      on.addEventListener("change", () => {
        if (on.checked && Object.keys(fixed).length >= columns.length - 1) { on.checked = false; givenSaid.say("Leave at least one column free.", "warning"); return; }
        if (on.checked) fixed[c.name] = control.value(); else delete fixed[c.name];
        fixedChanged();
      });
      return h("div", { class: "condition" }, h("label", { class: "check" }, on, c.name), control.element);

      /** @param {Column} one */
      function choiceOf(one) {
        const made = select(one.categories, String(fixed[one.name] ?? one.categories[0]), (value) => { on.checked = true; fixed[one.name] = value; fixedChanged(); });
        made.setAttribute("aria-label", one.name);
        return { element: made, value: () => made.value };
      }
    }

    /** @param {Column} c @param {() => HTMLInputElement} box */
    function sliderOf(c, box) {
      const span = c.to - c.from, low = c.from - 0.25 * span, high = c.to + 0.25 * span, whole = c.kind === "integer";
      const start = typeof fixed[c.name] === "number" ? Number(fixed[c.name]) : (c.from + c.to) / 2;
      const ends = whole ? [Math.floor(low), Math.ceil(high)] : [low, high];
      const input = h("input", { type: "range", min: String(ends[0]), max: String(ends[1]), step: whole ? "1" : "any", "aria-label": `${c.name}, data from ${written(c, c.low)} to ${written(c, c.high)}` });
      input.value = String(whole ? Math.round(start) : start);
      const dated = DATES.includes(c.unit);
      const number = h("input", { type: dated ? "text" : "number", step: "any", value: written(c, start), "aria-label": `value of ${c.name}` });
      const band = h("span", { class: "band", title: `data from ${written(c, c.low)} to ${written(c, c.high)}` });
      const part = (/** @type {number} */ v) => (100 * (v - ends[0])) / (ends[1] - ends[0]);
      const [first, last] = [Math.max(0, part(c.low)), Math.min(100, part(c.high))];
      band.style.marginLeft = `${Math.min(99, first)}%`;
      band.style.width = `${Math.max(1, last - first)}%`;
      /** @param {number} v */
      const fix = (v) => {
        if (!box().checked) {
          if (Object.keys(fixed).length >= columns.length - 1) { givenSaid.say("Leave at least one column free.", "warning"); return; }
          box().checked = true;
        }
        fixed[c.name] = v;
        fixedChanged();
      };
      input.addEventListener("input", () => { const v = Number(Number(input.value).toPrecision(whole ? 17 : 6)); number.value = written(c, v); fix(v); });
      input.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
        if (!step || whole) return;
        event.preventDefault();
        input.value = String(Number(input.value) + (step * span) / 100);
        input.dispatchEvent(new Event("input"));
      });
      number.addEventListener("change", () => {
        const v = dated ? parsed(c, number.value) : number.valueAsNumber;
        if (!Number.isFinite(v)) { givenSaid.say(`${c.name} must be ${dated ? "a date such as 2024-06-01" : "a number"}.`, "error"); return; }
        input.value = String(v);
        fix(v);
      });
      return { element: h("div", { class: "fixing" }, h("div", { class: "ranged" }, input, band), number), value: () => Number(Number(input.value).toPrecision(whole ? 17 : 6)) };
    }

    const odd = oddRows(socket, run, facts, values.get("row"), (row) => { marked = row; drawPair(); });

    const pairs = numeric.length > 1;
    if (pairs) { buildAxes(); buildMatrix(); showPair(); }
    showGiven();
    odd.begin();
    repaint = () => { drawPair(); showGiven(); };
    const drawn = !arrays.rows ? "" : `${facts.drawn < facts.of ? `${facts.drawn.toLocaleString("en")} of ${facts.of.toLocaleString("en")} rows are drawn. ` : ""}Choose a point to see its row.`;
    const single = columns.length < 2, fewPairs = "This table has fewer than two columns of numbers, so no pair can be drawn.";
    return [
      h("div", { class: pairs ? "columns wide" : "stack" },
        pairs ? h("div", { class: "stack" }, h("section", { class: "card" }, h("div", { class: "row even" }, selectX, selectY), plot.element, pairSaid.element, markedSaid.element, about, drawn ? h("p", { class: "note" }, drawn) : null)) : h("p", { class: "note" }, fewPairs),
        h("div", { class: "stack" },
          numeric.length > 2 ? h("section", { class: "card" }, h("h2", {}, "All pairs"), matrix, matrixSaid.element, picker) : null,
          facts.of ? odd.row : null)),
      h("section", { class: "card" }, h("div", { class: "row spread" }, h("h2", {}, single ? "Its distribution" : "If some columns are known"), single ? null : forget),
        facts.closed ? null : h("p", { class: "note" }, "This model has no conditionals in closed form: the values below move the slice above, and the other columns' distributions are not known."),
        h("div", { class: single ? "stack" : "columns known" }, single ? null : h("div", { class: "fields" }, sliders, h("p", { class: "note" }, "Moving a slider fixes its column. The bar below a slider is where the data are."), warnings, givenSaid.element), curves)),
      odd.element,
    ];
  }

  let repaint = () => {};
  const onTheme = () => repaint();
  addEventListener("themechange", onTheme);
  chooser.begin();
  return () => { here = false; removeEventListener("themechange", onTheme); };
}

/** @param {string} words */
const sentence = (words) => `${words}.`;

/** @param {number} v */
const round = (v) => Number(v.toPrecision(3));

/** @param {ArrayLike<number>} values @returns {{kind: "rising", low: number, high: number}} */
function scaleOf(values) {
  let high = -Infinity, low = Infinity;
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i])) { high = Math.max(high, values[i]); low = Math.min(low, values[i]); }
  return high < low ? { kind: "rising", low: 0, high: 1 } : { kind: "rising", low: Math.max(low, high - DEPTH), high };
}
