/** The microphone: blocks of about 100 ms, signed 16-bit little-endian mono, at a given rate. */

import { Resampler } from "./resampler.js";

const BLOCKS_A_SECOND = 10;
const WANTED = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Microphone {
  #rate;
  #take;
  #lost;
  #opening = null;
  #stream = null;
  #context = null;
  #resampler = null;
  #block;
  #filled = 0;

  /**
   * `take(bytes, level)` is given each block as an ArrayBuffer, and how loud it is, 0 to 1; `lost()` is called
   * when the device, or the permission to use it, has been taken away.
   */
  constructor(rate, take, lost) {
    this.#rate = rate;
    this.#take = take;
    this.#lost = lost;
    this.#block = new Int16Array(Math.max(1, Math.round(rate / BLOCKS_A_SECOND)));
  }

  /** Ask the user, and the device; open already, it does nothing. Raises Error with a text for the user. */
  open() {
    if (this.#opening === null) {
      const isWanted = () => this.#opening === opening;
      const opening = this.#open(isWanted).catch((error) => {
        if (isWanted()) this.close();
        throw error;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  /** It may be closed at each `await`: the user thinks for as long as he likes. */
  async #open(isWanted) {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives the microphone only to pages over HTTPS or on this computer.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED }).catch((error) => {
      throw new Error(reason(error));
    });
    if (!isWanted()) {
      giveBack(stream);
      return;
    }
    this.#stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#ended(stream));
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    if (!isWanted()) return;
    const recorder = new AudioWorkletNode(this.#context, "recorder", {
      ...{ numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" },
    });
    this.#resampler = new Resampler(this.#context.sampleRate, this.#rate);
    recorder.port.onmessage = ({ data }) => isWanted() && this.#heard(data);
    this.#context.createMediaStreamSource(stream).connect(recorder);
    await this.#context.resume();
  }

  /** Give the device back. */
  close() {
    this.#opening = null;
    this.#filled = 0;
    if (this.#stream !== null) giveBack(this.#stream);
    this.#context?.close();
    this.#stream = this.#context = null;
  }

  #ended(stream) {
    if (this.#stream !== stream) return;
    this.close();
    this.#lost();
  }

  #heard(samples) {
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

function giveBack(stream) {
  for (const track of stream.getTracks()) track.stop();
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
