/** The client end of Socket V1: one WebSocket after the other, one conversation. */

import { Conversation, INTRO } from "./conversation.js";
import { Fault, onTheWire, read } from "./events.js";

const NORMAL = 1000;

export class SocketV1 extends Conversation {
  #socket = null;
  #confirmed = false; // the server of this connection has named the session itself
  #endKnown = false;
  #unanswered = 0; // openings of the stream that we closed before they were acknowledged
  #doubtful = false; // what is open may be such an opening: nothing on the wire tells
  #closedSilently = false;
  #duplex = false;

  /** `Socket` is the class of WebSockets. */
  constructor(rules, settings, host, { clock, Socket = WebSocket } = {}) {
    super("client", rules, settings, host, clock);
    this.Socket = Socket;
    this.settleMode();
  }

  /** Whether the stream stays open while the answer is awaited and plays. */
  get duplex() {
    return this.#duplex;
  }

  // ---------------------------------------------------------- the transport

  connect({ autoStart = false } = {}) {
    this.autoStart = autoStart;
    if (this.#socket === null) this.#connect();
  }

  #connect() {
    this.machine.disarm("reconnect");
    const socket = new this.Socket(this.settings.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const on = (name, take) =>
      socket.addEventListener(name, (event) => {
        if (socket === this.#socket) this.enter(() => take(event));
      });
    on("open", () => this.#opened());
    on("message", ({ data }) => this.#received(data));
    on("close", ({ code, reason }) => {
      this.#socket = null;
      this.lost(reason || `code ${code}`);
    });
  }

  #opened() {
    this.#confirmed = false;
    this.#unanswered = 0;
    this.#closedSilently = false;
    this.advance("opened");
    const { key, deviceId, token, zoneId, config } = this.settings;
    // A session that goes on keeps the language and the mode that its Responses set.
    const first = { locale: this.settings.locale, sttMode: config.sttMode };
    const { locale, sttMode } = this.sessionId === null ? first : this;
    this.agreed = { locale, sttMode };
    const asked = { ...config, locale: onTheWire(locale), zoneId, sttMode };
    this.#send({ type: "Init", key, deviceId, ...(token && { token }), config: asked });
  }

  disconnect() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(NORMAL, "CLIENT_CLOSE");
  }

  #received(data) {
    if (typeof data !== "string") {
      this.take({ type: "Binary", data });
      return;
    }
    try {
      this.take(read(JSON.parse(data), this.rules.spellings));
    } catch (error) {
      if (!(error instanceof Fault || error instanceof SyntaxError)) throw error;
      this.fault(error.message);
    }
  }

  #send(event) {
    this.host.traffic(">", event);
    this.#socket?.send(event.type === "Binary" ? event.data : JSON.stringify(event));
  }

  transmit(event) {
    if (event.type === "Input" && !this.#confirmed && this.sessionId !== null) {
      this.#send(this.#request(event.input));
    } else this.#send(event);
  }

