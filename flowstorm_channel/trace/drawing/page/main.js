// What happens when somebody does something.

const search = $("search");
const sheets = { filter: $("filters"), found: $("findings"), help: $("keys") };

function refresh() {
  const kept = chosen >= 0 ? chosen : visible[onScreen()[0]];
  layOut();
  const place = placeOf(kept ?? 0);
  if (kept !== undefined && visible[place] === kept) centre(place);
  else { grid.scrollTop = 0; draw(); }
  drawTime();
  const count = `${visible.length} of ${rows.length} rows`;
  $("status").textContent = count;
  const said = [`seen by the ${data.seenBy}`, isFiltered() ? count : `${rows.length} rows`, seconds(data.duration)];
  if (data.redacted.length) said.push(`without ${data.redacted.join(", ")}`);
  $("about").textContent = said.join(" · ");
  $("filter").setAttribute("aria-pressed", String(shown.noted || Object.values(shown.hidden).some((each) => each.size)));
}

// ------------------------------------------------------------ filters, findings

function countsOf(read) {
  const found = new Map();
  for (const row of rows) found.set(read(row), (found.get(read(row)) ?? 0) + 1);
  return found;
}

const WAY_NAMES = {
  client: "client → server", server: "server → client", told: "told to the host", act: "done by the host", setting: "changed by the host",
  opened: "recorded from here", state: "time passes", lost: "transports gone", cut: "cuts",
};

const WAY_ORDER = Object.keys(WAY_NAMES);

function choices(title, kind, read, name) {
  const counts = [...countsOf(read)];
  if (counts.length < 2) return null;
  if (kind === "name") counts.sort((one, other) => other[1] - one[1]);
  if (kind === "way") counts.sort((one, other) => WAY_ORDER.indexOf(one[0]) - WAY_ORDER.indexOf(other[0]));
  const boxes = counts.slice(0, 200).map(([value, count]) => {
    const box = el("input", { type: "checkbox", value: String(value) });
    box.checked = !shown.hidden[kind].has(value);
    box.addEventListener("change", () => {
      if (box.checked) shown.hidden[kind].delete(value); else shown.hidden[kind].add(value);
      refresh();
    });
    return el("label", {}, box, name(value), el("small", {}, String(count)));
  });
  const turn = (on) => el("button", {
    type: "button",
    onclick: () => {
      for (const [value] of counts) if (on) shown.hidden[kind].delete(value); else shown.hidden[kind].add(value);
      fillFilters();
      refresh();
    },
  }, on ? "all" : "none");
  return el("fieldset", { "data-kind": kind }, el("legend", {}, title, " ", turn(true), " ", turn(false)), ...boxes);
}

function fillFilters() {
  const noted = el("input", { type: "checkbox", id: "noted" });
  noted.checked = shown.noted;
  noted.addEventListener("change", () => { shown.noted = noted.checked; refresh(); });
  const all = el("button", { type: "button", onclick: () => { forgetFilters(); search.value = ""; fillFilters(); refresh(); } }, "show all");
  sheets.filter.replaceChildren(...[
    choices("Direction", "way", wayOf, (value) => WAY_NAMES[value] ?? value),
    choices("Machine", "channel", (row) => row.channel, (value) => `${value} ${data.kinds[value] ?? ""}`),
    choices("Transport", "wire", (row) => row.wire ?? null, (value) => (value === null ? "none" : String(value))),
    choices("Event", "name", (row) => row.name, (value) => value),
    el("fieldset", {}, el("label", {}, noted, "only where something is to be said"), all),
  ].filter((each) => each !== null));
}

const noted = rows.flatMap((row, index) => (row.notes ? [index] : []));

function fillFindings() {
  const count = noted.reduce((sum, index) => sum + rows[index].notes.length, 0);
  const button = $("found");
  button.hidden = !count;
  button.textContent = count === 1 ? "1 finding" : `${count} findings`;
  const list = el("ol");
  for (const index of noted.slice(0, 2000)) {
    const row = rows[index];
    for (const [id, level, text] of row.notes)
      list.append(el("li", {}, el("a", { href: `#entry-${row.entry}` },
        el("time", {}, row.at.toFixed(3)), el("b", {}, id || level), " ", id ? `${level}: ${text}` : text)));
  }
  sheets.found.replaceChildren(el("h2", {}, "Findings"), list);
}

