// Elements of the page: small functions that build what rooms are made of.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element with properties (on… are listeners, data-… and aria-… attributes) and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, any>} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, String(value));
    else if (key === "class") element.className = value;
    else /** @type {any} */ (element)[key] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** @param {string} text @param {() => void} act @param {Record<string, any>} [more] */
export const button = (text, act, more = {}) => h("button", { type: "button", onclick: act, ...more }, text);

/**
 * A label over a control.
 * @param {string} text
 * @param {HTMLElement} control
 * @param {string} [title]
 */
export const field = (text, control, title = "") => h("label", { class: "field", title }, h("span", {}, text), control);

/**
 * A choice of one of several texts.
 * @param {(string | [string, string])[]} options  values, or values with what they show
 * @param {string} chosen
 * @param {(value: string) => void} act
 */
export function select(options, chosen, act) {
  const element = h("select", { onchange: () => act(element.value) });
  for (const option of options) {
    const [value, shown] = typeof option === "string" ? [option, option] : option;
    element.append(h("option", { value, selected: value === chosen }, shown));
  }
  return element;
}

/** @param {string} text @param {boolean} checked @param {(on: boolean) => void} act */
export function check(text, checked, act) {
  const box = h("input", { type: "checkbox", checked, onchange: () => act(box.checked) });
  return h("label", { class: "check" }, box, text);
}

/**
 * A named slider with its number.
 * @param {string} name
 * @param {{low: number, high: number, value: number, step?: number, shown?: (value: number) => string, title?: string}} range
 * @param {(value: number) => void} act
 */
export function slider(name, range, act) {
  const shown = range.shown ?? ((value) => value.toFixed(2));
  const output = h("output", {}, shown(range.value));
  const input = h("input", {
    type: "range", min: String(range.low), max: String(range.high), step: String(range.step ?? (range.high - range.low) / 200),
    "aria-label": range.title || name,
    oninput: () => { output.textContent = shown(input.valueAsNumber); act(input.valueAsNumber); },
  });
  input.value = String(range.value);
  const element = h("div", { class: "slider", title: range.title ?? "" }, h("span", {}, name), input, output);
  /** @param {number} value */
  const set = (value) => { input.value = String(value); output.textContent = shown(value); };
  return { element, set };
}

/**
 * A place where one message stands, or none.
 */
export function message() {
  const element = h("p", { role: "status", hidden: true });
  /** @param {string} text @param {"error" | "note" | "warning"} [kind] */
  const say = (text, kind = "note") => {
    element.textContent = text;
    element.className = kind;
    element.hidden = !text;
  };
  /** Take back an error, since what failed works now; notes stay. */
  const clear = () => { if (element.className === "error") say(""); };
  return { element, say, clear };
}

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