  /** An Input cannot name the session that goes on after a reconnect, a Request can (D-56). */
  #request(input) {
    const { key, deviceId, token } = this.settings;
    const named = { appKey: key, deviceId, ...(token && { token }), sessionId: this.sessionId };
    return { type: "Request", request: { ...named, input, attributes: {} } };
  }

  // ---------------------------------------------------------- the microphone

  /** Ask to send audio; it may flow as soon as `audio` is open. */
  openMicrophone() {
    this.enter(() => {
      if (this.audio !== "closed" || !this.machine.allows("> InputAudioStreamOpen")) return;
      this.#askForStream();
    });
  }

  /** Send a block of audio; gives whether anybody listens (D-43). */
  sendAudio(data) {
    return this.enter(() => {
      if (this.audio !== "open" || !this.machine.allows("> Binary")) return false;
      this.advance("> Binary");
      this.#send({ type: "Binary", data });
      return true;
    });
  }

  closeMicrophone() {
    this.enter(() => {
      if (this.audio !== "closed" && this.machine.allows("> InputAudioStreamClose")) this.#closeStream();
    });
  }

  #askForStream() {
    this.#move("> InputAudioStreamOpen");
    const unconfirmed = this.#confirmed ? null : this.sessionId;
    this.#send({ type: "InputAudioStreamOpen", ...(unconfirmed && { sessionId: unconfirmed }) });
  }

  #closeStream() {
    this.#move("> InputAudioStreamClose");
    this.#closedSilently = false;
    this.#send({ type: "InputAudioStreamClose" });
    this.settleMode();
  }

  /** The mode that the last Response named holds from the next opening of the stream on (D-62). */
  settleMode() {
    if (this.audio !== "closed") return;
    this.#duplex = this.sttMode === "Duplex";
    this.machine.use(this.rules.tables[this.#duplex ? "client-duplex" : "client"]);
  }

  renewStream() {
    const crossing = this.audio === "asked" || (this.audio === "open" && this.#doubtful);
    if (!crossing || this.#duplex === (this.sttMode === "Duplex")) return;
    this.#closeStream();
    if (this.machine.allows("> InputAudioStreamOpen")) this.#askForStream();
  }

  #move(trigger) {
    const before = this.audio;
    super.advance(trigger);
    if (before === "asked" && this.audio === "closed") this.#unanswered += 1;
  }

  /** Go where the tables say, and do what socket-v1.md puts in brackets. */
  advance(trigger) {
    const { state, audio } = this;
    const next = this.machine.after(trigger);
    const leaves = state === "Listening" && (next === "Processing" || next === "Responding");
    if (leaves && audio !== "closed" && !this.#duplex) this.#closeStream();
    const heard = this.audio;
    this.#move(trigger);
    if (heard !== "closed" && this.audio === "closed") {
      // What the server says closes its stream too; what is done here, it has to be told.
      const own = /^(played|resume|interrupt)/u.test(trigger);
      const told = own || (this.#duplex && this.sleeps && trigger.startsWith("< Response"));
      this.#closedSilently = !told && !trigger.startsWith(">");
      if (told) this.#send({ type: "InputAudioStreamClose" });
    }
    this.settleMode();
  }

  // ---------------------------------------------------------- what the server does

  react(event, trigger) {
    switch (event.type) {
      case "Binary":
        if (event.data.byteLength && this.state !== "Open") this.onPart(event, trigger, true);
        break;
      case "Recognized":
        if (event.isFinal) this.#onFinal(event, trigger);
        else super.react(event, trigger);
        break;
      case "Ready":
        this.#onReady(event, trigger);
        break;
      case "SessionStarted":
        this.sessionId = event.sessionId;
        this.#confirmed = true;
        this.#endKnown = this.ends = this.sleeps = false;
        this.resetSettings();
        this.renewStream();
        super.react(event, trigger);
        break;
      case "SessionEnded":
        this.#onSessionEnd(event, trigger);
        break;
      case "InputAudioStreamOpen":
        this.#onAcknowledgement(event, trigger);
        break;
      default:
        super.react(event, trigger);
    }
  }

  #onFinal(event, trigger) {
    const older = this.audio !== "open" && !this.#duplex;
    if (older && this.open.some((turn) => turn.typed)) {
      // It was said before our input, and is answered before it.
      const turn = this.openTurn(false, true);
      turn.stale = turn.over = true;
      this.advance(`${trigger} stale`);
      this.tell(event);
      return;
    }
    this.dropTurns("recognized");
    const turn = this.openTurn(false);
    this.advance(trigger);
    this.tell(event, turn);
  }

  #onReady(event, trigger) {
    const first = this.state === "Open";
    this.found();
    this.advance(trigger);
    this.tell(event);
    if (first && this.autoStart && this.sessionId === null) this.say(INTRO);
  }

  #onSessionEnd(event, trigger) {
    if (this.#endKnown) {
      this.advance(`${trigger} known`); // D-52
    } else {
      this.forgetSession(true);
      if (this.state === "Responding" || this.state === "Paused") {
        // What has come may be played to its end; only nothing more will come.
        this.open = [];
      } else this.forgetTurns("session ended");
      this.advance(this.qualified(trigger));
    }
    this.tell(event);
  }

  forgetSession(ends) {
    super.forgetSession(ends);
    this.#endKnown ||= ends;
  }

  onError(event, trigger) {
    if (this.state !== "Open") {
      super.onError(event, trigger);
      return;
    }
    this.disconnect(); // refused
    this.advance(trigger);
    this.tell(event);
    this.tell({ type: "ConnectionFailed", reason: event.text });
  }

  #onAcknowledgement(event, trigger) {
    const before = this.audio;
    this.#doubtful = this.#unanswered > 0;
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    this.advance(trigger);
    if (this.audio !== before) this.tell(event);
    else if (this.audio === "closed" && this.#closedSilently) {
      // Our request crossed what closed our stream, and has opened the server's after that.
      this.#send({ type: "InputAudioStreamClose" });
    }
  }

  // ---------------------------------------------------------- time

  timedOut(name) {
    if (name === "reconnect") this.#connect();
    else if (name === "keep_alive") {
      this.#send({ type: "Binary", data: new ArrayBuffer(0) });
      this.machine.start("kept alive");
    } else super.timedOut(name);
  }
}
