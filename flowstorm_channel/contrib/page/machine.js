/** What may happen when, and what comes of it: tables and deadlines of the Python package, obeyed here. */

const LONGEST = 2 ** 31 - 1; // milliseconds that a browser's timer can hold

const BROWSER = {
  set: (call, milliseconds) => setTimeout(call, milliseconds),
  clear: (timer) => clearTimeout(timer),
};

/**
 * A state, the region of the input audio beside it, and the deadlines that run there.
 *
 * `limit(name)` gives the seconds of a deadline, or null when it is off; `due(name)` is called when one has
 * passed; `moved(step)` after each trigger.
 */
export class Machine {
  #table;
  #audioTable;
  #deadlines;
  #timers = new Map();
  #host;
  #clock;

  constructor({ table, audioTable, deadlines }, host, clock = BROWSER) {
    this.#table = table;
    this.#audioTable = audioTable;
    this.#deadlines = deadlines;
    this.#host = host;
    this.#clock = clock;
    this.state = Object.keys(table)[0];
    this.audio = Object.keys(audioTable)[0];
  }

  /** Go by another table from now on. */
  use(table) {
    this.#table = table;
  }

  allows(trigger) {
    return Object.hasOwn(this.#table[this.state], trigger);
  }

  /** The state that a legal trigger leads to. */
  after(trigger) {
    return this.#table[this.state][trigger];
  }

  /** What is legal in this state, for the text of an error: "<" is received, ">" is sent. */
  legal(way) {
    const row = Object.keys(this.#table[this.state]).filter((each) => each.startsWith(way));
    return [...new Set(row.map((each) => each.split(" ")[1]))].join(", ");
  }

  /** Go where the tables say. */
  move(trigger) {
    if (!this.allows(trigger)) throw new Error(`${trigger} is not legal in ${this.state}`);
    const before = this.state;
    const heard = this.audio;
    const state = this.after(trigger);
    let audio = this.#audioTable[heard][trigger] ?? heard;
    if (state === "Sleeping" && before !== "Sleeping") audio = this.#audioTable[audio].asleep ?? audio;
    this.state = state;
    this.audio = audio;
    for (const each of this.#deadlines) {
      const entered = each.entering && !canRun(each, before, heard);
      if (!canRun(each, state, audio) || each.stops.includes(trigger)) this.disarm(each.name);
      else if (each.starts.includes(trigger) || entered) this.#arm(each);
    }
    this.#host.moved({ trigger, before, state, heard, audio });
  }

  /** Arm what a trigger starts that changes no state. */
  start(trigger) {
    for (const each of this.#deadlines) {
      if (each.starts.includes(trigger) && canRun(each, this.state, this.audio)) this.#arm(each);
    }
  }

  disarm(name) {
    this.#clock.clear(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #arm({ name, once }) {
    if (once && this.#timers.has(name)) return;
    this.disarm(name);
    const limit = this.#host.limit(name);
    if (!(limit > 0)) return;
    const call = () => {
      this.#timers.delete(name);
      this.#host.due(name);
    };
    this.#timers.set(name, this.#clock.set(call, Math.min(limit * 1000, LONGEST)));
  }
}

function canRun(deadline, state, audio) {
  return deadline.states.includes(state) && (!deadline.audio.length || deadline.audio.includes(audio));
}
