// A model and how it learns: its settings and learning rates, and which of them were changed.

import { remember } from "../address.js";
import { check, field, h, select } from "../elements.js";

/**
 * @typedef {{name: string, section: string, default: string, help: string, choices: string[], switch: boolean}} Setting
 * @typedef {{name: string, summary: string, settings: Setting[], rates: Record<string, number>}} Model
 * @typedef {{model: string, settings: Record<string, string>, rates: Record<string, number>}} Choice
 */

const COMMON = ["latent", "hidden", "width", "components", "clusters", "start", "game", "penalties", "critic_steps", "beta", "batch", "seed"];
/** First values in the room, where they differ from the library's, of points in the plane and of images: two codes to draw, weights as they
 * are at each step, and starts from which passes have some way to go (those of the library leave nothing to watch on the ring). */
const FIRST = /** @type {Record<"points" | "images", Record<string, Record<string, string>>>} */ ({
  points: {
    gan: { latent: "2", ema: "none" }, vae: { latent: "2" }, autoencoder: { latent: "2" }, infogan: { latent: "2", ema: "none" }, ebgan: { latent: "2", ema: "none" },
    gmm: { components: "8", start: "random", seed: "3" }, kmeans: { clusters: "8", start: "random", seed: "4" },
  },
  images: { lapgan: { base: "mlp" }, gmm: { start: "random" }, kmeans: { clusters: "10", start: "random" } },
});

/**
 * @param {Model[]} models
 * @param {URLSearchParams} values  of the address
 * @param {() => void} changed
 */
export function modelForm(models, values, changed) {
  let model = models.find(({ name }) => name === (values.get("model") ?? "gan")) ?? models[0];
  /** @type {Record<string, string>} */
  let settings = parsed(values.get("settings"));
  /** @type {Record<string, number>} */
  let rates = parsed(values.get("rates"));
  let kind = /** @type {"points" | "images"} */ ("points");
  /** @type {Choice | null} */
  let begun = null;

  const summary = h("p", { class: "note" }), form = h("div", { class: "fields" }), rateBox = h("div", { class: "fields" });
  const chooser = select(models.map(({ name }) => name), model.name, (name) => {
    model = models.find((other) => other.name === name) ?? model;
    settings = {};
    rates = {};
    remember({ model: name, settings: null, rates: null });
    build();
    changed();
  });
  const element = h("div", { class: "fields" }, field("Model", chooser), summary);
  const more = h("details", {});

  const first = () => FIRST[kind][model.name] ?? {};
  const keepInAddress = () => remember({ model: model.name, settings: Object.keys(settings).length ? JSON.stringify(settings) : null, rates: Object.keys(rates).length ? JSON.stringify(rates) : null });

  function build() {
    summary.textContent = model.summary.replaceAll("`", "");
    const [common, rest] = [model.settings.filter((s) => COMMON.includes(s.name)), model.settings.filter((s) => !COMMON.includes(s.name))];
    rateBox.replaceChildren(...Object.entries(model.rates).map(([phase, rate]) => rateField(phase, rate)));
    const open = more.open;
    more.replaceChildren(h("summary", {}, "More settings"), h("div", { class: "fields" }, ...rest.map(settingField)));
    more.open = open;
    form.replaceChildren(...common.map(settingField), more);
  }

  /** @param {string} phase @param {number} rate */
  function rateField(phase, rate) {
    const several = Object.keys(model.rates).length > 1;
    const input = h("input", {
      type: "text", inputMode: "decimal", value: String(rates[phase] ?? rate), spellcheck: false, autocomplete: "off", id: `rate-${phase}`,
      onchange: () => {
        const value = Number(input.value.replace(",", "."));
        input.setCustomValidity(Number.isFinite(value) ? "" : "A learning rate is a number, such as 0.001.");
        if (!input.reportValidity()) return;
        if (input.value.trim() === "" || value === rate) delete rates[phase]; else rates[phase] = value;
        if (input.value.trim() === "") input.value = String(rate);
        keepInAddress();
        changed();
      },
    });
    return field(several ? `Learning rate of the ${phase}` : "Learning rate", input, "How far each step goes; can be changed while the fit runs");
  }

  /** @param {Setting} setting */
  function settingField(setting) {
    const name = setting.name, shown = name.replaceAll("_", " "), usual = first()[name] ?? setting.default;
    const value = settings[name] ?? usual, title = setting.help.replaceAll("`", "");
    /** @param {string} text */
    const set = (text) => {
      if (text === usual) delete settings[name]; else settings[name] = text;
      keepInAddress();
      changed();
    };
    if (setting.switch) return check(shown, value === "yes", (on) => set(on ? "yes" : "no"));
    if (setting.choices.length) return field(shown, select(setting.choices, value, set), title);
    const input = h("input", { type: "text", value, placeholder: setting.default || "none", spellcheck: false, autocomplete: "off", onchange: () => set(input.value.trim()) });
    return field(shown, input, title);
  }

  /** @returns {Choice} */
  const choice = () => {
    const chosen = { ...first(), ...settings };
    for (const setting of model.settings) if (chosen[setting.name] === setting.default) delete chosen[setting.name];
    return { model: model.name, settings: chosen, rates: { ...rates } };
  };

  build();
  return {
    element, form, rates: rateBox, choice,
    /** Whether it learns pass by pass, without phases. */
    passes: () => !Object.keys(model.rates).length && !model.settings.some(({ name }) => name === "optimizer"),
    /** @param {boolean} images  whether the data are */
    suit(images) {
      const next = images ? "images" : "points";
      if (next !== kind) { kind = next; build(); }
    },
    /** A fit began with these values. */
    begin() { begun = choice(); },
    /** Names of what was changed since the fit began; null if it is another model. */
    changes() {
      const now = choice(), then = begun;
      if (!then) return [];
      if (now.model !== then.model) return null;
      const names = [...new Set([...Object.keys(now.settings), ...Object.keys(then.settings)])].filter((name) => now.settings[name] !== then.settings[name]).map((name) => name.replaceAll("_", " "));
      const phases = Object.keys(model.rates).filter((phase) => now.rates[phase] !== then.rates[phase]);
      return [...phases.map((phase) => (Object.keys(model.rates).length > 1 ? `learning rate of the ${phase}` : "learning rate")), ...names];
    },
  };
}

/** @param {string | null} text */
function parsed(text) {
  try {
    const found = JSON.parse(text ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
