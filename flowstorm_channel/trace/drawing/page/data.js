// The recording, and which of its rows are shown. What a peer has said is put on the page as text only.

const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows;

const $ = (id) => document.getElementById(id);

function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

function svg(tag, given = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const seconds = (time) => {
  const amount = Math.abs(time);
  if (amount < 1) return `${(time * 1000).toFixed(0)} ms`;
  return amount < 100 ? `${time.toFixed(2)} s` : `${time.toFixed(0)} s`;
};
const size = (count) => {
  if (count < 10000) return count === 1 ? "1 byte" : `${count} bytes`;
  return count < 1e7 ? `${(count / 1000).toFixed(0)} kB` : `${(count / 1e6).toFixed(0)} MB`;
};
/** A text in which what cannot be seen, or turns the text around, is an escape. */
const visibly = (text) => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) =>
  (each === "\n" || each === "\t" ? each : [...Array(each.length).keys()].map((at) => `\\u${each.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")));
const endOf = (row) => row.by ?? data.seenBy;
const isAside = (row) => row.kind === "told" || row.kind === "act" || row.kind === "setting";
const until = (row) => (row.band ? row.band.at[row.band.at.length - 1] : row.at);

function bandText(band) {
  const said = [`×${band.at.length}`, size(band.size)];
  if (band.length !== null) said.push(seconds(band.length));
  if (band.loudest !== null) said.push(band.loudest <= -96 ? "silence" : `${band.loudest.toFixed(0)} dB`);
  return said.join(", ");
}

// ------------------------------------------------------------ lanes

const slotCount = Math.min(6, 1 + data.spans.reduce((most, each) => Math.max(most, each[0]), -1));
const laneNames = [null];
const laneIndex = new Map([[null, 0]]);
const lanes = Array.from({ length: slotCount }, () => ({
  state: new Uint16Array(rows.length),
  audio: new Uint16Array(rows.length),
}));
for (const [slot, region, name, first, last] of data.spans) {
  if (slot >= slotCount) continue;
  if (!laneIndex.has(name)) laneIndex.set(name, Math.min(laneNames.push(name) - 1, 65535));
  lanes[slot][region].fill(laneIndex.get(name), first, last + 1);
}

// ------------------------------------------------------------ filters

const shown = { search: "", hidden: { name: new Set(), channel: new Set(), wire: new Set(), way: new Set() }, noted: false };
const wayOf = (row) => (row.kind === "message" || row.kind === "audio" ? row.by : row.kind);
const haystacks = new Array(rows.length);

function haystack(index) {
  if (haystacks[index] === undefined) {
    const row = rows[index];
    const said = (row.notes ?? []).map((each) => each.join(" "));
    const fields = row.fields === undefined ? "" : JSON.stringify(row.fields);
    haystacks[index] = [row.name, row.text, row.state, row.raw ?? "", fields, ...said].join("\n").toLowerCase();
  }
  return haystacks[index];
}

function isShown(index, needle) {
  const row = rows[index], hidden = shown.hidden;
  return !(
    hidden.name.has(row.name) || hidden.channel.has(row.channel) || hidden.wire.has(row.wire ?? null) ||
    hidden.way.has(wayOf(row)) || (shown.noted && !row.notes) || (needle && !haystack(index).includes(needle))
  );
}

function visibleRows() {
  const needle = shown.search.toLowerCase(), found = [];
  for (let index = 0; index < rows.length; index++) if (isShown(index, needle)) found.push(index);
  return found;
}

const isFiltered = () => shown.search !== "" || shown.noted || Object.values(shown.hidden).some((each) => each.size);

function forgetFilters() {
  shown.search = "";
  shown.noted = false;
  for (const each of Object.values(shown.hidden)) each.clear();
}

/** The row that an entry of the recording is in, or the last one before it. */
function rowOfEntry(entry) {
  if (entryRows.has(entry)) return entryRows.get(entry);
  let found = 0;
  for (let index = 0; index < rows.length && rows[index].entry <= entry; index++) found = index;
  return found;
}
const entryRows = new Map();
rows.forEach((row, index) => {
  entryRows.set(row.entry, index);
  for (const each of row.band?.entries ?? []) entryRows.set(each, index);
});
