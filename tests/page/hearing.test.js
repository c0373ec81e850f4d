import assert from "node:assert/strict";
import { test } from "node:test";

import { Hearing } from "./hearing.js";

/** A browser's microphone, and a user who is asked for it. */
class Device extends EventTarget {
  asked = [];
  tracks = [];

  getUserMedia() {
    return new Promise((allow, refuse) => {
      this.asked.push({ allow: () => allow(this.#stream()), refuse: (name) => refuse(new DOMException("", name)) });
    });
  }

  #stream() {
    const track = new EventTarget();
    track.live = true;
    track.stop = () => (track.live = false);
    this.tracks.push(track);
    return { getTracks: () => [track] };
  }

  /** As when it is pulled out. */
  unplug() {
    this.tracks.at(-1).live = false;
    this.tracks.at(-1).dispatchEvent(new Event("ended"));
  }
}

let recorder = null;

globalThis.AudioContext = class {
  sampleRate = 16000;
  audioWorklet = { addModule: async () => {} };
  async resume() {}
  async close() {}
  createMediaStreamSource() {
    return { connect() {} };
  }
};
globalThis.AudioWorkletNode = class {
  port = {};
  constructor() {
    recorder = this;
  }
};

/** A conversation of V1 as far as the microphone knows it. */
class Conversation {
  state = "Listening";
  audio = "closed";
  duplex = false;
  machine = { allows: () => this.state === "Listening" && this.audio === "closed" };
  interrupt() {}
  sendAudio() {}
  openMicrophone() {
    this.audio = "open";
  }
  closeMicrophone() {
    this.audio = "closed";
  }
}

class Scene {
  device = new Device();
  conversation = new Conversation();
  hears = [];
  levels = [];
  failures = [];

  constructor() {
    const navigator = { mediaDevices: this.device };
    Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
    this.hearing = new Hearing(this.conversation, { handsFree: false, rate: 16000 }, {
      hearing: (how) => this.hears.push(how),
      level: (value) => this.levels.push(value),
      failed: (text) => this.failures.push(text),
    });
  }

  async listens() {
    this.hearing.press();
    this.device.asked.at(-1).allow();
    await settled();
    this.hearing.follow();
    assert.equal(this.hears.at(-1), "open");
  }

  get live() {
    return this.device.tracks.filter((each) => each.live).length;
  }
}

function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

test("who presses again before the microphone is given has not pressed", async () => {
  const scene = new Scene();
  scene.hearing.press();
  scene.hearing.press();
  assert.equal(scene.hears.at(-1), "closed");
  scene.device.asked[0].allow();
  await settled();
  assert.equal(scene.live, 0);
  assert.equal(scene.conversation.audio, "closed");
});

test("who presses three times is heard, by one microphone", async () => {
  const scene = new Scene();
  scene.hearing.press();
  scene.hearing.press();
  scene.hearing.press();
  const [first, second] = scene.device.asked;
  first.refuse("NotAllowedError");
  await settled();
  assert.equal(scene.hears.at(-1), "waiting");
  second.allow();
  await settled();
  assert.equal(scene.live, 1);
  assert.equal(scene.conversation.audio, "open");
  assert.deepEqual(scene.failures, []);
});

test("what happens while the user is asked does not forget the question", async () => {
  const scene = new Scene();
  scene.conversation.state = "Sleeping";
  scene.conversation.start = () => (scene.conversation.state = "Listening");
  scene.hearing.press();
  scene.hearing.follow(); // the session has expired
  scene.device.asked[0].allow();
  await settled();
  assert.equal(scene.conversation.audio, "open");
  assert.equal(scene.live, 1);
});

test("the stream is not asked for before the microphone is there", async () => {
  const scene = new Scene();
  scene.hearing.press();
  scene.hearing.follow();
  assert.equal(scene.conversation.audio, "closed");
  scene.device.asked[0].allow();
  await settled();
  assert.equal(scene.conversation.audio, "open");
});

for (const [name, text] of [["NotAllowedError", "may not be used"], ["NotFoundError", "There is no microphone"]]) {
  test(`a microphone that is refused with ${name} is told`, async () => {
    const scene = new Scene();
    scene.hearing.press();
    scene.device.asked[0].refuse(name);
    await settled();
    assert.ok(scene.failures[0].includes(text));
    assert.equal(scene.hears.at(-1), "closed");
    await scene.listens(); // and may be given later
  });
}

test("a microphone that is taken away closes the stream", async () => {
  const scene = new Scene();
  await scene.listens();
  scene.device.unplug();
  scene.hearing.follow();
  assert.deepEqual(scene.failures, ["The microphone was taken away."]);
  assert.equal(scene.conversation.audio, "closed");
  assert.equal(scene.hears.at(-1), "closed");
  await scene.listens();
});

test("a recording whose microphone is taken away is sent", async () => {
  const scene = new Scene();
  const sent = [];
  scene.conversation.sendRecording = (recording) => sent.push(recording.size);
  scene.hearing.press();
  scene.device.asked[0].allow();
  await settled();
  assert.equal(scene.hears.at(-1), "recording");
  recorder.port.onmessage({ data: new Float32Array(4000) });
  scene.device.unplug();
  assert.deepEqual(sent, [44 + 2 * 3200]);
});

test("who is not listened to is shown no level", async () => {
  const scene = new Scene();
  await scene.listens();
  recorder.port.onmessage({ data: new Float32Array(2000).fill(0.5) });
  assert.ok(scene.levels.at(-1) > 0.5);
  scene.hearing.press();
  scene.hearing.follow();
  assert.equal(scene.levels.at(-1), 0);
  assert.equal(scene.live, 0);
});