function toggleSheet(name, open = sheets[name].hidden) {
  for (const [each, sheet] of Object.entries(sheets)) {
    sheet.hidden = each !== name || !open;
    $(each).setAttribute("aria-expanded", String(!sheet.hidden));
  }
}

for (const name of Object.keys(sheets)) $(name).addEventListener("click", () => toggleSheet(name));
sheets.found.addEventListener("click", (event) => { if (event.target.closest("a")) toggleSheet("found", false); });

// ------------------------------------------------------------ places

/** Show an entry, whatever hides it. */
function reveal(entry) {
  const index = rowOfEntry(entry);
  if (visible[placeOf(index)] !== index) {
    forgetFilters();
    search.value = "";
    fillFilters();
    refresh();
  }
  choose(index, { scroll: false });
  openDetails(entry);
  centre(placeOf(index));
  grid.focus({ preventScroll: true });
}

function followLink() {
  const found = /^#entry-(\d+)$/.exec(location.hash);
  if (found && rows.length) reveal(Number(found[1]));
}
addEventListener("hashchange", followLink);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#entry-']");
  if (link && link.getAttribute("href") === location.hash) followLink(); // no change of the address tells it
});

function step(by) {
  goToPlace(chosen < 0 ? onScreen()[0] : placeOf(chosen) + by);
}

function goToPlace(place) {
  if (!visible.length) return;
  choose(visible[Math.max(0, Math.min(visible.length - 1, place))]);
  if (!details.hidden) openDetails();
}

function stepFinding(by) {
  const found = by > 0 ? noted.find((index) => index > chosen) : noted.findLast((index) => index < chosen);
  if (found !== undefined) reveal(rows[found].entry);
}

// ------------------------------------------------------------ keys and clicks

const KEYS = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1), j: () => step(1), k: () => step(-1),
  PageDown: () => step(Math.floor(room() / ROW)), PageUp: () => step(-Math.floor(room() / ROW)),
  Home: () => goToPlace(0), End: () => goToPlace(visible.length - 1),
  Enter: () => {
    if (chosen < 0) return;
    if (!details.hidden) { closeDetails(); return; }
    openDetails();
    bringIntoView(placeOf(chosen));
  },
  n: () => stepFinding(1), p: () => stepFinding(-1),
};

function escape() {
  if (Object.values(sheets).some((each) => !each.hidden)) toggleSheet("help", false);
  else if (!details.hidden) closeDetails();
  else if (shown.search) { search.value = shown.search = ""; refresh(); grid.focus(); }
  else grid.focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.("input[type=search], textarea");
  if (event.key === "Escape") escape();
  else if (typing) {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    readSearch();
    grid.focus();
    if (visible[placeOf(chosen)] !== chosen) choose(visible[0] ?? -1);
  } else if (event.key === "/") { search.focus(); search.select(); }
  else if (event.key === "?") toggleSheet("help");
  else if (event.key in KEYS && !event.target.closest?.("button, a, summary, audio, pre, input, [role=slider]")) KEYS[event.key]();
  else return;
  event.preventDefault();
});

let waiting = 0;
function readSearch() {
  clearTimeout(waiting);
  if (search.value === shown.search) return;
  shown.search = search.value;
  refresh();
}
search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(readSearch, 120); });

body.addEventListener("click", (event) => {
  const found = event.target.closest(".row");
  if (!found || String(getSelection()) !== "") return;
  const index = Number(found.dataset.index);
  if (index === chosen && !details.hidden) { closeDetails(); return; }
  choose(index, { scroll: false });
  openDetails();
  bringIntoView(placeOf(index));
});

let pending = 0;
grid.addEventListener("scroll", () => {
  pending ||= requestAnimationFrame(() => { pending = 0; draw(); });
}, { passive: true });
new ResizeObserver(() => { draw(); drawTime(); }).observe(grid);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTime);

// ------------------------------------------------------------ go

const laneWidth = slotCount ? 16 + slotCount * 19 : 0;
grid.style.setProperty("--lanes", slotCount ? `${laneWidth + 88}px` : "16px");
grid.style.setProperty("--narrow", slotCount ? `${6 + slotCount * 17}px` : "6px");
fillFilters();
fillFindings();
refresh();
followLink();
document.documentElement.dataset.ready = "true";
