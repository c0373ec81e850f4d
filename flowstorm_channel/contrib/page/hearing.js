/**
 * When the page listens: the microphone button, and what becomes of it as the conversation goes on.
 *
 * On V1 the audio flows while the server has the stream open, on V2 an utterance is recorded and sent when it
 * is over. With `handsFree` the page listens again after each answer, until the button is pressed.
 */

import { Microphone } from "./microphone.js";
import { Utterance } from "./utterance.js";

const RESTING = ["Closed", "Failed", "Sleeping"];

export class Hearing {
  #conversation;
  #handsFree;
  #rate;
  #microphone;
  #host;
  #wanted = false; // listen as soon as it may be
  #opening = null; // the press of the button for which the microphone is being opened
  #utterance = null; // what is being recorded

  /**
   * `host.hearing(how)` is told "closed", "waiting", "asked", "open" or "recording", `host.level(level)` how
   * loud it is, `host.failed(text)` why nothing is heard.
   */
  constructor(conversation, { handsFree, rate }, host) {
    this.#conversation = conversation;
    this.#handsFree = handsFree;
    this.#rate = rate;
    this.#host = host;
    const heard = (bytes, level) => this.#heard(bytes, level);
    this.#microphone = new Microphone(rate, heard, () => this.#lost());
  }

  /** The button: listen, or stop listening. */
  async press() {
    if (this.#wanted || this.on) this.#stop();
    else await this.#begin();
  }

  /** Whether it listens, or has asked to. */
  get on() {
    return this.#utterance !== null || this.#conversation.audio !== "closed";
  }

  /** The conversation has moved. */
  follow() {
    const { state } = this.#conversation;
    if (state === "Processing") this.#utterance = null; // something else was said
    const resting = RESTING.includes(state);
    if (this.#opening !== null) {
      // What may be done is seen when the user has said whether the microphone may be used.
    } else if (resting && this.#utterance === null) this.release();
    else if (!resting && this.#wanted && this.#may) this.#listen();
    else if (!this.#wanted && !this.on) this.#microphone.close();
    this.#tell();
  }

  /** Nothing is listened to any more. */
  release() {
    this.#wanted = false;
    this.#opening = null;
    this.#utterance = null;
    this.#microphone.close();
    this.#tell();
  }

  async #begin() {
    const opening = {};
    this.#opening = opening;
    this.#wanted = true;
    this.#tell();
    try {
      await this.#microphone.open();
    } catch (error) {
      if (this.#opening !== opening) return;
      this.release();
      this.#host.failed(error.message);
      return;
    }
    if (this.#opening !== opening) return; // pressed again meanwhile
    this.#opening = null;
    this.#makeWay();
    if (this.#may) this.#listen();
    this.#tell();
  }

  /** Whoever wants to speak is let: what plays is interrupted, what has not begun is begun. */
  #makeWay() {
    const conversation = this.#conversation;
    if (!conversation.duplex) conversation.interrupt();
    if (conversation.state === "Closed") conversation.connect({ autoStart: true });
    else if (conversation.state === "Sleeping" && !this.#records) conversation.start();
  }

  get #records() {
    return this.#conversation.sendRecording !== undefined;
  }

  get #may() {
    const { state, machine } = this.#conversation;
    if (!this.#records) return machine.allows("> InputAudioStreamOpen");
    return this.#utterance === null && ["Listening", "Sleeping", "Failed"].includes(state);
  }

  #listen() {
    this.#wanted = this.#handsFree;
    if (this.#records) this.#utterance = new Utterance(this.#rate);
    else this.#conversation.openMicrophone();
  }

  #stop() {
    this.#wanted = false;
    this.#opening = null;
    if (this.#utterance !== null) this.#send();
    else if (this.#conversation.audio === "closed") this.release();
    else this.#conversation.closeMicrophone();
  }

  #lost() {
    this.#stop();
    this.#host.failed("The microphone was taken away.");
    this.#tell();
  }

  #heard(bytes, level) {
    this.#host.level(this.on ? level : 0);
    if (this.#utterance?.feed(bytes, level)) this.#send();
    else if (this.#conversation.audio === "open") this.#conversation.sendAudio(bytes);
  }

  #send() {
    const utterance = this.#utterance;
    this.#utterance = null;
    if (utterance.empty) this.release();
    else this.#conversation.sendRecording(utterance.recording);
  }

  #tell() {
    const { audio } = this.#conversation;
    if (!this.on) this.#host.level(0);
    if (this.#utterance !== null) this.#host.hearing("recording");
    else this.#host.hearing(audio === "closed" && this.#wanted ? "waiting" : audio);
  }
}
