/** Objects of JSON out of a text that comes in pieces, with anything or nothing between them. */
export class JsonStream {
  #text = "";
  #at = 0;
  #depth = 0;
  #quoted = false;
  #escaped = false;

  /** Take a piece; gives the texts of the objects that are whole now. */
  feed(piece) {
    const whole = [];
    this.#text += piece;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const each = this.#text[this.#at];
      if (this.#escaped) this.#escaped = false;
      else if (this.#quoted) {
        if (each === "\\") this.#escaped = true;
        else if (each === '"') this.#quoted = false;
      } else if (this.#depth && each === '"') this.#quoted = true;
      else if (each === "{" || (this.#depth && each === "[")) this.#open();
      else if (this.#depth && (each === "}" || each === "]")) {
        this.#depth -= 1;
        if (!this.#depth) whole.push(this.#take());
      }
    }
    return whole;
  }

  /** Whether an object has begun that is not whole yet. */
  get broken() {
    return this.#depth > 0;
  }

  #open() {
    if (!this.#depth) {
      this.#text = this.#text.slice(this.#at); // what stands between objects says nothing
      this.#at = 0;
    }
    this.#depth += 1;
  }

  #take() {
    const object = this.#text.slice(0, this.#at + 1);
    this.#text = this.#text.slice(this.#at + 1);
    this.#at = -1;
    return object;
  }
}
