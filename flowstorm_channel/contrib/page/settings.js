/** What the user has chosen: kept in this browser, but for the token. */

import { freshId } from "./turn.js";

const PLACE = "flowstorm-channel";
const SAMPLE_RATE = 16000;
const CHOICES = {
  ...{ channel: ["v1", "v2"], voice: [true, false] },
  ...{ ttsFileType: ["wav", "mp3"], microphone: ["once", "again", "duplex"] },
};
const TEXTS = ["key", "locale", "deviceId"];
const DEFAULTS = { channel: "v1", key: "page", voice: true, ttsFileType: "wav", microphone: "once" };

export class Settings {
  #dialog = document.querySelector("#settings");
  #form = this.#dialog.querySelector("form");
  #switch = document.querySelector("#channel");
  #token = "";

  /** `changed()` is called when something has been chosen. */
  constructor(changed) {
    this.chosen = { ...DEFAULTS, locale: navigator.language, deviceId: freshId(), ...stored() };
    keep(this.chosen);
    this.#switch.querySelector(`[value="${this.chosen.channel}"]`).checked = true;
    this.#switch.addEventListener("change", ({ target }) => {
      this.#choose({ channel: target.value }, changed);
    });
    document.querySelector("#configure").addEventListener("click", () => this.#open());
    document.querySelector("#cancel").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      if (this.#dialog.returnValue === "save") this.#choose(this.#read(), changed);
    });
  }

  /** What a conversation is made with; `url` is added by whoever knows the channel. */
  get conversation() {
    const { key, deviceId, locale, voice, ttsFileType, microphone, channel } = this.chosen;
    return {
      ...{ key, deviceId, locale, token: this.#token },
      zoneId: Intl.DateTimeFormat().resolvedOptions().timeZone,
      attributes: { clientType: "web:1.0", clientScreen: true },
      config: {
        ...{ stt: true, sttSampleRate: SAMPLE_RATE, sendResponseItems: true, sttInterimResults: true },
        sttMode: microphone === "duplex" && channel === "v1" ? "Duplex" : "SingleUtterance",
        tts: voice ? "RequiredStreaming" : "None",
        ttsFileType,
      },
    };
  }

  get hearing() {
    return { handsFree: this.chosen.microphone !== "once", rate: SAMPLE_RATE };
  }

  #open() {
    const { elements } = this.#form;
    const { key, locale, ttsFileType, microphone } = this.chosen;
    for (const [name, value] of Object.entries({ key, locale, ttsFileType, microphone })) {
      elements[name].value = value;
    }
    elements.voice.checked = this.chosen.voice;
    elements.token.value = this.#token;
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
  }

  #read() {
    const { key, locale, ttsFileType, microphone, voice, token } = this.#form.elements;
    this.#token = token.value;
    const texts = { key: key.value.trim(), locale: locale.value.trim() };
    return { ...texts, ttsFileType: ttsFileType.value, microphone: microphone.value, voice: voice.checked };
  }

  #choose(some, changed) {
    Object.assign(this.chosen, some);
    keep(this.chosen);
    changed();
  }
}

/** What is there may be of another version of the page. */
function stored() {
  const fits = ([name, value]) =>
    CHOICES[name]?.includes(value) || (TEXTS.includes(name) && typeof value === "string" && value !== "");
  try {
    return Object.fromEntries(Object.entries(JSON.parse(localStorage.getItem(PLACE)) ?? {}).filter(fits));
  } catch {
    return {}; // none, or the browser keeps nothing
  }
}

function keep(chosen) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(chosen));
  } catch {
    // The browser keeps nothing; it holds for as long as the page is open.
  }
}
