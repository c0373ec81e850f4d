/** Walks the page's client of Socket V1: a walk on each line in, what came of its steps on a line out. */

import { createInterface } from "node:readline";

import { SocketV1 } from "./socket-v1.js";

class Clock {
  now = 0;
  timers = new Map();
  count = 0;

  set(call, milliseconds) {
    this.count += 1;
    this.timers.set(this.count, { call, due: this.now + milliseconds });
    return this.count;
  }

  clear(timer) {
    this.timers.delete(timer);
  }

  advance(seconds) {
    this.now += seconds * 1000;
    for (;;) {
      const due = [...this.timers].filter(([, each]) => each.due <= this.now);
      if (!due.length) return;
      const [[timer, { call }]] = due.sort(([, one], [, other]) => one.due - other.due);
      this.timers.delete(timer);
      call();
    }
  }
}

class Socket {
  static latest = null;
  static sent = [];
  takers = {};
  stage = "connecting";

  constructor() {
    Socket.latest = this;
    Socket.sent.push("connect");
  }

  addEventListener(name, take) {
    this.takers[name] = take;
  }

  send(data) {
    Socket.sent.push(typeof data === "string" ? JSON.parse(data) : { type: "Binary", size: data.byteLength });
  }

  close(code) {
    this.stage = "closed";
    Socket.sent.push({ type: "Close", code });
  }
}

function walk({ rules, settings, steps }) {
  Socket.latest = null;
  Socket.sent = [];
  let told = [];
  const clock = new Clock();
  const host = {
    tell: (event) => told.push(event.data ? { type: "Binary", size: event.data.byteLength } : event),
    moved: () => {},
    traffic: () => {},
  };
  const client = new SocketV1(rules, settings, host, { clock, Socket });
  const bring = (name, event, stages, after) => {
    const socket = Socket.latest;
    if (socket === null || !stages.includes(socket.stage)) return;
    socket.stage = after;
    socket.takers[name](event);
  };
  const message = (data) => bring("message", { data }, ["open"], "open");
  const does = {
    connect: () => client.connect({ autoStart: settings.autoStart }),
    opened: () => bring("open", {}, ["connecting"], "open"),
    lost: () => bring("close", { code: 1006, reason: "" }, ["connecting", "open"], "closed"),
    frame: (frame) => message(JSON.stringify(frame)),
    audio: (size) => message(new ArrayBuffer(size)),
    say: (text) => client.say(text),
    block: (size) => client.sendAudio(new ArrayBuffer(size)),
    open_microphone: () => client.openMicrophone(),
    close_microphone: () => client.closeMicrophone(),
    interrupt: () => client.interrupt(),
    pause: () => client.pause(),
    resume: () => client.resume(),
    played: () => client.turn && client.finishPlayback(client.turn),
    advance: (seconds) => clock.advance(seconds),
  };
  return steps.map(([name, argument]) => {
    try {
      does[name](argument);
    } catch (error) {
      if (!/can be said in/u.test(error.message)) throw error;
    }
    const { state, audio, sessionId } = client;
    const seen = { state, audio, session: sessionId, sent: Socket.sent, told };
    Socket.sent = [];
    told = [];
    return seen;
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(walk(JSON.parse(line)))}\n`);
}
