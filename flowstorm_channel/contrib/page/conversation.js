/**
 * The words of a person, turns and playback: what a client is on any channel (socket-v1.md, "V1 client").
 *
 * Nothing on the wire tells late items of an interrupted turn from the items of the next one. So the client
 * counts: each input gets exactly one Response or Error, in order (D-35).
 *
 * Nothing here knows a transport or a page. The host is told everything in order, by
 * `host.tell(event, turn)`; `host.moved(step)` shows each step of the machine, and `host.traffic(way, event)`
 * what goes over the wire.
 */

import { onTheWire, playable, received } from "./events.js";
import { Machine } from "./machine.js";
import { Turn } from "./turn.js";

export const INTRO = "#intro";

export class Conversation {
  #told = [];
  #telling = false;
  #turns = 0;
  #sleepTimeout = 0;
  #outageTold = false;

  /**
   * `tables` is the name of this client's; `rules` are those of rules.json; `settings` are url, key,
   * deviceId, token, locale, zoneId, config and attributes.
   */
  constructor(tables, rules, settings, host, clock) {
    this.rules = rules;
    this.settings = settings;
    this.host = host;
    this.machine = new Machine(
      {
        table: rules.tables[tables],
        audioTable: rules.audio_tables[`${tables}-audio`],
        deadlines: rules.deadlines[tables],
      },
      {
        limit: (name) => this.limit(name),
        due: (name) => this.enter(() => this.timedOut(name)),
        moved: (step) => host.moved(step),
      },
      clock,
    );
    this.autoStart = false;
    this.sessionId = null;
    this.turn = null; // of the event that was told last
    this.open = []; // turns whose Response has not come, the oldest first
    this.unplayed = new Set();
    this.ends = false;
    this.sleeps = false;
    this.agreed = { locale: settings.locale, sttMode: settings.config.sttMode }; // with the server, at first
    this.locale = settings.locale;
    this.sttMode = settings.config.sttMode;
  }

  get state() {
    return this.machine.state;
  }

  get audio() {
    return this.machine.audio;
  }

  // ---------------------------------------------------------- the words of a person

  /** Connect; with `autoStart` the conversation is begun as soon as the server is ready. */
  connect() {
    throw new Error("each channel has its own way");
  }

  /** Begin, with `#intro`. */
  start() {
    return this.say(INTRO);
  }

  /** Whether something can be said now. */
  get ready() {
    return this.machine.allows("> Input");
  }

  /** Send an input as text. What still plays, or is awaited, is interrupted by it. */
  say(text) {
    return this.enter(() => {
      const turn = this.begin("> Input");
      this.transmit({ type: "Input", input: this.spoken(text) });
      return turn;
    });
  }

  /** Everything that was told of a turn so far has been played (D-40). */
  finishPlayback(turn) {
    this.enter(() => {
      for (const each of this.unplayed) {
        if (each.number <= turn.number) this.unplayed.delete(each);
      }
      if (this.machine.allows("played")) this.advance(this.qualified("played"));
    });
  }

  /** The rest of the answer is not wanted, or the wait for it is given up (D-41); else it does nothing. */
  interrupt() {
    this.enter(() => {
      if (!this.machine.allows("interrupt")) return;
      this.dropTurns("host");
      this.advance(this.qualified("interrupt"));
    });
  }

  pause() {
    this.enter(() => {
      if (this.machine.allows("pause")) this.advance("pause");
    });
  }

  resume() {
    this.enter(() => {
      if (this.machine.allows("resume")) this.advance(this.qualified("resume"));
    });
  }

  /** End it all. `connect` begins anew. */
  close() {
    this.enter(() => {
      this.forgetSession(false);
      this.forgetTurns("closed");
      if (this.machine.allows("close")) this.advance("close");
      this.disconnect();
    });
  }

  // ---------------------------------------------------------- for the channels: hooks

  /** Put an event on the wire. */
  transmit() {
    throw new Error("each channel has its own way");
  }

  /** Close what is under way. */
  disconnect() {
    throw new Error("each channel has its own way");
  }

  /** Go where the tables say; channels do more. */
  advance(trigger) {
    this.machine.move(trigger);
  }

  /** The mode of the stream may have changed. */
  settleMode() {}

  /** A stream that was asked for in another mode than is in force now has to be asked for again. */
  renewStream() {}

  // ---------------------------------------------------------- what the server does

  /** An event has come. */
  take(event) {
    this.host.traffic("<", event);
    const trigger = received(event);
    if (!this.machine.allows(trigger)) {
      const legal = this.machine.legal("<");
      this.fault(`${event.type} is not legal in ${this.state} (legal: ${legal})`);
      return;
    }
    this.react(event, trigger);
  }

  react(event, trigger) {
    switch (event.type) {
      case "ResponseItem":
        this.onPart(event, trigger, playable(event.responseItem));
        break;
      case "Response":
        this.onResponse(event);
        break;
      case "Error":
        this.onError(event, trigger);
        break;
      default:
        this.advance(trigger);
        this.tell(event);
    }
  }

  onPart(event, trigger, plays) {
    if (this.open[0]?.stale) {
      this.advance(`${trigger} stale`);
      return;
    }
    const turn = this.open[0] ?? this.openTurn(false);
    if (plays) this.unplayed.add(turn);
    this.advance(trigger);
    this.tell(event, turn);
  }

