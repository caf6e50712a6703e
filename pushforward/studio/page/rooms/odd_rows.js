// The rows of a table that are least like the rest, and one row with what makes it odd.

import { remember } from "../address.js";
import { button, field, h, message } from "../elements.js";
import { count, exact, shown, tell } from "./values.js";

const MOST = 12;

/**
 * @param {import("../socket.js").Socket} socket @param {string} run
 * @param {any} facts  of the run, as density.open tells them
 * @param {string | null} first  the number of the row shown at the start
 * @param {(row: any) => void} mark  called with the row that is shown
 */
export function oddRows(socket, run, facts, first, mark) {
  const root = /** @type {HTMLElement} */ (document.getElementById("room"));
  const said = message(), oddSaid = message(), rowBox = h("div", { class: "fields", id: "row" }), list = h("div", { class: "scroll", id: "odd" });
  const progress = h("p", { class: "note", id: "scored", role: "status" });
  const number = h("input", { type: "number", min: "0", max: String(facts.of - 1), step: "1", placeholder: "0", onchange: () => show(number.valueAsNumber) });

  /** @param {number} which @param {boolean} [chosen]  from the list, which may be far below */
  async function show(which, chosen = false) {
    try {
      const { content } = await socket.ask("density.row", { run, number: which }, { channel: "row" });
      said.say("");
      number.value = String(which);
      remember({ row: which });
      rowBox.replaceChildren(...described(content));
      for (const line of list.querySelectorAll("tr[data-row]")) line.setAttribute("aria-selected", String(line.getAttribute("data-row") === String(which)));
      root.dataset.row = String(which);
      mark(content);
      if (chosen) rowBox.scrollIntoView({ block: "center", behavior: "smooth" });
    } catch (error) { tell(said, error); }
  }

  /** @param {any} row */
  function described(row) {
    /** @type {Map<string, any>} */
    const expected = new Map(row.odd.map((/** @type {any} */ one) => [one.name, one]));
    const among = row.scored < row.of ? `the first ${count(row.scored)} rows` : count(row.of);
    const rank = row.incomplete ? "it has missing values, so it is not ranked" : row.rank === null ? "not ranked yet" : `${count(row.rank)} of ${among} from the least likely`;
    const lines = Object.entries(row.values).map(([name, v]) => {
      const would = expected.get(name);
      return h("tr", { "data-odd": would?.outside ? "yes" : null }, h("th", {}, name), h("td", {}, would?.outside ? h("b", {}, exact(v)) : exact(v)),
        expected.size ? h("td", {}, would ? `${shown(would.written.q05)} to ${shown(would.written.q95)}` : "") : null);
    });
    const head = expected.size ? h("tr", {}, h("th", {}, "Column"), h("th", {}, "Value"), h("th", {}, "Given the others, 5 to 95 %")) : null;
    const outside = row.odd.filter((/** @type {any} */ one) => one.outside).map((/** @type {any} */ one) => one.name);
    const why = !expected.size ? "" : outside.length ? `Odd given its other columns: ${outside.join(", ")}; the oddest first.` : "No column is odd given the others.";
    return [row.name ? h("p", {}, h("b", {}, row.name[1] || "no name"), h("span", { class: "note" }, ` (${row.name[0]})`)) : null,
      h("p", { class: "numbers" }, h("span", {}, "log density ", h("b", {}, shown(row.log_density ?? "−∞")), `; ${rank}`)),
      why ? h("p", { class: "note", id: "why" }, why) : null,
      h("div", { class: "scroll" }, h("table", {}, head, ...lines))].filter((one) => one !== null);
  }

  /** @param {any} found */
  function write(found) {
    const names = found.named ? [h("th", {}, found.named.column)] : [];
    const head = h("tr", {}, h("th", {}, "Row"), ...names, h("th", {}, "Log density"), ...found.names.map((/** @type {string} */ name) => h("th", {}, name)));
    list.replaceChildren(h("table", {}, head, ...found.rows.map((/** @type {any} */ r, /** @type {number} */ k) => h("tr", { "data-row": r.number },
      h("td", {}, button(String(r.number), () => show(r.number, true), { "aria-label": `show row ${r.number}` })),
      found.named ? h("td", {}, found.named.rows[k]) : null,
      h("td", {}, r.log_density === null ? "−∞" : shown(r.log_density)), ...r.values.map((/** @type {any} */ v) => h("td", {}, exact(v)))))));
  }

  /** Rank all rows, a part at a time, and show the row of the address. */
  async function begin() {
    if (!facts.of) { list.replaceChildren(h("p", { class: "note" }, "The rows of this run cannot be found, so none can be ranked.")); return; }
    if (first) show(Number(first));
    const rest = facts.left_out ? ` of the first; ${count(facts.left_out)} further rows of the table are not read` : "";
    try {
      for (let done = false; !done;) {
        const { content } = await socket.ask("density.odd", { run, top: MOST });
        if (!root.contains(list)) return; // the room was left, or shows another run
        done = content.scored >= content.of;
        write(content);
        progress.textContent = done ? `All ${count(content.of)} rows${rest} are ranked.` : `${count(content.scored)} of ${count(content.of)} rows are scored so far …`;
        root.dataset.odd = content.rows.map((/** @type {any} */ r) => r.number).join(",");
        root.dataset.scored = String(content.scored);
      }
    } catch (error) { tell(oddSaid, error); }
  }

  const row = h("section", { class: "card" }, h("h2", {}, "Row"), field("Number, counted from 0", number), said.element, rowBox);
  const element = h("section", { class: "card" }, h("h2", {}, "Odd rows"), h("p", { class: "note" }, "Of the lowest density under this model. Choose a number to see what makes a row odd, and where it lies."), progress, oddSaid.element, list);
  return { row, element, said, show, begin };
}
