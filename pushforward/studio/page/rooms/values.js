// Values of tables as text, and errors where they happened.

import { label } from "../plot.js";
import { Superseded } from "../socket.js";

/** A value, to five digits. @param {unknown} value */
export const shown = (value) => (typeof value === "number" ? label(Number(value.toPrecision(5))) : value === null || value === undefined ? "missing" : String(value));

/** A value of a row, with all its digits. @param {unknown} value */
export const exact = (value) => (typeof value === "number" ? String(Number(value.toPrecision(7))) : shown(value));

/** A whole number with its thousands apart. @param {number} n */
export const count = (n) => n.toLocaleString("en");

/** @param {unknown} error */
export const text = (error) => String(/** @type {Error} */ (error).message);

/** Show an error, unless a later request took the place of this one. @param {{say: (text: string, kind?: "error" | "note" | "warning") => void}} said @param {unknown} error */
export function tell(said, error) {
  if (!(error instanceof Superseded)) said.say(text(error), "error");
}
