/**
 * The client end of Socket V2: a PUT for each thing the user says.
 *
 * Browsers can stream the body of a request only over HTTP/2. So what is spoken is sent as a recording when
 * it is over, and there are no interim results.
 */

import { Conversation, INTRO } from "./conversation.js";
import { Fault, read } from "./events.js";
import { JsonStream } from "./json-stream.js";
import { freshId } from "./turn.js";

const COOKIE = "flowstorm-session-id";
const ASCII = /^[\x20-\x7e]*$/u;

export class SocketV2 extends Conversation {
  #request = null;
  #proposed = null; // a session id, until the server's cookie is there

  /** `fetch` sends a request; `cookies` is the document, or an object with a `cookie`. */
  constructor(rules, settings, host, { clock, send = fetch.bind(globalThis), cookies = document } = {}) {
    super("v2-client", rules, settings, host, clock);
    this.fetch = send;
    this.cookies = cookies;
  }

  get duplex() {
    return false;
  }

  // ---------------------------------------------------------- the words of a person

  connect({ autoStart = false } = {}) {
    this.enter(() => {
      if (this.state !== "Closed") return;
      this.advance("opened");
      this.tell({ type: "Ready" });
      if (autoStart && this.sessionId === null) this.say(INTRO);
    });
  }

  /** Say what was recorded, a WAV file. What still plays, or is awaited, is interrupted by it. */
  sendRecording(recording) {
    this.enter(() => {
      this.begin("> Recording");
      this.host.traffic(">", { type: "Recording", data: recording });
      this.#put("audio/wav", recording);
    });
  }

  interrupt() {
    if (this.machine.allows("interrupt")) this.disconnect();
    super.interrupt();
  }

  // ---------------------------------------------------------- requests

  transmit(event) {
    this.host.traffic(">", event);
    this.#put("application/json", `${JSON.stringify(event)}\n`);
  }

  disconnect() {
    this.#request?.abort();
    this.#request = null;
  }

  async #put(type, body) {
    this.disconnect();
    this.#propose();
    const request = new AbortController();
    this.#request = request;
    const running = () => this.#request === request;
    try {
      const { url, headers } = this.#head(type);
      const response = await this.fetch(url, {
        ...{ method: "PUT", headers, body, signal: request.signal },
        ...{ cache: "no-store", redirect: "error" },
      });
      if (!running()) return;
      if (response.ok) await this.#read(response, running);
      else await this.#refused(response, running);
    } catch (error) {
      if (running()) this.#fail(error.message);
    }
  }

  async #read(response, running) {
    this.#held();
    const objects = new JsonStream();
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let { value, done } = await pieces.read(); !done; { value, done } = await pieces.read()) {
      for (const each of objects.feed(value)) {
        if (running()) this.enter(() => this.#receive(each));
      }
    }
    if (running()) this.#fail("the response ended without an answer");
  }

  #receive(text) {
    try {
      this.take(read(JSON.parse(text), this.rules.spellings));
    } catch (error) {
      if (!(error instanceof Fault || error instanceof SyntaxError)) throw error;
      this.fault(error.message);
      this.disconnect();
      this.lost(error.message);
    }
  }

  async #refused(response, running) {
    const text = await response.text();
    if (!running()) return;
    const source = `HTTP ${response.status}`;
    this.enter(() => {
      const event = { type: "Error", text: complaint(text) || source, source };
      this.host.traffic("<", event);
      this.tell(event);
      if (response.status === 401 || response.status === 403) this.dropSession();
    });
    this.#fail(source);
  }

  #fail(reason) {
    this.enter(() => {
      this.#request = null;
      this.lost(reason);
    });
  }

  /** What goes with every request. A header holds ASCII; what is not goes into the address. */
  #head(type) {
    const { key, deviceId, token, zoneId, config } = this.settings;
    const url = new URL(this.settings.url);
    const headers = { "Content-Type": type, Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    for (const [header, parameter, text] of [
      ["X-Key", "key", key],
      ["X-DeviceId", "deviceId", deviceId],
      ["Accept-Language", "", this.locale.replaceAll("_", "-")],
      ["X-TimeZone", "timeZone", zoneId],
      ["X-SttSampleRate", "sttSampleRate", String(config.sttSampleRate)],
      ["X-TtsFileType", "ttsFileType", config.ttsFileType],
    ]) {
      if (ASCII.test(text)) headers[header] = text;
      else url.searchParams.set(parameter, text);
    }
    return { url, headers };
  }

  // ---------------------------------------------------------- the session: a cookie

  /** A new conversation names a session of its own; else it would go on with what the cookie says. */
  #propose() {
    if (this.sessionId !== null) return;
    this.#proposed ??= freshId();
    this.#setCookie(this.#proposed, "");
  }

  /** From now on the server's cookie counts, which no script can read. */
  #held() {
    if (this.#proposed === null) return;
    this.#setCookie("", "; Max-Age=0");
    this.sessionId = this.#proposed;
    this.#proposed = null;
  }

  /** With the path of the endpoint it goes before the server's, whose path is shorter (RFC 6265, 5.4). */
  #setCookie(id, more) {
    const { pathname } = new URL(this.settings.url);
    this.cookies.cookie = `${COOKIE}=${id}; Path=${pathname}; SameSite=Strict${more}`;
  }

  // ---------------------------------------------------------- what the server does

  react(event, trigger) {
    switch (event.type) {
      case "RecognizedInput":
        this.#onRecognized(event, trigger);
        break;
      case "Response":
        this.#request = null; // what comes behind it is no answer any more
        super.react(event, trigger);
        break;
      case "Error":
        this.#request = null;
        super.react(event, trigger);
        break;
      default:
        super.react(event, trigger);
    }
  }

  #onRecognized(event, trigger) {
    const turn = event.isFinal ? (this.open[0] ?? this.openTurn(false)) : null;
    this.advance(trigger);
    this.tell(event, turn);
  }

  /** What is given up can bring nothing more, so no turn is ever stale. */
  dropTurns(reason) {
    super.dropTurns(reason);
    this.open = [];
  }
}

/** What a refusal says, whatever form it has. */
function complaint(text) {
  try {
    return JSON.parse(text).text;
  } catch {
    return text.replace(/^!/u, "").trim();
  }
}
