// The rows: only those that can be seen, and some more, are elements of the page.

const HEIGHTS = { told: 30, act: 30, setting: 30 }, ROW = 38, SOUND = 58, PAUSE = 26, LONG = 1, MARGIN = 8;
const grid = $("rows"), body = $("body");
const drawn = new Map();
let visible = [], tops = new Float64Array(1), chosen = -1;

function layOut() {
  visible = visibleRows();
  tops = new Float64Array(visible.length + 1);
  visible.forEach((index, place) => { tops[place + 1] = tops[place] + heightOf(rows[index]) + pauseBefore(place); });
  layOutEnd();
  grid.setAttribute("aria-rowcount", visible.length + 1);
  $("empty").hidden = visible.length > 0;
  if (!rows.length) $("empty").textContent = "Nothing is in this recording.";
  for (const each of drawn.values()) each.remove();
  drawn.clear();
  draw();
}

/** Behind the last row there is room for the details, where they lie over the rows. */
function layOutEnd() {
  body.style.height = `${tops[visible.length] + room() - clear()}px`;
}

const heightOf = (row) => (row.kind === "audio" && row.band.levels.length ? SOUND : HEIGHTS[row.kind] ?? ROW);

/** Time in which nothing that is shown has happened. */
const sinceOf = (place) => (place ? rows[visible[place]].at - reached(place - 1) : 0);
const pauseBefore = (place) => (sinceOf(place) >= LONG ? PAUSE : 0);

function reached(place) {
  const row = rows[visible[place]], next = rows[visible[place + 1]];
  return row.band ? row.band.at.findLast((each) => each <= next.at) ?? row.at : row.at;
}

function placeAt(top) {
  let low = 0, high = visible.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tops[middle + 1] <= top) low = middle + 1; else high = middle;
  }
  return low;
}

const placeOf = (index) => {
  let low = 0, high = visible.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (visible[middle] < index) low = middle + 1; else high = middle;
  }
  return low;
};

const room = () => grid.clientHeight - grid.firstElementChild.offsetHeight;
/** The height in which a row can be seen beside the details. */
const clear = () => room() - (getComputedStyle($("details")).position === "fixed" ? $("details").offsetHeight : 0);
const onScreen = () => [placeAt(grid.scrollTop), Math.min(visible.length, placeAt(grid.scrollTop + room()) + 1)];

function draw() {
  const [from, to] = onScreen();
  const first = Math.max(0, from - MARGIN), last = Math.min(visible.length, to + MARGIN);
  for (const [place, each] of drawn) if (place < first || place >= last) { each.remove(); drawn.delete(place); }
  for (let place = first; place < last; place++) {
    if (!drawn.has(place)) {
      const made = rowElement(place);
      drawn.set(place, made);
      body.append(made);
    }
  }
  drawWindow(from, to);
  drawStateOnTop(from);
}

/** Above the lanes: where the machine of the first row on the screen is. */
function drawStateOnTop(place) {
  const row = rows[visible[place]], where = $("lanes");
  if (!slotCount) return;
  const name = row && (row.state ?? stateBefore(place, row.channel));
  where.replaceChildren(...(name ? [el("span", { class: "chip", "data-state": name }), name] : ["state"]));
}

// ------------------------------------------------------------ one row

function rowElement(place) {
  const index = visible[place], row = rows[index], pause = pauseBefore(place), since = sinceOf(place);
  const made = el("div", {
    role: "row", id: `row-${row.entry}`, class: `row${isAside(row) ? " aside-row" : ""}${row.notes ? " noted" : ""}`,
    "aria-rowindex": place + 2, "aria-selected": String(index === chosen), "aria-expanded": String(index === chosen && !$("details").hidden),
    "data-index": index,
  });
  made.style.transform = `translateY(${tops[place]}px)`;
  made.style.height = `${tops[place + 1] - tops[place]}px`;
  if (pause) made.style.setProperty("--pause", `${pause}px`);
  made.append(
    el("span", { role: "gridcell", class: "clock" },
      el("small", {}, place && since && !pause ? `${since > 0 ? "+" : ""}${seconds(since)}` : ""), row.at.toFixed(3)),
    diagram(row, pause ? since : 0),
    laneCells(place, row),
  );
  return made;
}

