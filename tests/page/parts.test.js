import assert from "node:assert/strict";
import { test } from "node:test";

import { commandOf, Fault, playable, read } from "./events.js";
import { JsonStream } from "./json-stream.js";
import { Resampler } from "./resampler.js";
import { Utterance } from "./utterance.js";

test("objects come out of a stream as soon as they are whole, however it is cut", () => {
  const objects = ['{"a":"}{\\"["}', '{"b":[1,{"c":[]}]}', "{}"];
  for (const text of [objects.join(""), objects.join("\n"), `[${objects.join(", ")}]`]) {
    for (let size = 1; size <= text.length; size += 1) {
      const stream = new JsonStream();
      const found = [];
      for (let at = 0; at < text.length; at += size) found.push(...stream.feed(text.slice(at, at + size)));
      assert.deepEqual(found, objects);
      assert.equal(stream.broken, false);
    }
  }
  const stream = new JsonStream();
  assert.deepEqual(stream.feed('{"a":1}{"b":'), ['{"a":1}']);
  assert.equal(stream.broken, true);
});

function tone(pitch, rate, seconds) {
  const wave = (_, at) => 0.5 * Math.sin((2 * Math.PI * pitch * at) / rate);
  return Float32Array.from({ length: rate * seconds }, wave);
}

function loudness(samples) {
  return Math.sqrt(samples.reduce((sum, each) => sum + (each / 32767) ** 2, 0) / samples.length);
}

for (const [from, to] of [[48000, 16000], [44100, 16000], [48000, 8000], [16000, 16000], [8000, 16000]]) {
  test(`what is heard at ${from} Hz keeps its pitch and loudness at ${to} Hz`, () => {
    const made = new Resampler(from, to).feed(tone(440, from, 1));
    assert.ok(Math.abs(made.length - to) < to / 100, `${made.length} samples`);
    const middle = made.subarray(to / 10, (9 * to) / 10);
    assert.ok(Math.abs(loudness(middle) - 0.5 / Math.SQRT2) < 0.01);
    let crossings = 0;
    for (let at = 1; at < middle.length; at += 1) if (middle[at - 1] < 0 && middle[at] >= 0) crossings += 1;
    assert.ok(Math.abs(crossings - 440 * 0.8) <= 1, `${crossings} waves`);
  });
}

test("tones that the new rate cannot hold are taken away", () => {
  const made = new Resampler(48000, 16000).feed(tone(11000, 48000, 1));
  assert.ok(loudness(made.subarray(1600, 14400)) < 0.003);
});

test("the pieces make no difference to what comes out of them", () => {
  const samples = tone(300, 44100, 0.5);
  const whole = new Resampler(44100, 16000).feed(samples);
  const pieces = new Resampler(44100, 16000);
  const made = [];
  for (let at = 0; at < samples.length; at += 441) made.push(...pieces.feed(samples.slice(at, at + 441)));
  assert.equal(made.length, whole.length);
  assert.ok(made.every((each, at) => Math.abs(each - whole[at]) <= 1));
});

const QUIET = 0.1;
const LOUD = 0.8;
const block = () => new ArrayBuffer(3200); // 100 ms at 16 kHz

test("an utterance is over when speech was followed by quiet", () => {
  const utterance = new Utterance(16000);
  assert.equal(utterance.empty, true);
  const levels = [[20, QUIET], [5, LOUD], [5, QUIET], [1, LOUD], [8, QUIET]];
  for (const level of levels.flatMap(([count, each]) => Array(count).fill(each))) {
    assert.equal(utterance.feed(block(), level), false);
  }
  assert.equal(utterance.feed(block(), QUIET), true);
  assert.equal(utterance.recording.size, 44 + 40 * 3200);
});

test("an utterance of nothing is over after five seconds", () => {
  const utterance = new Utterance(16000);
  for (let each = 0; each < 49; each += 1) assert.equal(utterance.feed(block(), QUIET), false);
  assert.equal(utterance.feed(block(), QUIET), true);
});

