// The time axis: all of the recording at a glance, and which part of it is on the screen.

const axis = $("time"), canvas = axis.querySelector("canvas"), frame = $("window");
const start = rows.length ? rows[0].at : 0;
const length = Math.max(data.duration, 1e-6);
const across = (at) => ((at - start) / length) * (axis.clientWidth - 32) + 16;

function drawTime() {
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const width = axis.clientWidth, height = axis.clientHeight, scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const middle = (height - 22) / 2, bottom = height - 22;
  pen.fillStyle = colour("rule");
  pen.fillRect(16, middle, width - 32, 1);
  drawSounds(pen, middle, colour("sound"));
  const counts = { client: new Map(), server: new Map() };
  for (const index of visible) {
    const row = rows[index];
    if (row.kind !== "message") continue;
    const at = Math.round(across(row.at)), count = counts[row.by];
    count.set(at, (count.get(at) ?? 0) + 1);
  }
  for (const [by, count] of Object.entries(counts)) {
    pen.fillStyle = colour(by);
    for (const [at, number] of count) {
      const tall = Math.min(middle - 2, 5 + 5 * Math.log2(1 + number));
      pen.fillRect(at - 0.75, by === "client" ? middle - tall : middle + 1, 1.5, tall);
    }
  }
  drawStates(pen, bottom, colour);
  pen.fillStyle = colour("bad");
  for (const index of visible) {
    if (!rows[index].notes) continue;
    const at = across(rows[index].at);
    pen.beginPath();
    pen.moveTo(at - 4, 1);
    pen.lineTo(at + 4, 1);
    pen.lineTo(at, 8);
    pen.fill();
  }
  drawTicks(pen, width, height, colour("quiet"));
}

function drawSounds(pen, middle, colour) {
  pen.fillStyle = colour;
  for (const index of visible) {
    const { band, by, kind } = rows[index];
    if (kind !== "audio") continue;
    pen.globalAlpha = 0.55;
    band.at.forEach((at, place) => {
      const next = band.at[place + 1], from = across(at), to = next === undefined ? from + 2 : across(next);
      const level = band.loud[place] ?? -40, tall = Math.max(1, ((Math.max(level, -60) + 60) / 60) * (middle - 3));
      pen.fillRect(from, by === "client" ? middle - tall : middle + 1, Math.max(1, to - from), tall);
    });
    pen.globalAlpha = 1;
  }
}

function drawStates(pen, bottom, colour) {
  const lane = lanes[0];
  if (!lane) return;
  for (let index = 0; index < rows.length; index++) {
    const name = laneNames[lane.state[index]];
    if (name === null || name === "Closed") continue;
    const from = across(rows[index].at), to = index + 1 < rows.length ? across(rows[index + 1].at) : from + 1;
    pen.fillStyle = colour(/^[A-Z][a-z]+$/.test(name) ? name : "other") || colour("other");
    pen.fillRect(from, bottom, Math.max(0.5, to - from + 0.5), 5);
  }
}

function drawTicks(pen, width, height, colour) {
  const rough = length / Math.max(2, width / 110), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  pen.fillStyle = colour;
  pen.font = "11px system-ui, sans-serif";
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  for (let count = 0; count * step <= length && count < 1000; count++) {
    const at = across(start + count * step), text = `${(start + count * step).toFixed(digits)} s`;
    if (at + pen.measureText(text).width < width) pen.fillText(text, at, height - 4);
  }
}

function drawWindow(from, to) {
  if (!visible.length) { frame.hidden = true; return; }
  const first = rows[visible[Math.min(from, visible.length - 1)]], last = rows[visible[Math.max(0, Math.min(to, visible.length) - 1)]];
  frame.hidden = false;
  frame.style.left = `${across(first.at) - 1}px`;
  frame.style.width = `${Math.max(2, across(until(last)) - across(first.at) + 2)}px`;
  axis.setAttribute("aria-valuemin", start.toFixed(3));
  axis.setAttribute("aria-valuemax", (start + length).toFixed(3));
  axis.setAttribute("aria-valuenow", first.at.toFixed(3));
  axis.setAttribute("aria-valuetext", `${first.at.toFixed(3)} to ${last.at.toFixed(3)} seconds`);
}

/** Bring what happened at a time into the middle. */
function goTo(time) {
  let best = 0;
  visible.forEach((index, place) => { if (rows[index].at <= time) best = place; });
  if (visible.length) centre(best);
}

const timeAt = (event) => start + ((event.clientX - axis.getBoundingClientRect().left - 16) / (axis.clientWidth - 32)) * length;
axis.addEventListener("pointerdown", (event) => { axis.setPointerCapture(event.pointerId); goTo(timeAt(event)); });
axis.addEventListener("pointermove", (event) => { if (event.buttons) goTo(timeAt(event)); });
axis.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
  if (event.key === "Home") grid.scrollTop = 0;
  else if (event.key === "End") grid.scrollTop = tops[visible.length];
  else if (event.key in steps) grid.scrollTop += (steps[event.key] * room()) / 2;
  else return;
  event.preventDefault();
  event.stopPropagation();
});
