/** What goes on inside: the state, the audio, the session, and the events both ways. */

import { make } from "./transcript.js";

const MOST = 500; // entries that are kept
const WIDE = "(min-width: 60rem)";
const HIDDEN = "…"; // what is copied from here is shown to others
const WAYS = { "<": "received", ">": "sent" };

export class Inspector {
  #panel = document.querySelector("#inspector");
  #button = document.querySelector("#inspect");
  #log = document.querySelector("#log");
  #states = document.querySelector("#states");
  #entries = [];
  #steps = []; // what led to them is about to be shown
  #audio = null; // the entry that further blocks of audio are counted in

  constructor(states) {
    this.#states.append(...states.map((name) => make("li", { textContent: name })));
    this.#button.addEventListener("click", () => this.#show(this.#panel.hidden));
    document.querySelector("#copy").addEventListener("click", () => this.#copy());
    document.querySelector("#clear").addEventListener("click", () => this.#clear());
    this.#show(matchMedia(WIDE).matches);
  }

  state(name) {
    for (const each of this.#states.children) {
      if (each.textContent === name) each.setAttribute("aria-current", "true");
      else each.removeAttribute("aria-current");
    }
  }

  fact(name, text) {
    document.querySelector(`#${name}`).textContent = text;
  }

  level(value) {
    document.querySelector("#level").value = value;
  }

  /** An event that was sent (">") or received ("<"). */
  traffic(way, event) {
    this.#traffic(way, event);
    if (way === ">") this.#steps.splice(0).forEach((each) => this.#append(each));
  }

  #traffic(way, event) {
    const data = event.data ?? null;
    if (data === null) {
      this.#add(way, event.type, summary(event), withoutToken(event));
      return;
    }
    const size = data.byteLength ?? data.size;
    if (this.#audio?.way === way && size) {
      this.#audio.count(size);
      return;
    }
    this.#add(way, event.type, size ? `${size} bytes` : "keep-alive");
    const [line] = [...this.#log.children].slice(-1);
    if (size) this.#audio = counter(way, size, line.querySelector(".what"));
  }

  /** A step of the machine, when it changes something. */
  moved({ trigger, before, state, heard, audio }) {
    const steps = [];
    if (before !== state) steps.push(`${before} → ${state}`);
    if (heard !== audio) steps.push(`audio ${heard} → ${audio}`);
    if (!steps.length) return;
    const step = make("li", { className: "step", textContent: steps.join(", "), title: trigger });
    step.append(make("span", { textContent: trigger }));
    // What is sent moves the machine first; it reads better the other way round.
    if (trigger.startsWith(">")) this.#steps.push(step);
    else this.#append(step);
  }

  #add(way, type, what, event = null) {
    const line = make("li", { className: WAYS[way] });
    const head = make(event ? "summary" : "div", { className: "head" });
    head.append(
      make("time", { textContent: new Date().toTimeString().slice(0, 8) }),
      make("span", { className: "way", textContent: way === "<" ? "←" : "→", title: WAYS[way] }),
      make("span", { className: "visually-hidden", textContent: WAYS[way] }),
      make("b", { textContent: type }),
      make("span", { className: "what", textContent: what }),
    );
    if (event) {
      const more = make("details");
      more.append(head, make("pre", { textContent: JSON.stringify(event, null, 2) }));
      line.append(more);
      this.#entries.push(event);
      this.#entries.splice(0, this.#entries.length - MOST);
    } else line.append(head);
    this.#append(line);
  }

  #append(line) {
    this.#audio = null;
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    this.#log.append(line);
    while (this.#log.children.length > MOST) this.#log.firstElementChild.remove();
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #show(visible) {
    this.#panel.hidden = !visible;
    this.#button.setAttribute("aria-expanded", String(visible));
    document.body.classList.toggle("inspecting", visible);
  }

  #clear() {
    this.#entries = [];
    this.#audio = null;
    this.#log.replaceChildren();
  }

  /** One event on each line, as `flowstorm-channel decode` reads them. */
  async #copy() {
    const button = document.querySelector("#copy");
    const text = this.#entries.map((each) => `${JSON.stringify(each)}\n`).join("");
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    button.textContent = copied ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}

function withoutToken(event) {
  const { token, request } = event;
  return {
    ...event,
    ...(token && { token: HIDDEN }),
    ...(request?.token && { request: { ...request, token: HIDDEN } }),
  };
}

function counter(way, first, place) {
  let [blocks, bytes] = [1, first];
  return {
    way,
    count(size) {
      blocks += 1;
      bytes += size;
      place.textContent = `${blocks} blocks, ${bytes} bytes`;
    },
  };
}

function summary(event) {
  const item = event.responseItem ?? {};
  const input = event.input ?? event.request?.input;
  const text = input?.transcript?.text ?? event.text ?? item.text;
  const marks = [
    text === undefined ? "" : `“${text}”`,
    event.isFinal === false ? "interim" : "",
    ...["image", "video", "audio", "code"].map((name) => (item[name] ? name : "")),
    event.response?.items.length ? `${event.response.items.length} items` : "",
    event.response?.sessionEnded ? "ends" : "",
    event.response?.sleepTimeout ? `sleeps ${event.response.sleepTimeout} s` : "",
    event.sessionId ?? "",
  ];
  return marks.filter(Boolean).join(" ");
}
