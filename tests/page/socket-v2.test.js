import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { SocketV2 } from "./socket-v2.js";

const rules = JSON.parse(await readFile(new URL("rules.json", import.meta.url), "utf8"));
const SETTINGS = {
  ...{ url: "http://host/voice/client", key: "K", deviceId: "D", token: "", locale: "cs_CZ", zoneId: "Europe/Prague" },
  ...{ attributes: {}, config: { sttMode: "SingleUtterance", sttSampleRate: 16000, ttsFileType: "wav" } },
};
const ITEM = { type: "ResponseItem", responseItem: { text: "part" } };
const RESPONSE = { type: "Response", response: { items: [] } };

/** A server that answers when it is told to, and a client of it. */
class Scene {
  requests = [];
  told = [];
  cookies = [];
  timers = [];

  constructor(settings = {}) {
    const scene = this;
    const host = { tell: (event) => this.told.push(event.type), moved() {}, traffic() {} };
    const clock = { set: (call) => this.timers.push(call), clear() {} };
    const cookies = { set cookie(text) { scene.cookies.push(text); } };
    const send = (url, options) => this.#request(url, options);
    this.client = new SocketV2(rules, { ...SETTINGS, ...settings }, host, { clock, send, cookies });
    this.client.connect();
  }

  #request(url, options) {
    const request = { url, ...options };
    this.requests.push(request);
    options.signal.addEventListener("abort", () => request.body_.error(new DOMException("aborted", "AbortError")));
    const body = new ReadableStream({ start: (controller) => (request.body_ = controller) });
    return new Promise((resolve) => (request.begin = (status = 200) => resolve(new Response(body, { status }))));
  }

  get latest() {
    return this.requests.at(-1);
  }

  /** The server answers the last request, with events or a text. */
  async answer(...parts) {
    this.latest.begin();
    for (const part of parts) this.latest.body_.enqueue(new TextEncoder().encode(`${JSON.stringify(part)}\n`));
    await settled();
  }

  async end() {
    this.latest.body_.close();
    await settled();
  }
}

/** Everything that was under way has come. */
function settled() {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

test("an input is a request, and its answer is told as it comes", async () => {
  const scene = new Scene();
  const { client } = scene;
  assert.equal(client.state, "Sleeping");
  client.say("hello");
  assert.equal(client.state, "Processing");
  const { method, headers, body, url } = scene.latest;
  assert.equal(method, "PUT");
  assert.equal(String(url), "http://host/voice/client");
  assert.deepEqual([headers["X-Key"], headers["X-DeviceId"], headers["Accept-Language"]], ["K", "D", "cs-CZ"]);
  assert.deepEqual(JSON.parse(body), {
    type: "Input",
    input: { locale: "cs_CZ", zoneId: "Europe/Prague", transcript: { text: "hello" }, attributes: {} },
  });
  await scene.answer(ITEM);
  assert.equal(client.state, "Responding");
  scene.latest.body_.enqueue(new TextEncoder().encode(JSON.stringify(RESPONSE)));
  await scene.end();
  assert.deepEqual(scene.told, ["Ready", "ResponseItem", "Response"]);
  client.finishPlayback(client.turn);
  assert.equal(client.state, "Listening");
});

test("a second input gives up the first, of which nothing is told any more", async () => {
  const scene = new Scene();
  scene.client.say("one");
  await scene.answer(ITEM);
  const [first] = scene.requests;
  scene.client.say("two");
  assert.equal(first.signal.aborted, true);
  await scene.answer(RESPONSE);
  assert.deepEqual(scene.told, ["Ready", "ResponseItem", "TurnInterrupted", "Response"]);
  assert.equal(scene.client.state, "Listening");
});

test("what is interrupted is given up", async () => {
  const scene = new Scene();
  scene.client.say("one");
  await scene.answer(ITEM);
  scene.client.interrupt();
  assert.equal(scene.latest.signal.aborted, true);
  await settled();
  assert.equal(scene.client.state, "Listening");
  assert.deepEqual(scene.told, ["Ready", "ResponseItem", "TurnInterrupted"]);
});

test("a recording is answered with what was recognised, and then as a text is", async () => {
  const scene = new Scene();
  scene.client.sendRecording(new Blob(["RIFF"]));
  assert.equal(scene.latest.headers["Content-Type"], "audio/wav");
  const recognised = { type: "RecognizedInput", input: { transcript: { text: "yes" } }, isFinal: true };
  await scene.answer(recognised, ITEM, RESPONSE);
  assert.deepEqual(scene.told, ["Ready", "RecognizedInput", "ResponseItem", "Response"]);
});

for (const [what, status, told] of [
  ["a refusal", 403, ["Ready", "Error", "TurnInterrupted", "ConnectionFailed"]],
  ["an answer that breaks off", 200, ["Ready", "TurnInterrupted", "ConnectionFailed"]],
]) {
  test(`${what} leaves the client in Failed until the next input`, async () => {
    const scene = new Scene();
    scene.client.say("one");
    scene.latest.begin(status);
    scene.latest.body_.enqueue(new TextEncoder().encode(status === 403 ? '{"type":"Error","text":"no"}' : '{"type":'));
    await scene.end();
    assert.equal(scene.client.state, "Failed");
    assert.deepEqual(scene.told, told);
    scene.client.say("two");
    await scene.answer(RESPONSE);
    assert.equal(scene.client.state, "Listening");
  });
}

test("an Error ends the session, and the request", async () => {
  const scene = new Scene();
  scene.client.say("one");
  await scene.answer({ type: "Error", text: "no" }, ITEM);
  assert.equal(scene.client.state, "Sleeping");
  assert.equal(scene.client.sessionId, null);
  assert.deepEqual(scene.told, ["Ready", "TurnInterrupted", "Error"]);
});

test("a session is named once, and then the cookie of the server counts, until it ends", async () => {
  const scene = new Scene();
  scene.client.say("one");
  const [proposed] = scene.cookies;
  assert.match(proposed, /^flowstorm-session-id=[0-9a-f]{32}; Path=\/voice\/client; SameSite=Strict$/u);
  await scene.answer(RESPONSE);
  assert.match(scene.cookies[1], /^flowstorm-session-id=; Path=\/voice\/client; SameSite=Strict; Max-Age=0$/u);
  assert.ok(proposed.includes(scene.client.sessionId));
  scene.client.say("two");
  await scene.answer({ type: "Response", response: { sessionEnded: true } });
  assert.equal(scene.cookies.length, 2);
  assert.equal(scene.client.state, "Sleeping");
  scene.client.say("three");
  assert.notEqual(scene.cookies[2], proposed);
});

test("what is not ASCII goes into the address", () => {
  const scene = new Scene({ key: "klíč", token: "T" });
  scene.client.say("one");
  assert.equal(String(scene.latest.url), "http://host/voice/client?key=kl%C3%AD%C4%8D");
  assert.equal(scene.latest.headers["X-Key"], undefined);
  assert.equal(scene.latest.headers.Authorization, "Bearer T");
});
