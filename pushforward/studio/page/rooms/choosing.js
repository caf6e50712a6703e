// Choosing a run among those that can do what a room needs.

import { field, h, select } from "../elements.js";

const EXAMPLES = /** @type {Record<string, string>} */ ({
  Decodes: "pushforward fit vae digits", HasDensity: "pushforward fit gmm table.csv", Translates: "pushforward fit pix2pix photos/ --label edges",
});

/**
 * @param {import("../socket.js").Socket} socket
 * @param {string} ability  a capability of the run's model
 * @param {string} chosen  a run's name, or ""
 * @param {(run: string) => void} act
 * @param {(run: any) => boolean} [suits]  a further demand
 */
export function runChooser(socket, ability, chosen, act, suits = () => true) {
  const element = h("div", { class: "fields" });

  async function begin() {
    try {
      const { content } = await socket.ask("runs.list");
      const able = content.runs.filter((/** @type {any} */ run) => !run.error && run.able.includes(ability) && suits(run));
      if (!able.length) {
        element.replaceChildren(h("p", { class: "warning" }, `No run in “${content.folder}” suits this room. Fit one first, for example with: ${EXAMPLES[ability] ?? EXAMPLES.Decodes}`));
        return;
      }
      const name = able.some((/** @type {any} */ run) => run.name === chosen) ? chosen : able[0].name;
      const options = able.map((/** @type {any} */ run) => [run.name, `${run.name === "." ? content.folder : run.name} (${run.model})`]);
      element.replaceChildren(field("Run", select(options, name, act)));
      act(name);
    } catch (error) {
      element.replaceChildren(h("p", { class: "error" }, String(/** @type {Error} */ (error).message)));
    }
  }

  return { element, begin };
}
