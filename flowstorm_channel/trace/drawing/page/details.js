// What is in the row that is chosen: its members, its bytes, its audio.

const details = $("details");
const FIRST = 4096;

function openDetails(entry) {
  if (chosen < 0) return;
  const row = rows[chosen];
  details.replaceChildren(...parts(row, entry));
  details.hidden = false;
  details.scrollTop = 0;
  layOutEnd();
  drawn.get(placeOf(chosen))?.setAttribute("aria-expanded", "true");
}

function closeDetails() {
  details.hidden = true;
  details.replaceChildren();
  layOutEnd();
  drawn.get(placeOf(chosen))?.setAttribute("aria-expanded", "false");
  grid.focus();
}

function* parts(row, entry) {
  yield el("div", { class: "top" },
    el("h2", {}, row.name, el("p", {}, row.band ? bandText(row.band) : row.text)),
    el("button", { type: "button", "aria-label": "Close", onclick: closeDetails }, "×"));
  for (const [id, level, text] of row.notes ?? [])
    yield el("p", { class: "note" }, el("b", {}, id ? `${id} ` : ""), `${level}: ${text}`);
  yield facts(row);
  if (row.band) yield* bandParts(row.band, entry);
  const fields = fieldsOf(row);
  if (fields !== undefined)
    yield part("Members", [copyButton(() => JSON.stringify(plain(fields), null, 2))], tree(fields));
  const bytes = bytesOf(row);
  if (bytes) yield bytesPart(row, bytes);
}

const part = (title, tools, ...content) =>
  el("section", {}, el("div", { class: "part" }, el("h3", {}, title), ...tools), ...content);

const WAYS = {
  told: "the machine told its host", act: "the host did it", setting: "the host has changed it", opened: "a machine is recorded from here on",
  state: "nothing happened but time", lost: "a transport is gone", cut: "not recorded any more",
};

