/** The microphone: blocks of about 100 ms, signed 16-bit little-endian mono, at a given rate. */

import { Resampler } from "./resampler.js";

const BLOCKS_A_SECOND = 10;
const WANTED = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Microphone {
  #rate;
  #take;
  #opening = null;
  #stream = null;
  #context = null;
  #resampler = null;
  #block;
  #filled = 0;

  /** `take(bytes, level)` is given each block as an ArrayBuffer, and how loud it is, 0 to 1. */
  constructor(rate, take) {
    this.#rate = rate;
    this.#take = take;
    this.#block = new Int16Array(Math.max(1, Math.round(rate / BLOCKS_A_SECOND)));
  }

  /** Ask the user, and the device; open already, it does nothing. Raises Error with a text for the user. */
  open() {
    this.#opening ??= this.#open().catch((error) => {
      this.close();
      throw error;
    });
    return this.#opening;
  }

  async #open() {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives the microphone only to pages over HTTPS or on this computer.");
    }
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED }).catch((error) => {
      throw new Error(reason(error));
    });
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    const recorder = new AudioWorkletNode(this.#context, "recorder", {
      ...{ numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" },
    });
    this.#resampler = new Resampler(this.#context.sampleRate, this.#rate);
    recorder.port.onmessage = ({ data }) => this.#heard(data);
    this.#context.createMediaStreamSource(this.#stream).connect(recorder);
    await this.#context.resume();
  }

  /** Give the device back. */
  close() {
    this.#opening = null;
    this.#filled = 0;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close();
    this.#stream = this.#context = null;
  }

  #heard(samples) {
    if (this.#context === null) return;
    let made = this.#resampler.feed(samples);
    while (made.length) {
      const part = made.subarray(0, this.#block.length - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      made = made.subarray(part.length);
      if (this.#filled === this.#block.length) {
        this.#filled = 0;
        this.#take(littleEndian(this.#block), level(this.#block));
      }
    }
  }
}

function littleEndian(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, index) => view.setInt16(index * 2, sample, true));
  return view.buffer;
}

/** How loud: the root of the mean square, in decibels from -60 to 0, as 0 to 1. */
function level(samples) {
  const square = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
  return Math.max(0, Math.min(1, 1 + (20 * Math.log10(Math.sqrt(square) / 32768)) / 60));
}

function reason(error) {
  if (error.name === "NotAllowedError") return "The microphone may not be used: the browser was told so.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  return `The microphone cannot be used: ${error.message}`;
}
