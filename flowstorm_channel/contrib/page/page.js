/** The page: what happens in the conversation is shown, what the user does is said. */

import { Composer } from "./composer.js";
import { commandOf } from "./events.js";
import { Hearing } from "./hearing.js";
import { Inspector } from "./inspector.js";
import { Player } from "./player.js";
import { Settings } from "./settings.js";
import { SocketV1 } from "./socket-v1.js";
import { SocketV2 } from "./socket-v2.js";
import { Transcript } from "./transcript.js";

const rules = await (await fetch("rules.json")).json();
const badge = document.querySelector("#state");
const welcome = document.querySelector("#welcome");

const transcript = new Transcript();
const inspector = new Inspector(rules.states);
const settings = new Settings(renew);
const player = new Player({
  show,
  finished: (turn) => conversation.finishPlayback(turn),
  failed: (text) => transcript.note(text, "error"),
});
const composer = new Composer({
  say,
  speak: () => hearing.press(),
  pause() {
    conversation.pause();
    if (conversation.state === "Paused") player.pause();
  },
  resume() {
    conversation.resume();
    player.resume();
  },
  interrupt: () => conversation.interrupt(),
  end() {
    forget();
    conversation.close();
  },
});

let unsaid = null; // typed before there was a connection
let following = false;
let outage = false; // and the user knows
let ended = false; // the session; said when all has been played
let conversation = makeConversation();
let hearing = makeHearing();

document.querySelector("#start").addEventListener("click", () => {
  composer.focus();
  begin();
});
follow();

// ------------------------------------------------------------ making

function makeConversation() {
  const [Channel, path] = settings.chosen.channel === "v2" ? [SocketV2, "client"] : [SocketV1, "socket"];
  const url = new URL(path, document.baseURI);
  if (Channel === SocketV1) url.protocol = url.protocol.replace("http", "ws");
  return new Channel(rules, { ...settings.conversation, url: url.href }, {
    tell,
    traffic: (way, event) => inspector.traffic(way, event),
    moved,
  });
}

function makeHearing() {
  return new Hearing(conversation, settings.hearing, {
    hearing(how) {
      composer.hearing(how);
      inspector.fact("audio", how);
    },
    level(value) {
      composer.level(value);
      inspector.level(value);
    },
    failed: (text) => transcript.note(text, "error"),
  });
}

/** The settings have changed: what goes on is over. */
function renew() {
  forget();
  conversation.close();
  player.stop();
  hearing.release();
  conversation = makeConversation();
  hearing = makeHearing();
  follow();
}

function forget() {
  unsaid = null;
  outage = ended = false;
}

// ------------------------------------------------------------ what the user does

function begin() {
  if (conversation.state === "Closed") conversation.connect({ autoStart: true });
  else if (conversation.ready) conversation.start();
}

function say(text) {
  composer.suggest([]);
  ended = false;
  if (conversation.ready) conversation.say(text);
  else {
    unsaid = text;
    conversation.connect();
  }
  transcript.said(text);
}

// ------------------------------------------------------------ what happens

/** An event of the conversation, and the turn that it belongs to. */
function tell(event, turn) {
  followSoon();
  switch (event.type) {
    case "Ready":
      outage = false;
      if (unsaid !== null) {
        conversation.say(unsaid);
        unsaid = null;
      }
      break;
    case "ResponseItem":
      player.add(turn, event.responseItem);
      break;
    case "Binary":
      player.add(turn, event.data);
      break;
    case "Response":
      onResponse(event.response, turn);
      break;
    case "Recognized":
    case "RecognizedInput":
      onRecognized(event, turn);
      break;
    case "TurnInterrupted":
      onInterruption(event.reason);
      break;
    case "Error":
      transcript.note(event.text, "error");
      break;
    case "Fault":
      transcript.note(`The server made a mistake: ${event.text}`, "error");
      break;
    case "ConnectionFailed":
      onFailure(event.reason);
      break;
    case "ConnectionLost":
      transcript.note("The connection is lost. It is sought again every few seconds.", "error");
      break;
    case "SessionExpired":
      transcript.note("The conversation has fallen asleep for good. What you say begins a new one.");
      break;
  }
}

function onResponse(response, turn) {
  for (const item of response.items) player.add(turn, item);
  if (response.expectedPhrases.length) composer.suggest(response.expectedPhrases.map((each) => each.text));
  ended = response.sessionEnded && !response.sleepTimeout;
}

function onRecognized(event, turn) {
  if (!event.isFinal) {
    transcript.interim(event.text);
    // In Duplex whoever speaks is heard while the answer plays; that is an interruption.
    if (conversation.state === "Responding") conversation.interrupt();
  } else if (turn !== null) {
    composer.suggest([]);
    transcript.said(event.text);
  }
}

function onInterruption(reason) {
  if (reason === "lost") return; // nothing of it has come, and what came before may be played to its end
  player.stop();
  transcript.interrupted();
  if (reason === "unanswered") transcript.note("There was no answer.", "error");
}

function onFailure(reason) {
  const reconnects = conversation instanceof SocketV1;
  if (outage && reconnects) return;
  outage = true;
  const again = reconnects ? "It is tried again every few seconds." : "Say something to try again.";
  transcript.note(`No connection (${reason}). ${again}`, "error");
}

/** An item has its turn: gives what in it is to be played. */
function show(item) {
  const command = commandOf(item);
  if (command?.name === "suggestions") {
    const suggestions = command.payload?.suggestions;
    composer.suggest(Array.isArray(suggestions) ? suggestions.map(String) : []);
  }
  if (command?.name === "volume") player.volume = volumeOf(command.payload, player.volume);
  return transcript.item(item);
}

/** `up`, `down`, or a number of ten. */
function volumeOf(payload, before) {
  if (payload === "up") return before + 0.1;
  if (payload === "down") return before - 0.1;
  const level = typeof payload === "string" ? Number.parseFloat(payload) : payload;
  return Number.isFinite(level) ? level / 10 : before;
}

// ------------------------------------------------------------ states

function moved(step) {
  inspector.moved(step);
  followSoon();
}

/** Once for all that happens together, and when it has happened. */
function followSoon() {
  if (following) return;
  following = true;
  queueMicrotask(follow);
}

function follow() {
  following = false;
  const { state, sessionId } = conversation;
  badge.dataset.state = state;
  badge.querySelector("b").textContent = state;
  welcome.hidden = state !== "Closed" && !(state === "Sleeping" && sessionId === null);
  inspector.state(state);
  inspector.fact("session", sessionId ?? "none");
  composer.state(state);
  hearing.follow();
  if (ended && state === "Sleeping") {
    ended = false;
    transcript.note("The conversation has ended. What you say begins a new one.");
  }
  if (state === "Listening" || state === "Closed") transcript.interim("");
}
