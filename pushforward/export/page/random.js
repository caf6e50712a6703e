/** Seeded random numbers: the same seed gives the same numbers in every browser. */

/**
 * Uniform numbers in [0, 1): splitmix32 (Steele, Lea & Flood 2014, https://doi.org/10.1145/2660193.2660195).
 * @param {number} seed
 * @returns {() => number}
 */
export function uniforms(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** @param {() => number} uniform @returns {number} of N(0, 1), by Box and Muller */
export function normal(uniform) {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
  return radius * Math.cos(2 * Math.PI * uniform());
}
