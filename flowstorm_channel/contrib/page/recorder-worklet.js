/** Hands on what the microphone hears, in pieces of some milliseconds; all else is done outside. */
const PIECE = 2048; // samples

class Recorder extends AudioWorkletProcessor {
  #piece = new Float32Array(PIECE);
  #filled = 0;

  process([[channel]]) {
    // Between the pieces of the browser, 128 samples each, a message would cost more than it carries.
    if (channel) {
      this.#piece.set(channel, this.#filled);
      this.#filled += channel.length;
      if (this.#filled + channel.length > PIECE) this.#send();
    }
    return true;
  }

  #send() {
    this.port.postMessage(this.#piece.slice(0, this.#filled));
    this.#filled = 0;
  }
}

registerProcessor("recorder", Recorder);
