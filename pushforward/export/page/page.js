/** The page: reads the model that is in it, and shows the view for its kind. */
import { Runtime, fromBase64 } from "./runtime.js";
import { DecoderView } from "./decoder_view.js";
import { ImageView } from "./image_view.js";
import { element } from "./controls.js";

const LEADS = /** @type {Record<string, string>} */ ({
  images: "Every image here is computed in this page, from a short code. Change the code, draw a new one, or go from one to another.",
  points: "Every point here is computed in this page, from a code. The large point has the code that the controls set.",
  translator: "Draw, or open an image: the model makes its image while you draw, in this page.",
  enlarger: "Open an image, or draw: the model enlarges it in this page.",
});

/** @param {string} id @returns {string} */
function textOf(id) {
  return document.getElementById(id)?.textContent ?? "";
}

/** Build the page. */
async function begin() {
  const content = JSON.parse(textOf("content"));
  const runtime = await Runtime.load(content.program, fromBase64(textOf("weights")));
  const view = content.kind === "decoder" ? new DecoderView(content, runtime) : new ImageView(content, runtime);
  const lead = LEADS[content.kind] ?? LEADS[content.output.kind] ?? "";
  document.getElementById("lead")?.append(lead);
  document.getElementById("caption")?.append(...content.caption.map((/** @type {string} */ text) => element("p", {}, [text])));
  document.getElementById("main")?.replaceChildren(view.build());
  Object.assign(globalThis, { pushforward: { content, runtime, view } });
}

begin().catch((error) => {
  const status = document.getElementById("status");
  if (status) status.textContent = `This page could not start: ${error instanceof Error ? error.message : error}`;
});
