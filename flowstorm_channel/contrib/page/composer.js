/** Where the user speaks: the text, the microphone, suggestions, and what stops an answer. */

import { make } from "./transcript.js";

const HINTS = {
  Closed: "Not connected",
  Open: "Waiting for the server…",
  Sleeping: "Say something to begin",
  Listening: "Your turn",
  Processing: "Thinking…",
  Responding: "Answering; speak or type to interrupt",
  Paused: "Paused",
  Failed: "No connection",
};
const HEARING = {
  waiting: "The microphone opens in a moment…",
  asked: "The server is asked to listen…",
  open: "Listening; speak now",
  recording: "Recording; it is sent when you fall silent",
};
const ANSWERING = ["Processing", "Responding", "Paused"];

export class Composer {
  #text = document.querySelector("#text");
  #hint = document.querySelector("#hint");
  #microphone = document.querySelector("#microphone");
  #suggestions = document.querySelector("#suggestions");
  #pause = document.querySelector("#pause");
  #stop = document.querySelector("#stop");
  #end = document.querySelector("#end");
  #state = "Closed";
  #hearing = "closed";

  /** `host` has say(text), speak(), pause(), resume(), interrupt() and end(). */
  constructor(host) {
    document.querySelector("#form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      this.#text.value = "";
      if (text) host.say(text);
    });
    this.#microphone.addEventListener("click", () => host.speak());
    this.#pause.addEventListener("click", () => (this.#state === "Paused" ? host.resume() : host.pause()));
    this.#stop.addEventListener("click", () => host.interrupt());
    this.#end.addEventListener("click", () => host.end());
    this.#suggestions.addEventListener("click", ({ target }) => {
      if (target instanceof HTMLButtonElement) host.say(target.textContent);
    });
    document.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // it takes back what an input method proposes
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) host.interrupt();
    });
  }

  state(name) {
    this.#state = name;
    const focused = document.activeElement;
    this.#stop.hidden = !ANSWERING.includes(name);
    this.#pause.hidden = name !== "Responding" && name !== "Paused";
    this.#pause.textContent = name === "Paused" ? "Resume" : "Pause";
    this.#end.hidden = name === "Closed";
    if (focused instanceof HTMLElement && focused.hidden) this.focus();
    this.#tell();
  }

  hearing(how) {
    this.#hearing = how;
    const on = how !== "closed";
    this.#microphone.dataset.hearing = how;
    this.#microphone.setAttribute("aria-pressed", String(on));
    this.#microphone.title = on ? "Stop listening" : "Speak";
    this.#tell();
  }

  level(value) {
    this.#microphone.style.setProperty("--level", value.toFixed(3));
  }

  suggest(texts) {
    const left = this.#suggestions.contains(document.activeElement);
    this.#suggestions.replaceChildren(
      ...texts.map((text) => make("button", { type: "button", className: "suggestion", textContent: text })),
    );
    this.#suggestions.hidden = !texts.length;
    if (left) this.focus();
  }

  /** The keyboard is not left nowhere; where there is none, it would come up and cover the screen. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.#text.focus();
  }

  #tell() {
    const text = HEARING[this.#hearing] ?? HINTS[this.#state];
    if (this.#hint.textContent !== text) this.#hint.textContent = text;
  }
}
