// The page: its rooms, its theme and its connection.

import { link, read } from "./address.js";
import { h } from "./elements.js";
import { Socket } from "./socket.js";

/**
 * @typedef {{socket: Socket, values: URLSearchParams}} Context
 * @typedef {{enter: (root: HTMLElement, context: Context) => (() => void) | void}} Room
 */

/** @type {[string, string][]} */
const ROOMS = [["learn", "Learn"], ["runs", "Runs"], ["latent", "Latent"], ["edit", "Edit"], ["density", "Density"], ["translate", "Translate"]];

const nav = /** @type {HTMLElement} */ (document.getElementById("nav"));
const root = /** @type {HTMLElement} */ (document.getElementById("room"));
const connection = /** @type {HTMLElement} */ (document.getElementById("connection"));

const token = new URLSearchParams(location.search).get("token") ?? "";
const SAYINGS = {
  open: "",
  closed: "The studio does not answer: it was stopped, or is starting. Trying again …",
  refused: "A studio answers, but not to this address: it was started again. Open the address that it printed.",
};
const socket = new Socket(token, (state) => {
  document.documentElement.dataset.connected = String(state === "open");
  if (connection.textContent !== SAYINGS.refused || state !== "closed") connection.textContent = SAYINGS[state];
  connection.hidden = state === "open";
});

/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  dispatchEvent(new Event("themechange"));
}
setTheme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
document.getElementById("theme")?.addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

/** @type {(() => void) | void} */
let leave;
let visits = 0;

async function show() {
  const { room, values } = read();
  const name = ROOMS.some(([known]) => known === room) ? room : "learn";
  const visit = ++visits;
  leave?.();
  leave = undefined;
  nav.replaceChildren(...ROOMS.map(([known, title]) => h("a", { href: link(known, { run: values.get("run") }), "aria-current": known === name ? "page" : null }, title)));
  root.replaceChildren();
  /** @type {Room} */
  const module = await import(`./rooms/${name}.js`);
  if (visit !== visits) return;
  leave = module.enter(root, { socket, values });
  document.title = `${ROOMS.find(([known]) => known === name)?.[1]} · Pushforward studio`;
  root.dataset.room = name;
}

addEventListener("hashchange", show);
show();
