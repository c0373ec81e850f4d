/** Events as they come over the wire: their names, their defaults, and what the tables call them. */

/** The server said what makes no sense. */
export class Fault extends Error {}

const COMMAND = /^#([\w-]+)$/u;

/** An event out of an object of JSON, with the defaults in it. Raises Fault. */
export function read(object, spellings) {
  if (!isObject(object) || typeof object.type !== "string") throw new Fault("an event without a type");
  const known = Object.hasOwn(spellings, object.type);
  const event = { ...object, type: known ? spellings[object.type] : object.type };
  switch (event.type) {
    case "Error":
      return { ...event, text: need(event, "text", "string"), source: event.source ?? null };
    case "SessionStarted":
      return { ...event, sessionId: need(event, "sessionId", "string") };
    case "Recognized":
      return { ...event, text: need(event, "text", "string"), isFinal: event.isFinal ?? true };
    case "RecognizedInput": {
      const input = need(event, "input", "object");
      return { ...event, text: input.transcript?.text ?? "", isFinal: event.isFinal ?? false };
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
    items: (response.items ?? []).map(readItem),
    expectedPhrases: response.expectedPhrases ?? [],
    sessionEnded: response.sessionEnded ?? false,
    sleepTimeout: response.sleepTimeout ?? response.sessionTimeout ?? 0,
  };
}

function readItem(item) {
  return { ...item, text: item.text ?? "" };
}

function need(event, member, kind) {
  const value = event[member];
  if (kind === "object" ? isObject(value) : typeof value === kind) return value;
  throw new Fault(`${event.type} needs ${member}`);
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
