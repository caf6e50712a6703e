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

/**
 * Change some values of the present room without leaving it.
 * @param {Record<string, string | number | null | undefined>} changes
 */
export function remember(changes) {
  const { room, values } = read();
  const all = { ...Object.fromEntries(values), ...changes };
  history.replaceState(null, "", location.pathname + location.search + link(room, all));
}
