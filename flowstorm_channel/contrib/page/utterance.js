/** One utterance as a recording: it ends when speech has been followed by quiet. For Socket V2. */

const LOUD = 0.45; // of the level: -33 dB
const QUIET_FOR = 0.9; // seconds behind speech
const NOTHING_FOR = 5; // seconds until it is clear that nothing is said, as on the server
const LONGEST = 60; // seconds

export class Utterance {
  #rate;
  #blocks = [];
  #heard = 0; // samples, as the next one
  #quiet = 0;
  #spoken = false;

  constructor(rate) {
    this.#rate = rate;
  }

  /** Take a block; gives whether the utterance is over. */
  feed(bytes, level) {
    const samples = bytes.byteLength / 2;
    this.#blocks.push(bytes);
    this.#heard += samples;
    this.#spoken ||= level >= LOUD;
    this.#quiet = level >= LOUD ? 0 : this.#quiet + samples;
    const [heard, quiet] = [this.#heard / this.#rate, this.#quiet / this.#rate];
    return this.#spoken ? quiet >= QUIET_FOR || heard >= LONGEST : heard >= NOTHING_FOR;
  }

  /** Whether there is anything to send. */
  get empty() {
    return !this.#blocks.length;
  }

  /** A WAV file. */
  get recording() {
    const size = this.#blocks.reduce((sum, each) => sum + each.byteLength, 0);
    const head = new DataView(new ArrayBuffer(44));
    const text = (at, letters) => {
      [...letters].forEach((each, index) => head.setUint8(at + index, each.charCodeAt(0)));
    };
    text(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    text(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true); // PCM
    head.setUint16(22, 1, true); // mono
    head.setUint32(24, this.#rate, true);
    head.setUint32(28, this.#rate * 2, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    text(36, "data");
    head.setUint32(40, size, true);
    return new Blob([head.buffer, ...this.#blocks], { type: "audio/wav" });
  }
}
