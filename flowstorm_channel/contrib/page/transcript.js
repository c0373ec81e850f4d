/** What was said, as one reads it: the user's words, the items of answers, and notes between them. */

import { commandOf } from "./events.js";

const SCHEMES = ["http:", "https:", "data:"];
const MOST = 1000; // answers, notes and words of the user that are kept
const NEAR = 40; // pixels from the end, where one reads what comes

export class Transcript {
  #scroll = document.querySelector("#scroll");
  #log = document.querySelector("#transcript");
  #interim = document.querySelector("#interim");
  #answer = null;
  #following = true; // else the user reads what was said before

  constructor() {
    this.#scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
      this.#following = scrollHeight - scrollTop - clientHeight < NEAR;
    });
  }

  /** What the user says, or has said. */
  said(text) {
    this.#following = true;
    this.interim("");
    this.#answer = null;
    if (text === "#silence") this.note("You said nothing.");
    else if (/^#[\w-]+$/u.test(text)) this.note(text);
    else this.#add(this.#log, make("p", { className: "user", textContent: text }));
  }

  /** What is recognised so far. */
  interim(text) {
    this.#interim.textContent = text;
    this.#interim.hidden = !text;
    this.#follow();
  }

  /** An item of an answer; gives what in it is to be played. */
  item(item) {
    const command = commandOf(item);
    if (command) this.#command(command);
    const spoken = fromSsml(item.ssml);
    const text = command ? "" : item.text || spoken.text;
    const block = make("div", { className: "item" });
    const sounds = item.audio ? [item.audio] : spoken.audio;
    const media = [...sounds.map(audio), ...(item.video ? [video(item.video)] : [])];
    if (item.image) block.append(image(item.image, text ? "" : "An image, without a text"));
    if (text) block.append(make("p", { textContent: text }));
    block.append(...media);
    if (block.childNodes.length) this.#add(this.#block(), block);
    return media.filter((each) => each instanceof HTMLMediaElement);
  }

  /** The answer was broken off by the user. */
  interrupted() {
    this.#answer?.classList.add("interrupted");
    const told = make("span", { className: "visually-hidden", textContent: "(interrupted)" });
    this.#answer?.append(told);
    this.#answer = null;
  }

  /** Something about the conversation; `kind` is "" or "error". */
  note(text, kind = "") {
    this.#answer = null;
    this.#add(this.#log, make("p", { className: `note ${kind}`, textContent: text }));
  }

  #command({ name, payload }) {
    if (name === "suggestions") return;
    if (name === "card") {
      const { title = "", text = "" } = Object(payload) === payload ? payload : { text: payload };
      const card = make("div", { className: "card" });
      if (title) card.append(make("h3", { textContent: String(title) }));
      card.append(make("p", { textContent: String(text ?? "") }));
      this.#add(this.#block(), card);
      return;
    }
    const code = payload === null ? "" : typeof payload === "string" ? payload : JSON.stringify(payload);
    const line = make("p", { className: "command" });
    const whole = make("code", { textContent: `#${name} ${code}`.trim() });
    line.append(make("span", { textContent: "Command" }), whole);
    this.#add(this.#block(), line);
  }

  /** Where the parts of one answer stand together. */
  #block() {
    if (this.#answer === null) {
      this.#answer = make("div", { className: "answer" });
      this.#append(this.#log, this.#answer);
    }
    return this.#answer;
  }

  #append(parent, element) {
    parent.append(element);
    while (this.#log.children.length > MOST) this.#log.firstElementChild.remove();
  }

  #add(parent, element) {
    this.#append(parent, element);
    this.#follow();
    for (const each of element.querySelectorAll("img")) each.addEventListener("load", () => this.#follow());
  }

  #follow() {
    if (this.#following) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }
}

/** An element with properties. */
export function make(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

/** The address of an item. One that begins with a slash is relative to where the page stands. */
function address(text) {
  try {
    const found = new URL(/^\/(?!\/)/u.test(text) ? `.${text}` : text, document.baseURI);
    return SCHEMES.includes(found.protocol) ? found.href : null;
  } catch {
    return null;
  }
}

function image(text, alt) {
  const src = address(text);
  if (src === null) return missing("image", text);
  const element = make("img", { src, alt });
  element.addEventListener("error", () => element.replaceWith(missing("image", text)));
  return element;
}

function audio(text) {
  const src = address(text);
  return src === null ? missing("audio", text) : make("audio", { src, controls: true });
}

function video(text) {
  const src = address(text);
  return src === null ? missing("video", text) : make("video", { src, controls: true, playsInline: true });
}

function missing(kind, text) {
  const textContent = `The ${kind} cannot be shown: ${text.slice(0, 200)}`;
  return make("p", { className: "missing", textContent });
}

/** Text and audio of SSML, for an item that has nothing else (D-63). */
function fromSsml(ssml) {
  if (!ssml) return { text: "", audio: [] };
  const parsed = new DOMParser().parseFromString(ssml, "application/xml");
  if (parsed.querySelector("parsererror")) return { text: ssml, audio: [] };
  const sources = [...parsed.querySelectorAll("audio[src]")].map((each) => each.getAttribute("src"));
  return { text: parsed.documentElement.textContent.trim(), audio: sources };
}
