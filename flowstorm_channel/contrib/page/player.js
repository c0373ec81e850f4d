/** Plays the parts of an answer one after the other, and says when all that came has been played. */
export class Player {
  #show;
  #finished;
  #failed;
  #parts = [];
  #running = null; // what stop() makes void
  #media = null;
  #paused = false;
  #start = () => {};
  #resume = () => {};
  #volume = 1;

  /**
   * `show(item)` shows an item and gives the elements in it that are to be played, in order;
   * `finished(turn)` is called when nothing is left to play; `failed(text)` when something cannot be played.
   */
  constructor({ show, finished, failed }) {
    this.#show = show;
    this.#finished = finished;
    this.#failed = failed;
  }

  /** Add an item, or the bytes of an audio file. */
  add(turn, part) {
    this.#parts.push({ turn, part });
    if (this.#running === null) this.#play();
  }

  /** What plays, and what waits, is not wanted any more. */
  stop() {
    this.#parts = [];
    this.#running = null;
    this.#paused = false;
    this.#media?.pause();
    this.#resume();
  }

  pause() {
    this.#paused = true;
    this.#media?.pause();
  }

  resume() {
    this.#paused = false;
    if (this.#media) this.#start();
    this.#resume();
  }

  /** 0 to 1. */
  get volume() {
    return this.#volume;
  }

  set volume(value) {
    this.#volume = Math.max(0, Math.min(1, value));
    if (this.#media) this.#media.volume = this.#volume;
  }

  async #play() {
    const run = {};
    this.#running = run;
    let last = null;
    while (this.#parts.length) {
      const { turn, part } = this.#parts.shift();
      last = turn;
      for (const media of part instanceof ArrayBuffer ? [sound(part)] : this.#show(part)) {
        await this.#heard(media);
        if (this.#running !== run) return;
      }
      while (this.#paused) {
        await new Promise((resume) => (this.#resume = resume));
        if (this.#running !== run) return;
      }
    }
    this.#running = null;
    this.#finished(last);
  }

  async #heard(media) {
    this.#media = media;
    media.volume = this.#volume;
    try {
      await new Promise((done, failed) => {
        media.onended = done;
        media.onerror = () => failed(media.error);
        this.#start = () => media.play().catch((error) => error.name === "AbortError" || failed(error));
        this.#resume = () => this.#media === media && this.#running !== null || done();
        if (!this.#paused) this.#start();
      });
    } catch (error) {
      this.#failed(reason(error));
    } finally {
      if (this.#media === media) this.#media = null;
      if (media.src.startsWith("blob:")) URL.revokeObjectURL(media.src);
    }
  }
}

/** A whole file, as it comes behind the item that it speaks. */
function sound(bytes) {
  const first = String.fromCharCode(...new Uint8Array(bytes.slice(0, 4)));
  const type = first === "RIFF" ? "audio/wav" : "audio/mpeg";
  return new Audio(URL.createObjectURL(new Blob([bytes], { type })));
}

function reason(error) {
  if (error.name === "NotAllowedError") return "The browser plays nothing before you have pressed something.";
  return "This cannot be played.";
}
