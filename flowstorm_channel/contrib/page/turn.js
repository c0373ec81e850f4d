/** An id that nobody has: of a device, of a session. */
export function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** One input and its answer, or an answer that the server began by itself. */
export class Turn {
  constructor(number, typed) {
    this.number = number;
    this.typed = typed;
    this.stale = false; // interrupted, and its answer still to come
    this.over = false; // the host knows that nothing more of it is to be played
  }
}
