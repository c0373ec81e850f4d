/** Events as they come over the wire: their names, their defaults, and what the tables call them. */

/** The server said what makes no sense. */
export class Fault extends Error {}

const COMMAND = /^#([\w-]+)$/u;
const IS = { array: Array.isArray, object: isObject };

/** An event out of an object of JSON, with the defaults in it. Raises Fault. */
export function read(object, spellings) {
  if (!isObject(object) || typeof object.type !== "string") throw new Fault("an event without a type");
  const known = Object.hasOwn(spellings, object.type);
  const event = { ...object, type: known ? spellings[object.type] : object.type };
  switch (event.type) {
    case "Error":
      return { ...event, text: need(event, "text", "string"), source: may(event, "source", "string") };
    case "SessionStarted":
      return { ...event, sessionId: need(event, "sessionId", "string") };
    case "Recognized":
      return { ...event, text: need(event, "text", "string"), isFinal: may(event, "isFinal", "boolean", true) };
    case "RecognizedInput": {
      const transcript = may(need(event, "input", "object"), "transcript", "object", {});
      const isFinal = may(event, "isFinal", "boolean", false);
      return { ...event, text: may(transcript, "text", "string", ""), isFinal };
    }
    case "ResponseItem":
      return { ...event, responseItem: readItem(need(event, "responseItem", "object")) };
    case "Response":
      return { ...event, response: readResponse(need(event, "response", "object")) };
    default:
      return known ? event : { ...event, unknown: true };
  }
}

function readResponse(response) {
  return {
    ...response,
    items: may(response, "items", "array", []).map(readItem),
    expectedPhrases: may(response, "expectedPhrases", "array", []).map(readPhrase),
    locale: may(response, "locale", "string"),
    sttMode: may(response, "sttMode", "string"),
    sessionEnded: may(response, "sessionEnded", "boolean", false),
    sleepTimeout: may(response, "sleepTimeout", "number") ?? may(response, "sessionTimeout", "number", 0),
  };
}

function readItem(item) {
  if (!isObject(item)) throw new Fault("an item has to be an object");
  for (const name of ["image", "audio", "video", "ssml", "code"]) may(item, name, "string");
  return { ...item, text: may(item, "text", "string", "") };
}

function readPhrase(phrase) {
  if (!isObject(phrase)) throw new Fault("an expected phrase has to be an object");
  return { ...phrase, text: need(phrase, "text", "string") };
}

function need(object, member, kind) {
  const value = may(object, member, kind);
  if (value === null) throw new Fault(`${object.type ?? "a part of the event"} needs ${member}`);
  return value;
}

/** What may be missing. */
function may(object, member, kind, otherwise = null) {
  const value = object[member] ?? otherwise;
  const fits = IS[kind] ? IS[kind](value) : typeof value === kind;
  if (value === null || fits) return value;
  throw new Fault(`${member} has to be of the type ${kind}`);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the tables call the receipt of an event. */
export function received(event) {
  if (event.unknown) return "< Unknown";
  if (event.type === "Binary") return event.data.byteLength ? "< Binary" : "< Binary empty";
  if (event.type === "Recognized" || event.type === "RecognizedInput") {
    return event.isFinal ? "< Recognized final" : "< Recognized interim";
  }
  return `< ${event.type}`;
}

/** The command that an item is, when it is one: its text is exactly `#name`, its payload is `code` (D-26). */
export function commandOf(item) {
  const found = COMMAND.exec(item.text);
  if (!found) return null;
  try {
    return { name: found[1], payload: JSON.parse(item.code) };
  } catch {
    return { name: found[1], payload: item.code ?? null };
  }
}

/** Whether an item is something to play or to show, for which a client stays in Responding (D-40). */
export function playable(item) {
  const speaks = item.text && !COMMAND.test(item.text);
  return Boolean(item.audio || item.video || item.image || item.ssml || speaks);
}

/** A language as events spell it (D-08). */
export function onTheWire(locale) {
  return locale.replaceAll("-", "_");
}
