/** Elements that a page is made of. */

/** @typedef {{name: string, low: number, high: number, value: number, note?: string, show?: (value: number) => string}} SliderFacts */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {string} text @param {() => void} press @param {boolean} [main] @returns {HTMLButtonElement} */
export function button(text, press, main = false) {
  const made = element("button", { type: "button", ...(main ? { class: "main" } : {}) }, [text]);
  made.addEventListener("click", press);
  return made;
}

/** @param {string} title @param {(Node | string)[]} children @returns {HTMLElement} */
export function card(title, children) {
  return element("section", { class: "card" }, [...(title ? [element("h2", {}, [title])] : []), ...children]);
}

/**
 * @param {SliderFacts} facts @param {(value: number) => void} changed
 * @returns {{root: HTMLElement, set: (value: number) => void}}
 */
export function slider(facts, changed) {
  const { name, low, high, value, note = "", show = () => note } = facts;
  const input = element("input", { type: "range", min: String(low), max: String(high), step: "any", value: String(value), "aria-label": name });
  const output = element("output", {}, [show(value)]);
  input.addEventListener("input", () => {
    output.textContent = show(Number(input.value));
    changed(Number(input.value));
  });
  input.addEventListener("keydown", (event) => {
    const way = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 })[event.key];
    if (!way) return;
    event.preventDefault();
    input.value = String(Number(input.value) + (way * (high - low)) / 40);
    input.dispatchEvent(new Event("input"));
  });
  const set = (/** @type {number} */ to) => {
    input.value = String(to);
    output.textContent = show(to);
  };
  return { root: element("label", { class: "slider" }, [element("span", {}, [name]), output, input]), set };
}

/**
 * One of several: buttons, or a list where there are many.
 * @param {string} name @param {string[]} options @param {(place: number) => void} chosen
 * @returns {HTMLElement}
 */
export function chooser(name, options, chosen) {
  if (options.length > 12) {
    const select = element("select", { "aria-label": name }, options.map((text) => element("option", {}, [text])));
    select.addEventListener("change", () => chosen(select.selectedIndex));
    return select;
  }
  const buttons = options.map((text, i) => button(text, () => {
    buttons.forEach((each, j) => each.setAttribute("aria-pressed", String(i === j)));
    chosen(i);
  }));
  buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(i === 0)));
  return element("div", { class: "row", role: "group", "aria-label": name }, buttons);
}

/** @param {string} text @param {(file: File) => void} chosen @returns {HTMLElement} */
export function fileButton(text, chosen) {
  const input = element("input", { type: "file", accept: "image/*", "aria-label": text });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) chosen(file);
    input.value = "";
  });
  return element("label", { class: "file" }, [text, input]);
}

/** @param {BlobPart} content @param {string} type @param {string} name  offered as a download */
export function save(content, type, name) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** @param {() => void} work @returns {() => void} runs it once in the next frame, however often it is asked */
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
