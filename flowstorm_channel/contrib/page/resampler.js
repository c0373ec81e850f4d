/** Samples at another rate, without the echoes of tones that the new rate cannot hold. */

const REACH = 16; // zero crossings of the filter on each side
const STEPS = 64; // of the filter's table, between two zero crossings

/** Takes Float32Arrays of any size and gives Int16Arrays; how they are cut makes no difference. */
export class Resampler {
  #step;
  #scale;
  #reach;
  #kernel = kernel();
  #waiting = new Float32Array(0);
  #at = 0; // where in #waiting the next sample is to be taken

  constructor(from, to) {
    this.#step = from / to;
    this.#scale = Math.min(1, to / from);
    this.#reach = REACH / this.#scale;
    this.#at = this.#reach;
    this.#waiting = new Float32Array(Math.ceil(this.#reach)); // silence before the first sample
  }

  feed(samples) {
    const held = new Float32Array(this.#waiting.length + samples.length);
    held.set(this.#waiting);
    held.set(samples, this.#waiting.length);
    const most = Math.max(0, Math.ceil((held.length - this.#at) / this.#step));
    const made = new Int16Array(most);
    let count = 0;
    for (; this.#at + this.#reach < held.length; this.#at += this.#step) {
      made[count] = toInt16(this.#sample(held, this.#at));
      count += 1;
    }
    const used = Math.max(0, Math.floor(this.#at - this.#reach));
    this.#waiting = held.slice(used);
    this.#at -= used;
    return made.slice(0, count);
  }

  #sample(held, at) {
    let sum = 0;
    const last = Math.min(held.length - 1, Math.floor(at + this.#reach));
    for (let each = Math.max(0, Math.ceil(at - this.#reach)); each <= last; each += 1) {
      const place = Math.abs(at - each) * this.#scale * STEPS;
      const below = Math.floor(place);
      const share = place - below;
      sum += held[each] * (this.#kernel[below] * (1 - share) + this.#kernel[below + 1] * share);
    }
    return sum * this.#scale;
  }
}

/** Half of a sinc under a Hann window, and a zero to interpolate towards. */
function kernel() {
  const half = new Float32Array(REACH * STEPS + 2);
  for (let each = 0; each <= REACH * STEPS; each += 1) {
    const x = (Math.PI * each) / STEPS;
    const sinc = x ? Math.sin(x) / x : 1;
    half[each] = sinc * (0.5 + 0.5 * Math.cos((Math.PI * each) / (REACH * STEPS)));
  }
  return half;
}

function toInt16(value) {
  return Math.max(-32768, Math.min(32767, Math.round(value * 32767)));
}
