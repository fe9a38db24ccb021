// The desk of a clerk: the doubtful fields of a job, one after the other, decided by keys. A decision is kept in the
// browser until the server has confirmed it, so that neither a reload nor a server that ended loses or doubles one.

import { decide, next, overview, picture, Problem, undo } from "./api.js";
import { scan } from "./scan.js";
import { make } from "./words.js";

const AHEAD = 4; // fields that are held, and whose pictures are fetched, before their turn
const LETTERS = "ABCDFGHIJKLMNOPQRST"; // without E, empty, and U, undo
const PENDING = "digitnet-pending";
const CLERK = "digitnet-clerk";
const PAUSE = 500; // ms until the server is asked again
const PAN = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOM = { PageUp: () => view.zoom(1.25), PageDown: () => view.zoom(0.8), Home: () => view.fit() };
const CHOSEN = ["choice", "mark"]; // kinds whose value is not typed

const $ = (id) => document.getElementById(id);
const pictures = new Map(); // of fields, by number: promises of {page, scale, field}

let clerk = null;
let tasks = []; // in turn; the first is shown
let skipped = [];
let loading = null; // the request for more of them, while it is under way
let settled = new Set(); // fields that are decided
let decisions = 0; // and taken back: what was asked for before tells of an earlier state
let away = false; // the server does not answer
let last = null; // the key of the decision that can be taken back
let began = 0;
let insists = false;
let view;
let keys = Promise.resolve(); // what keys do, one after the other

export async function startReview() {
  view = scan($("review-scan"));
  clerk = localStorage.getItem(CLERK) || null;
  $("review-clerk").value = clerk ?? "";
  $("review-clerk").addEventListener("change", ({ target }) => run(() => rename(target.value.trim())));
  $("review-answer").addEventListener("keydown", press);
  $("review-answer").addEventListener("input", changed);
  const buttons = { accept, skip, unreadable, undo: back };
  for (const [name, work] of Object.entries(buttons)) $(`review-${name}`).addEventListener("click", () => run(work));
  const zooms = { in: "PageUp", out: "PageDown", fit: "Home" };
  for (const [name, key] of Object.entries(zooms)) $(`review-zoom-${name}`).addEventListener("click", ZOOM[key]);
  await run(begin);
}

/** Do something once what came before is done; keys that are pressed meanwhile are not lost. */
function run(work) {
  keys = keys.then(work).catch((error) => trouble(error instanceof Problem ? error.message : String(error)));
  return keys;
}

async function begin() {
  report(await insist(() => overview()));
  const pending = JSON.parse(localStorage.getItem(PENDING) ?? "null");
  if (pending) await send(pending);
  await fill();
  show();
}

async function rename(name) {
  clerk = name || null;
  if (clerk) localStorage.setItem(CLERK, clerk);
  else localStorage.removeItem(CLERK);
  await loading;
  [tasks, skipped, settled] = [[], [], new Set()];
  await fill();
  show();
}

