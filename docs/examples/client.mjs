// Talk on a Flowstorm channel: node client.mjs ws://HOST/socket (Socket V1) or http://HOST/client (V2) [--interactive]
// A line is said; /audio FILE.wav speaks, /stop interrupts, /quit ends. Lines of a pipe wait for their turn, and it ends
// with the session or a failure; from a terminal, or with --interactive, a new line interrupts, and it goes on.
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
const { FLOWSTORM_KEY: key = "my-app", FLOWSTORM_DEVICE: deviceId = "my-device" } = process.env;
const [url, option] = process.argv.slice(2), interactive = process.stdin.isTTY || option === "--interactive";

class Client extends EventEmitter {
  turns = []; // without a Response yet, oldest first: what comes belongs to the first; all but the last are stale
  begin(turn) { clearTimeout(this.asleep); this.interrupt(); this.turns.push(turn); return turn; }
  receive(event) { this[`on${event.type.replace(/Event$/, "")}`]?.(event); this.emit("change"); } // others are ignored
  onResponseItem({ responseItem: { text, code, image, video, audio } }) { // without a turn, the server speaks by itself
    if (!(this.turns[0] ?? this.begin({})).stale) console.log([text, code, image, video, audio].filter(Boolean).join(" "));
  }
  onResponse({ response: { items, sessionEnded, sleepTimeout } }) {
    for (const responseItem of items ?? []) this.onResponseItem({ responseItem });
    this.turns.shift();
    if (sleepTimeout > 0) this.asleep = setTimeout(() => { this.session = undefined; }, sleepTimeout * 1000);
    else if (sessionEnded) this.end();
  }
  onError({ text }) { this.end(text); if (!this.ready) this.socket?.close(); } // before Ready: the client is refused
  end(error, session) { // of the session, unless it is given
    if (error) console.log(`! ${error}`);
    Object.assign(this, { session, turns: [], microphone: undefined });
    if (!interactive) this.close(error ? 1 : 0);
  }
  close(code) { this.socket?.close(1000); process.exit(code); }
}

class SocketV1 extends Client {
  open() {
    const socket = this.socket = new WebSocket(url); // Node 22, or node --experimental-websocket
    socket.onopen = () => this.send("Init", { key, deviceId, config: { sendResponseItems: true, sttInterimResults: true } });
    socket.onmessage = ({ data }) => { try { this.receive(JSON.parse(data)); } catch {} }; // audio, broken: passed over
    socket.onclose = socket.onerror = () => {
      this.ready = this.socket = socket.onclose = socket.onerror = undefined;
      this.end("no connection", this.session);
      setTimeout(() => this.open(), 10_000);
    };
  }
  onReady() { this.ready = true; }
  send(type, members) { this.socket.send(JSON.stringify({ type, ...members })); }
  interrupt() { this.hangUp(); for (const turn of this.turns) turn.stale = true; }
  hangUp() { if (this.microphone) this.send("InputAudioStreamClose"); this.microphone = undefined; }
  say(text) {
    const input = { transcript: { text } }, sessionId = this.session; // which Input cannot name
    this.begin({});
    if (!sessionId) this.send("Input", { input });
    else this.send("Request", { request: { appKey: key, deviceId, sessionId, input, attributes: {} } });
  }
  speak(path) { this.interrupt(); this.microphone = { wav: readFileSync(path), at: 44 }; this.send("InputAudioStreamOpen"); }
  onSessionStarted({ sessionId }) { this.session = sessionId; }
  onSessionEnded() { if (this.session) this.end(); } // else a Response has said so before
  async onInputAudioStreamOpen(_, microphone = this.microphone) { // 100 ms at a time, and silence behind the recording
    for (; microphone && this.microphone === microphone; await new Promise((next) => setTimeout(next, 100)))
      this.socket.send(Buffer.concat([microphone.wav.subarray(microphone.at, microphone.at += 3200), Buffer.alloc(3200)], 3200));
  }
  onRecognized({ text, isFinal }) {
    console.log(`~ ${text.trim()}`);
    const late = this.turns.length > 0 && !this.microphone; // spoken before what was typed since
    if (isFinal !== false) late ? this.turns.unshift({ stale: true }) : this.begin({});
  }
}

class SocketV2 extends Client {
  ready = true;
  interrupt() { for (const turn of this.turns.splice(0)) turn.abort(); }
  say(text) { this.put("application/json", JSON.stringify({ type: "Input", input: { transcript: { text } } })); }
  speak(path) { this.put("audio/wav", readFileSync(path)); }
  onRecognizedInput({ input }) { console.log(`~ ${input.transcript.text}`); }
  async put(type, body, turn = this.begin(new AbortController())) {
    const Cookie = `flowstorm-session-id=${this.session ??= crypto.randomUUID()}`; // the first is proposed
    const headers = { "X-Key": key, "X-DeviceId": deviceId, "Content-Type": type, Cookie };
    try {
      const answer = await fetch(url, { method: "PUT", headers, body, signal: turn.signal });
      const [, given = this.session] = /flowstorm-session-id=([\w-]+)/.exec(answer.headers.get("Set-Cookie")) ?? [];
      this.session = [401, 403].includes(answer.status) ? undefined : given;
      for await (const event of events(answer.body))
        if (this.turns.includes(turn)) answer.ok ? this.receive(event) : this.end(event.text, this.session);
      if (this.turns.includes(turn)) throw new Error(`HTTP ${answer.status} without an answer`);
    } catch (error) { if (this.turns.includes(turn)) this.end(error.cause?.message ?? error.message, this.session); }
  }
}
async function* events(body, text = "") { // JSON objects, however the transport cuts them
  for await (const chunk of body.pipeThrough(new TextDecoderStream()))
    for (const piece of chunk.split(/(?<=})/)) try { yield JSON.parse(text += piece); text = ""; } catch {} // not yet whole
}
async function* lines() { yield "#intro"; yield* createInterface({ input: process.stdin }); yield "/quit"; }
const client = url.startsWith("ws") ? new SocketV1() : new SocketV2();
client.open?.();
for await (const line of lines()) {
  while (!client.ready || (!interactive && (client.turns.length > 0 || client.microphone))) await once(client, "change");
  if (line.startsWith("/audio ")) client.speak(line.slice(7));
  else if (line === "/stop") client.interrupt();
  else if (line === "/quit") client.close(0);
  else client.say(line);
}