function facts(row) {
  const to = row.by === "client" ? "server" : "client";
  const said = [
    ["what", row.by ? `${row.by} → ${to}` : WAYS[row.kind]],
    ["at", `${row.at.toFixed(6)} s, ${seconds(row.since)} after the one before`],
    ["machine", `${row.channel}${data.kinds[row.channel] ? ` ${data.kinds[row.channel]}` : ""}`],
  ];
  if (row.wire !== undefined) said.push(["transport", String(row.wire)]);
  if (row.state !== undefined) said.push(["state then", el("span", {}, el("span", { class: "chip", "data-state": row.state }), row.state)]);
  if (row.audio !== undefined) said.push(["audio then", row.audio]);
  said.push(["entry", el("a", { href: `#entry-${row.entry}` }, `#entry-${row.entry}`)]);
  return el("dl", { class: "facts" }, ...said.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

// ------------------------------------------------------------ members

function fieldsOf(row) {
  if (row.fields !== undefined) return row.fields;
  return row.parsed ? JSON.parse(row.raw) : undefined;
}

const isSpecial = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && "$" in value;

/** The members without what stands for bytes and great numbers here. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  if (isSpecial(value)) return value.$;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.replace(/^\$\$/, "$"), plain(each)]));
}

function tree(value) {
  const made = el("div", { class: "tree" });
  if (value === null || typeof value !== "object" || isSpecial(value)) made.append(el("div", {}, leaf(value)));
  else made.append(el("div", {}, ...branches(value, 0)));
  return made;
}

function* branches(value, depth) {
  for (const [name, each] of Object.entries(value)) {
    const key = el("span", { class: "key" }, visibly(name.replace(/^\$\$/, "$")));
    if (each === null || typeof each !== "object" || isSpecial(each)) yield el("div", { class: "leaf" }, key, ": ", leaf(each));
    else yield branch(key, each, depth);
  }
}

function branch(key, value, depth) {
  const count = Object.keys(value).length, [left, right] = Array.isArray(value) ? "[]" : "{}";
  const inside = el("div");
  const made = el("details", {}, el("summary", {}, key, ` ${left}${count ? count : ""}${right}`), inside);
  const fill = () => { if (made.open && !inside.childElementCount) inside.append(...branches(value, depth + 1)); };
  made.addEventListener("toggle", fill);
  if (count && depth < 3 && count <= 40) { made.open = true; fill(); }
  return made;
}

function leaf(value) {
  if (typeof value === "string") return el("span", { class: "text" }, visibly(JSON.stringify(value)));
  if (isSpecial(value)) return el("span", { class: "plain" }, value.size === undefined ? String(value.$) : `${size(value.size)}: ${value.$}`);
  return el("span", { class: "plain" }, String(value));
}

// ------------------------------------------------------------ bytes

const fromBase64 = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));

function bytesOf(row) {
  if (row.base64 !== undefined) return fromBase64(row.base64);
  return row.raw === undefined ? null : new TextEncoder().encode(row.raw);
}

function hex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const piece = [...bytes.subarray(at, at + 16)];
    const digits = piece.map((each) => each.toString(16).padStart(2, "0")).join(" ");
    const text = piece.map((each) => (each >= 32 && each < 127 ? String.fromCharCode(each) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

function bytesPart(row, bytes) {
  const text = row.raw ?? new TextDecoder().decode(bytes);
  const isText = row.raw !== undefined || !/[\0-\x08\x0e-\x1f\ufffd]/.test(text);
  const shownBytes = el("pre", { tabindex: "0", "aria-label": "Bytes" });
  let asHex = !isText, all = false;
  const show = () => {
    const most = all ? bytes.length : FIRST;
    shownBytes.className = asHex ? "hex" : "";
    shownBytes.textContent = asHex ? hex(bytes.subarray(0, most)) : visibly(text.slice(0, most));
    toggle.textContent = asHex ? "text" : "hex";
    more.hidden = all || bytes.length <= FIRST;
  };
  const toggle = el("button", { type: "button", onclick: () => { asHex = !asHex; show(); } });
  const more = el("button", { type: "button", onclick: () => { all = true; show(); } }, "all");
  const copied = copyButton(() => (asHex ? [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("") : text));
  show();
  const whole = row.size ?? bytes.length;
  const title = whole > bytes.length ? `${size(whole)}, the first ${size(bytes.length)}` : size(whole);
  return part(title, [more, toggle, copied], shownBytes);
}

function copyButton(text) {
  const made = el("button", { type: "button" }, "copy");
  made.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      const held = el("textarea", {}, text());
      made.after(held);
      held.select();
      document.execCommand("copy");
      held.remove();
    }
    made.textContent = "copied";
    setTimeout(() => { made.textContent = "copy"; }, 1200);
  });
  return made;
}

// ------------------------------------------------------------ audio

function* bandParts(band, entry) {
  if (band.levels.length) yield part("Level", [], curve(band.levels, "big"));
  const sound = soundOf(band);
  if (sound) yield part("Listen", [], el("audio", { controls: true, src: URL.createObjectURL(sound) }));
  yield part(`${band.at.length} blocks${band.encoding ? `, ${band.encoding}` : ""}${band.rate ? `, ${band.rate} Hz` : ""}`, [], blocks(band, entry));
}

function blocks(band, entry) {
  const known = band.levels.length > 0;
  const head = el("tr", {}, ...["entry", "seconds", "bytes", ...(known ? ["dB"] : [])].map((each) => el("th", { scope: "col" }, each)));
  const made = el("table", {}, el("thead", {}, head)), inside = el("tbody");
  const wanted = Math.max(0, band.entries.indexOf(entry));
  const first = Math.max(0, wanted - 100), last = Math.min(band.at.length, first + 200);
  for (let at = first; at < last; at++) {
    const level = band.loud[at];
    inside.append(el("tr", { class: band.entries[at] === entry ? "chosen" : null },
      el("td", {}, String(band.entries[at])), el("td", {}, band.at[at].toFixed(3)), el("td", {}, String(band.sizes[at])),
      known ? el("td", {}, level === null ? "" : level <= -96 ? "silence" : level.toFixed(1)) : null));
  }
  made.append(inside);
  return last - first < band.at.length ? el("div", {}, made, el("p", { class: "quiet" }, `of ${band.at.length}`)) : made;
}

/** The audio as something that a browser plays; null when it is not known what it is, or not here. */
function soundOf(band) {
  if (!band.data) return null;
  const bytes = fromBase64(band.data);
  if (band.encoding === "LINEAR16" || band.encoding === "MULAW") return new Blob([waveHead(band, bytes.length), bytes], { type: "audio/wav" });
  if (band.encoding === "WAV" && band.at.length === 1) return new Blob([bytes], { type: "audio/wav" });
  const isMp3 = bytes[0] === 0xff && (bytes[1] & 0xe0) === 0xe0, isTagged = bytes[0] === 0x49 && bytes[1] === 0x44 && bytes[2] === 0x33;
  return isMp3 || isTagged ? new Blob([bytes], { type: "audio/mpeg" }) : null;
}

function waveHead(band, length) {
  const mulaw = band.encoding === "MULAW", width = mulaw ? 1 : 2;
  const head = new DataView(new ArrayBuffer(44));
  const text = (at, value) => [...value].forEach((each, place) => head.setUint8(at + place, each.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + length, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, mulaw ? 7 : 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, band.rate, true);
  head.setUint32(28, band.rate * width, true);
  head.setUint16(32, width, true);
  head.setUint16(34, 8 * width, true);
  text(36, "data");
  head.setUint32(40, length, true);
  return head.buffer;
}