function diagram(row, pause) {
  const made = el("span", { role: "gridcell", class: "ends" });
  if (pause) made.append(el("span", { class: "pause" }, seconds(pause)));
  if (row.kind === "message" || row.kind === "audio") {
    made.classList.add(row.by);
    if (row.band?.levels.length) made.append(curve(row.band.levels, "curve"));
    made.append(el("span", { class: "arrow" }));
  } else if (isAside(row)) {
    made.classList.add("aside", data.seenBy);
    const outwards = row.kind === "told";
    made.append(el("span", { class: `tip ${outwards === (data.seenBy === "server") ? "right" : "left"}` }));
  } else {
    made.classList.add("across");
    if (row.notes) made.classList.add("bad");
  }
  made.append(label(row));
  if (row.notes) made.append(el("span", { class: "badge" }, row.notes.map((each) => each[0] || each[1]).join(" ")));
  return made;
}

const VERBS = { told: "told ", act: "", setting: "sets ", opened: "recorded from here: ", state: "time passes: " };

function label(row) {
  const text = row.band ? bandText(row.band) : row.text;
  const way = row.kind === "message" || row.kind === "audio"
    ? `${row.by} to ${row.by === "client" ? "server" : "client"}: ` : "";
  const made = el("span", { class: "label" });
  if (way) made.append(el("span", { class: "spoken" }, way));
  made.append(VERBS[row.kind] ?? "", el("b", {}, ...marked(row.name)));
  if (row.kind === "act" && !text) made.append("()");
  if (text) made.append(" ", ...marked(text));
  if (data.wires > 1 && row.wire !== undefined) made.append(el("small", {}, ` · ${row.wire}`));
  return made;
}

/** A text, with what is searched marked. */
function marked(text) {
  const needle = shown.search.toLowerCase(), lower = text.toLowerCase();
  if (!needle || lower.length !== text.length) return [text];
  const found = [];
  let from = 0;
  for (let at; (at = lower.indexOf(needle, from)) >= 0; from = at + needle.length)
    found.push(text.slice(from, at), el("mark", {}, text.slice(at, at + needle.length)));
  return [...found, text.slice(from)];
}

function curve(levels, kind) {
  const height = (level) => 1 - (Math.max(level, -60) + 60) / 60;
  const points = levels.map((level, at) => `L${at} ${height(level).toFixed(3)}H${at + 1}`).join("");
  const made = svg("svg", { class: kind, viewBox: `0 0 ${levels.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
  made.append(svg("path", { d: `M0 1${points}V1Z` }));
  return made;
}

function laneCells(place, row) {
  const index = visible[place], before = place ? visible[place - 1] : -1;
  const made = el("span", { role: "gridcell", class: "lanes" });
  lanes.forEach((lane, slot) => {
    const state = lane.state[index], audio = lane.audio[index];
    const first = before < 0 || lane.state[before] !== state;
    const band = el("i", { "data-state": laneNames[state] });
    if (first) {
      band.classList.add("first");
      if (pauseBefore(place)) band.style.setProperty("--first", `${PAUSE}px`);
    }
    made.append(el("span", { class: "lane" }, band, el("i", { "data-audio": laneNames[audio] })));
  });
  const changed = row.state !== undefined && stateBefore(place, row.channel) !== row.state;
  made.append(el("span", { class: "name" }, changed ? row.state : el("span", { class: "spoken" }, row.state ?? "")));
  return made;
}

/** Where a machine was, as the last row that is shown of it says. */
function stateBefore(place, channel) {
  for (let at = place - 1; at >= 0 && at > place - 200; at--)
    if (rows[visible[at]].channel === channel) return rows[visible[at]].state;
  return undefined;
}

// ------------------------------------------------------------ which one is chosen

function choose(index, { scroll = true } = {}) {
  const before = drawn.get(placeOf(chosen));
  before?.setAttribute("aria-selected", "false");
  before?.setAttribute("aria-expanded", "false");
  chosen = index;
  if (index < 0) return;
  const place = placeOf(index);
  if (visible[place] !== index) return;
  if (scroll) bringIntoView(place);
  const now = drawn.get(place);
  now?.setAttribute("aria-selected", "true");
  now?.setAttribute("aria-expanded", String(!$("details").hidden));
  grid.setAttribute("aria-activedescendant", `row-${rows[index].entry}`);
  history.replaceState(null, "", `#entry-${rows[index].entry}`);
}

function bringIntoView(place) {
  const top = tops[place], bottom = tops[place + 1];
  if (top < grid.scrollTop) grid.scrollTop = top;
  else if (bottom > grid.scrollTop + clear()) grid.scrollTop = bottom - clear();
  draw();
}

/** Scroll so that a row stands in the middle. */
function centre(place) {
  grid.scrollTop = (tops[place] + tops[place + 1] - clear()) / 2;
  draw();
}