/** Call the server until it answers; a refusal is an error. */
async function insist(call) {
  for (;;) {
    try {
      const answer = await call();
      if (away) trouble("");
      away = false;
      return answer;
    } catch (error) {
      if (!(error instanceof Problem) || ![0, 429, 503].includes(error.status)) throw error;
      away = true;
      trouble(error.message);
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }
}

/** Hold some fields ahead, and fetch their pictures: while the clerk goes on, if one is there to be shown. */
async function fill() {
  if (tasks.length) return void load().catch((error) => trouble(error.message));
  await load();
  if (!tasks.length) await load(); // the first may have been asked for before the last decision
}

function load() {
  loading ??= hold().finally(() => (loading = null));
  return loading;
}

async function hold() {
  const [count, began] = [Math.min(AHEAD + skipped.length, 50), decisions];
  const told = await insist(() => next({ clerk: me(), count }));
  if (began === decisions) report(told);
  const open = told.tasks.filter(({ field }) => !settled.has(field));
  const found = open.filter(({ field }) => !skipped.includes(field));
  if (!found.length) skipped = [];
  const every = found.length ? found : open;
  const here = tasks.length ? tasks[0].field : null;
  tasks = [...tasks.slice(0, 1), ...every.filter(({ field }) => field !== here)];
  for (const number of pictures.keys()) if (!tasks.some(({ field }) => field === number)) forget(number);
  for (const task of tasks) look(task);
}

function look({ field }) {
  if (!pictures.has(field)) {
    const its = picture(field);
    its.catch(() => pictures.delete(field));
    pictures.set(field, its);
  }
  return pictures.get(field);
}

function forget(field) {
  pictures.get(field).then(({ field: address }) => URL.revokeObjectURL(address), () => {});
  pictures.delete(field);
}

function report({ progress, estimate, job, clerk: asked }) {
  if (!clerk) $("review-clerk").placeholder = asked;
  const { open, done, mine, pace } = progress;
  last = progress.last;
  const share = open + done ? done / (open + done) : 1;
  $("review-bar").value = share;
  const speed = pace === null ? "" : ` · ${pace.toFixed(1)} s per field`;
  $("review-count").textContent = `${done.toLocaleString("en")} of ${(open + done).toLocaleString("en")} reviewed${speed}`;
  $("review-count").title = `${mine} by you in ${job}`;
  $("review-estimate").textContent = `${estimate[0].toUpperCase()}${estimate.slice(1)}.`;
  $("review-undo").disabled = last === null;
}

function show() {
  const [task] = tasks;
  insists = false;
  if (!away) trouble("");
  $("review-desk").hidden = !task;
  $("review-done").hidden = Boolean(task);
  if (!task) {
    $("review-done").textContent = "Nothing is left to review. Fields that other clerks hold may come back.";
    return;
  }
  const typed = !CHOSEN.includes(task.kind);
  const input = $("review-answer");
  Object.assign(input, { value: task.text, readOnly: !typed, placeholder: words(task.status) });
  $("review-label").textContent = task.label;
  $("review-where").textContent = `${task.file.split("/").at(-1)}${task.page > 1 ? `, page ${task.page}` : ""}`;
  changed();
  const letters = [...LETTERS].slice(0, task.alternatives.length);
  $("review-others").replaceChildren(
    ...letters.map((letter, i) => {
      const text = task.alternatives[i];
      const button = make("button", { type: "button" }, make("kbd", {}, letter), ` ${named(task, text)}`);
      button.addEventListener("click", () => run(() => choose(text)));
      return button;
    }),
  );
  input.focus({ preventScroll: true });
  input.select();
  began = performance.now();
  draw(task);
}

const words = (status) => ({ empty: "empty", unreadable: "not readable", ambiguous: "not readable" })[status] ?? "";
const mark = (text) => ({ 1: "ticked", 0: "not ticked" })[text];
const named = ({ names, kind }, text) => (kind === "mark" ? mark(text) : [text, names[text]].filter(Boolean).join(" · "));

async function draw(task) {
  const shown = $("review-field");
  try {
    const { page, scale, field } = await look(task);
    if (tasks[0] !== task) return;
    shown.src = field;
    shown.alt = `The field ${task.label}, enlarged`;
    view.show(page, task.corners.map(([x, y]) => [x * scale, y * scale]));
  } catch (error) {
    if (tasks[0] !== task) return;
    shown.removeAttribute("src");
    shown.alt = error.message;
    view.clear();
    trouble(error.message);
  }
}

function changed() {
  const [task] = tasks;
  if (!task) return;
  insists = false;
  const text = $("review-answer").value.trim();
  $("review-name").textContent = task.kind === "mark" ? (mark(text) ?? "") : (task.names[text] ?? "");
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !tasks.length) return;
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const plain = { Enter: accept, Tab: skip, Delete: unreadable, E: empty, U: back }[key];
  const place = LETTERS.indexOf(key);
  if (key === "Tab" && event.shiftKey) return; // the way out for the keyboard
  if (key === "Escape") return $("review-accept").focus();
  if (plain) run(plain);
  else if (key in PAN) view.pan(...PAN[key]);
  else if (key in ZOOM) ZOOM[key]();
  else if (key.length === 1 && place >= 0) run(() => pick(place));
  else if (key === "Backspace") run(() => type(null));
  else if (key.length === 1) run(() => type(event.key));
  else return;
  event.preventDefault();
}

/** Write a character as the input would: over what is selected, or after the rest; null takes the last one away. */
function type(character) {
  const input = $("review-answer");
  if (!tasks.length || input.readOnly) return;
  const whole = input.selectionEnd - input.selectionStart === input.value.length;
  if (character === null) input.value = input.value.slice(0, -1);
  else input.value = whole ? character : input.value + character;
  input.setSelectionRange(input.value.length, input.value.length);
  changed();
}

function accept() {
  const [task] = tasks;
  if (!task) return;
  const text = $("review-answer").value.trim();
  if (text) return settle(text, "read");
  const untouched = text === task.text && task.status !== "empty";
  return settle("", untouched ? "unreadable" : "empty");
}

const me = () => clerk ?? $("review-clerk").placeholder;
const pick = (place) => tasks[0]?.alternatives[place] !== undefined && choose(tasks[0].alternatives[place]);
const choose = (text) => tasks.length && settle(text, "read");
const unreadable = () => tasks.length && settle("", "unreadable");
const empty = () => tasks.length && settle("", "empty");

async function skip() {
  if (!tasks.length) return;
  skipped.push(tasks[0].field);
  await following();
}

/** Decide the field that is shown; the next one is shown once the decision is saved. */
async function settle(text, status) {
  const [{ field }] = tasks;
  const seconds = Math.round(performance.now() - began) / 1000;
  const key = `${field}-${crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`}`;
  const decision = { clerk: me(), field, text, status, key: key.slice(0, 64), seconds, insists };
  localStorage.setItem(PENDING, JSON.stringify(decision));
  if (!(await send(decision))) return;
  settled.add(field);
  await following();
}

async function following() {
  tasks = tasks.slice(1);
  const waiting = fill();
  if (!tasks.length) await waiting;
  show();
}

/** Send a decision until it is saved; return whether the field is done with. */
async function send(decision) {
  try {
    decisions += 1;
    report(await insist(() => decide(decision)));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status !== 409) {
      localStorage.removeItem(PENDING);
      if (tasks[0]?.field !== decision.field) return true;
      insists = true;
      trouble(error.message);
      return false;
    }
  }
  localStorage.removeItem(PENDING);
  return true;
}

async function back() {
  if (last === null) return;
  decisions += 1;
  const told = await insist(() => undo({ clerk: me(), key: last }));
  report(told);
  if (!told.task) return trouble("Another clerk has this field now.");
  settled.delete(told.task.field);
  tasks = [told.task, ...tasks.filter(({ field }) => field !== told.task.field)];
  show();
}

function trouble(words) {
  $("review-trouble").hidden = !words;
  $("review-trouble").textContent = words;
}
