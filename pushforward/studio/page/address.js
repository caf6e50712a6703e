// The state of the page, in its address: #/room?name=value&… A reload or a link brings it back.

/** @returns {{room: string, values: URLSearchParams}} */
export function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { room: path || "", values: new URLSearchParams(query ?? "") };
}

/** @param {string} room @param {Record<string, string | number | null | undefined>} [values] */
export function link(room, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return `#/${room}${text ? `?${text}` : ""}`;
}

/** @type {{room: string, changes: Record<string, string | number | null | undefined>} | null} */
let pending = null;
const REST = 150; // milliseconds: browsers slow down pages that rewrite their address at every step of a slider

/**
 * Change some values of the present room without leaving it; the address follows when it rests.
 * @param {Record<string, string | number | null | undefined>} changes
 */
export function remember(changes) {
  const { room } = read();
  if (pending?.room === room) Object.assign(pending.changes, changes);
  else {
    if (!pending) setTimeout(write, REST);
    pending = { room, changes: { ...changes } };
  }
}

function write() {
  const { room, values } = read();
  if (pending?.room === room) {
    const all = { ...Object.fromEntries(values), ...pending.changes };
    history.replaceState(null, "", location.pathname + location.search + link(room, all));
  }
  pending = null;
}
addEventListener("pagehide", write);