  onResponse(event) {
    let { response } = event;
    const turn = this.open[0] ?? this.openTurn(false);
    this.open.shift();
    this.sleeps = response.sleepTimeout > 0;
    this.ends = response.sessionEnded && !this.sleeps; // D-51
    if (response.locale) this.locale = response.locale;
    if (response.sttMode) this.sttMode = response.sttMode;
    if (this.ends) this.forgetSession(true);
    if (turn.stale) {
      this.advance(this.qualified("< Response stale"));
      response = { ...response, items: [], expectedPhrases: [] };
    } else {
      if (response.items.some(playable)) this.unplayed.add(turn);
      this.advance(this.qualified("< Response"));
    }
    if (this.open.some((each) => each.typed)) {
      this.sleeps = false; // an input that has gone out already wakes the session (D-50)
    } else if (this.sleeps) {
      this.#sleepTimeout = response.sleepTimeout;
      this.machine.start("sleeps");
    }
    this.renewStream();
    this.tell({ ...event, response }, turn);
  }

  onError(event, trigger) {
    this.forgetSession(false);
    this.forgetTurns("error");
    this.advance(trigger);
    this.tell(event);
  }

  /** The server said what makes no sense; a client answers nothing (D-59). */
  fault(text) {
    this.tell({ type: "Fault", text });
  }

  /** No transport, or none any more: Failed. What was playing may finish (D-56). */
  lost(reason) {
    for (const turn of this.open) {
      if (!this.unplayed.has(turn) && !turn.over) {
        turn.over = true;
        this.tell({ type: "TurnInterrupted", number: turn.number, reason: "lost" });
      }
    }
    this.open = [];
    this.advance("lost");
    this.tell({ type: "ConnectionFailed", reason });
  }

  /** The transport is there, and the server ready. */
  found() {
    this.#outageTold = false;
  }

  // ---------------------------------------------------------- time

  limit(name) {
    if (name === "sleep") return this.#sleepTimeout;
    if (name === "lost" && this.#outageTold) return null;
    return this.rules.timeouts[name];
  }

  timedOut(name) {
    if (name === "sleep") {
      const expired = this.sessionId;
      this.dropSession();
      this.renewStream();
      if (expired !== null) this.tell({ type: "SessionExpired", sessionId: expired });
    } else if (name === "answer") {
      this.forgetTurns("unanswered"); // D-36
    } else if (name === "lost") {
      this.#outageTold = true;
      this.tell({ type: "ConnectionLost" });
    }
  }

  // ---------------------------------------------------------- turns

  /** Begin a turn of the user's own. */
  begin(trigger) {
    if (!this.machine.allows(trigger)) throw new Error(`nothing can be said in ${this.state}`);
    this.dropTurns("input");
    this.ends = this.sleeps = false;
    this.turn = this.openTurn(true);
    this.advance(trigger);
    return this.turn;
  }

  spoken(text) {
    const { zoneId, attributes } = this.settings;
    return { locale: onTheWire(this.locale), zoneId, transcript: { text }, attributes };
  }

  openTurn(typed, oldest = false) {
    this.#turns += 1;
    const turn = new Turn(this.#turns, typed);
    if (oldest) this.open.unshift(turn);
    else this.open.push(turn);
    return turn;
  }

  /** Nothing of what was asked for or plays is wanted any more; what is open becomes stale (D-35). */
  dropTurns(reason) {
    const all = new Set([...this.open, ...this.unplayed]);
    for (const turn of [...all].sort((one, other) => one.number - other.number)) {
      if (!turn.over) {
        turn.over = true;
        this.tell({ type: "TurnInterrupted", number: turn.number, reason });
      }
    }
    for (const turn of this.open) turn.stale = true;
    this.unplayed.clear();
  }

  /** No answer is to be expected any more. */
  forgetTurns(reason) {
    this.dropTurns(reason);
    this.open = [];
  }

  // ---------------------------------------------------------- the session

  /** There is no session any more; `ends`: the server said so. */
  forgetSession(ends) {
    this.dropSession();
    this.ends = ends;
    this.sleeps = false;
  }

  dropSession() {
    this.sessionId = null;
    this.resetSettings();
  }

  /** What Responses set holds for their session; a new one begins as was agreed (D-62). */
  resetSettings() {
    ({ locale: this.locale, sttMode: this.sttMode } = this.agreed);
    this.settleMode();
  }

  // ---------------------------------------------------------- order

  /** The trigger with what this end knows: is nothing left to play, does the session go on? */
  qualified(trigger) {
    const idle = `${trigger} idle`;
    const what = !this.unplayed.size && !this.open.length && this.machine.allows(idle) ? idle : trigger;
    return (this.ends || this.sleeps) && this.machine.allows(`${what} end`) ? `${what} end` : what;
  }

  /** Tell the host, after all that led to it. */
  tell(event, turn = null) {
    this.#told.push([event, turn]);
  }

  /** Every way in: what happens takes effect first, and is told then. */
  enter(happens) {
    try {
      return happens();
    } finally {
      this.#tellAll();
    }
  }

  #tellAll() {
    if (this.#telling) return; // whoever tells now goes on with it
    this.#telling = true;
    try {
      while (this.#told.length) {
        const [event, turn] = this.#told.shift();
        if (turn && !turn.stale) this.turn = turn;
        this.host.tell(event, turn);
      }
    } finally {
      this.#telling = false;
    }
  }
}