test("a recording is a WAV file of what was heard", async () => {
  const utterance = new Utterance(16000);
  utterance.feed(Int16Array.from([1, -2, 3]).buffer, LOUD);
  const bytes = Buffer.from(await utterance.recording.arrayBuffer());
  assert.equal(bytes.toString("latin1", 0, 4), "RIFF");
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  assert.equal(bytes.toString("latin1", 8, 16), "WAVEfmt ");
  assert.deepEqual([bytes.readUInt16LE(20), bytes.readUInt16LE(22)], [1, 1]); // PCM, mono
  assert.deepEqual([bytes.readUInt32LE(24), bytes.readUInt16LE(34)], [16000, 16]);
  assert.equal(bytes.readUInt32LE(40), 6);
  assert.deepEqual([44, 46, 48].map((at) => bytes.readInt16LE(at)), [1, -2, 3]);
});

test("events are read whatever their spelling, with their defaults", () => {
  const spellings = { SessionStart: "SessionStarted", Response: "Response", Recognized: "Recognized" };
  assert.equal(read({ type: "SessionStart", sessionId: "s" }, spellings).type, "SessionStarted");
  assert.equal(read({ type: "Recognized", text: "yes" }, spellings).isFinal, true);
  const { response } = read({ type: "Response", response: { items: null, sessionTimeout: 5 } }, spellings);
  assert.deepEqual([response.items, response.expectedPhrases], [[], []]);
  assert.deepEqual([response.sleepTimeout, response.sessionEnded], [5, false]);
  assert.equal(read({ type: "Novelty", x: 1 }, spellings).unknown, true);
  for (const bad of [null, [], {}, { type: 1 }, { type: "Response" }, { type: "Recognized", text: 3 }]) {
    assert.throws(() => read(bad, spellings), Fault);
  }
});

test("what has another type than it may have is a fault, and not a surprise later on", () => {
  const spellings = Object.fromEntries(
    ["Response", "ResponseItem", "RecognizedInput", "Recognized", "Error"].map((name) => [name, name]),
  );
  const responses = [
    ...[{ items: {} }, { items: [null] }, { items: ["text"] }, { items: [{ text: 3 }] }, { items: [{ image: {} }] }],
    ...[{ expectedPhrases: "yes" }, { expectedPhrases: [null] }, { expectedPhrases: [{}] }, { locale: 5 }],
    ...[{ sttMode: {} }, { sessionEnded: "no" }, { sleepTimeout: "60" }, { sessionTimeout: [] }],
  ].map((response) => ({ type: "Response", response }));
  const others = [
    ...[{ type: "ResponseItem", responseItem: { audio: ["a"] } }, { type: "Error", text: "no", source: 1 }],
    ...[{ type: "RecognizedInput", input: { transcript: "text" } }, { type: "RecognizedInput", input: { transcript: { text: 1 } } }],
    { type: "Recognized", text: "yes", isFinal: "yes" },
  ];
  for (const bad of [...responses, ...others]) assert.throws(() => read(bad, spellings), Fault, JSON.stringify(bad));
});

test("commands are told from texts, and what can be played from what cannot", () => {
  const card = { text: "#card", code: '{"title":"T"}' };
  assert.deepEqual(commandOf(card), { name: "card", payload: { title: "T" } });
  assert.deepEqual(commandOf({ text: "#volume", code: "up" }), { name: "volume", payload: "up" });
  assert.deepEqual(commandOf({ text: "#snow" }), { name: "snow", payload: null });
  assert.equal(commandOf({ text: "# one" }), null);
  assert.equal(commandOf({ text: "#one two" }), null);
  const items = [{ text: "" }, { text: "#snow" }, { text: "hi" }, { text: "#snow", image: "/a.png" }];
  assert.deepEqual(items.map(playable), [false, false, true, true]);
});
