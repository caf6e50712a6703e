// Numbers of columns as one types them, and back: dates are dates.

/** @typedef {{unit: string, kind: string}} Column */

export const DATES = ["days since 1970-01-01", "seconds since 1970-01-01"];

/** A number of a column as one types it. @param {Column} c @param {number} v */
export function written(c, v) {
  if (c.unit === DATES[0]) return new Date(v * 864e5).toISOString().slice(0, 10);
  if (c.unit === DATES[1]) return new Date(v * 1e3).toISOString().slice(0, 19);
  return String(c.kind === "integer" ? Math.round(v) : Number(v.toPrecision(5)));
}

/** How ticks of a column are written, if not as numbers. @param {Column} c */
export const writer = (c) => (DATES.includes(c.unit) ? (/** @type {number} */ v) => written(c, v).slice(0, 10) : undefined);

/** @param {Column} c @param {string} typed */
export function parsed(c, typed) {
  const time = Date.parse(typed.includes("T") ? `${typed}Z` : typed);
  return c.unit === DATES[0] ? Math.floor(time / 864e5) : time / 1e3;
}
