"use strict";

// Lets a call be heard along its plots and its transcript. All times are seconds of the call; its
// sound begins at data-began. Without sound, the playhead is only moved by hand.

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const ROOM = 70; // pixels for a time on the axis
const FURTHEST = 64; // times magnified

let used = null; // the player that keys are for
const players = [...document.querySelectorAll(".call")].map(player);
used = players[0];

function player(call) {
  const part = (name) => call.querySelector(name);
  const sound = part("audio");
  const plots = part(".plots");
  const wide = part(".wide");
  const box = part(".transcript");
  const length = Number(call.dataset.length);
  const began = sound ? Number(call.dataset.began) : 0;
  const said = [...call.querySelectorAll("li[data-from]")].map((line) => (
    { line, from: Number(line.dataset.from), to: Number(line.dataset.to) }));
  let at = began;
  let until = null; // where the turn ends that is being played
  let zoom = 1;
  let current = null;

  function show() {
    part(".playhead").style.left = `${(100 * at) / length}%`;
    if (!sound) part(".now").textContent = `${clock(at)} / ${clock(length)}`;
    plots.setAttribute("aria-valuenow", at.toFixed(1));
    plots.setAttribute("aria-valuetext", `${clock(at)} of ${clock(length)}`);
    const found = said.findLast((each) => each.from <= at && at < each.to);
    if (found?.line === current?.line) return;
    current?.line.classList.remove("current");
    found?.line.classList.add("current");
    current = found;
    if (found) reveal(found.line);
  }

  function reveal(line) { // in its box: the page itself is not moved
    const top = line.offsetTop;
    const bottom = top + line.offsetHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  }

  function follow() { // the playhead, where the plots are wider than the page
    const x = (at / length) * wide.clientWidth;
    if (x < plots.scrollLeft || x > plots.scrollLeft + plots.clientWidth)
      plots.scrollLeft = x - plots.clientWidth / 10;
  }

  function seek(time) {
    used = self;
    until = null;
    at = Math.min(Math.max(time, began), length);
    if (sound) sound.currentTime = at - began;
    show();
    follow();
  }

  function play(from, to) {
    seek(from);
    until = to;
    sound?.play().catch(() => {}); // its own controls show that it cannot be played
  }

  function toggle() {
    if (sound?.paused) sound.play().catch(() => {});
    else sound?.pause();
  }

  function tick() {
    at = sound.currentTime + began;
    if (until !== null && at >= until) {
      until = null;
      sound.pause();
    }
    show();
    follow();
    if (!sound.paused) requestAnimationFrame(tick);
  }

  function draw() { // what depends on the width: times on the axis, marks that have room
    const width = wide.clientWidth;
    const axis = part(".axis");
    const step = STEPS.find((each) => (each / length) * width >= ROOM) ?? length;
    axis.replaceChildren();
    for (let number = 0; number * step < length; number += 1) {
      const time = number * step;
      const x = `${(100 * time) / length}%`;
      add(axis, "line", { class: "tick", x1: x, x2: x, y1: 0, y2: 4 });
      if ((1 - time / length) * width < ROOM / 2) continue;
      const text = add(axis, "text", { class: number ? "" : "first", x, y: 16 });
      text.textContent = step < 1 ? `${clock(time)}.${Math.round(time * 10) % 10}` : clock(time);
    }
    const place = (mark) => (parseFloat(mark.getAttribute("x")) / 100) * width;
    const marks = [...call.querySelectorAll(".between .mark")].sort((a, b) => place(a) - place(b));
    const ends = {}; // of the last mark at each height
    for (const mark of marks) {
      const half = mark.lastChild.length * 3.5 + 4;
      const height = mark.getAttribute("y");
      const hidden = place(mark) - half < ends[height];
      mark.classList.toggle("off", hidden);
      if (!hidden) ends[height] = place(mark) + half;
    }
  }

  function magnify(times) {
    zoom = Math.min(Math.max(zoom * times, 1), FURTHEST);
    wide.style.width = `${100 * zoom}%`;
    plots.scrollLeft = (at / length) * wide.clientWidth - plots.clientWidth / 2;
    draw();
  }

  function next(direction) { // to the line after this moment, or before it
    const found = direction > 0
      ? said.find((each) => each.from > at + 0.01)
      : said.findLast((each) => each.from < at - 0.5);
    if (found) seek(found.from);
  }

  function pointed(event) {
    const { left, width } = wide.getBoundingClientRect();
    seek(((event.clientX - left) / width) * length);
  }

  const self = { call, sound, plots, seek, toggle, magnify, next, get at() { return at; } };

  plots.addEventListener("click", pointed);
  plots.addEventListener("pointermove", (event) => {
    if (event.buttons === 1 && event.pointerType === "mouse") pointed(event);
  });
  for (const { line, from, to } of said)
    line.addEventListener("click", (event) => {
      const copying = !getSelection().isCollapsed && event.target.localName !== "button";
      if (!copying) play(from, to);
    });
  for (const button of call.querySelectorAll("button[data-from]"))
    button.addEventListener("click", () => play(Number(button.dataset.from), null));
  part(".nearer").addEventListener("click", () => magnify(2));
  part(".farther").addEventListener("click", () => magnify(0.5));
  sound?.addEventListener("play", () => {
    used = self;
    for (const each of players) if (each !== self) each.sound?.pause();
    tick();
  });
  sound?.addEventListener("seeking", () => { // by us, or by the sound's own controls
    if (Math.abs(sound.currentTime + began - at) < 0.2) return;
    until = null;
    at = sound.currentTime + began;
    show();
  });
  new ResizeObserver(draw).observe(wide);
  show();
  return self;
}

function add(parent, name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [each, value] of Object.entries(attributes)) made.setAttribute(each, value);
  return parent.appendChild(made);
}

function clock(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${two(seconds / 60)}:${two(seconds % 60)}`;
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // J, as on the page
  const presses = target.closest("button") && (key === " " || key === "Enter");
  if (target.closest("audio") || presses || event.ctrlKey || event.altKey || event.metaKey) return;
  used = players.find((each) => each.call.contains(target)) ?? used;
  const does = {
    " ": () => used.toggle(),
    ArrowLeft: () => used.seek(used.at - 2),
    ArrowRight: () => used.seek(used.at + 2),
    j: () => used.next(1),
    k: () => used.next(-1),
    "+": () => used.magnify(2),
    "-": () => used.magnify(0.5),
  };
  if (target === used.plots) // what a slider's keys do
    Object.assign(does, {
      Enter: does[" "],
      Home: () => used.seek(0),
      End: () => used.seek(Infinity),
      PageUp: () => used.seek(used.at - 10),
      PageDown: () => used.seek(used.at + 10),
    });
  if (!Object.hasOwn(does, key)) return;
  event.preventDefault();
  does[key]();
});
