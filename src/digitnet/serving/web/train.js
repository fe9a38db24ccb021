// The Train panel: a network learns while its curves, its confusion matrix and its first filters are shown.

import { startTraining, stopTraining, trainings } from "./api.js";
import { pause } from "./timing.js";
import { make, pixels, svg } from "./words.js";

const OFTEN = 400; // milliseconds between two looks at the server while a training runs
const [WIDE, HIGH, LEFT, FOOT] = [600, 190, 62, 22]; // of a chart and its margins, in its own units

const element = (id) => document.getElementById(id);

export function startTrain() {
  let all = [];
  let chosen = null; // the number of the training that is shown; null for the newest
  let following = false;

  async function follow() {
    if (following) return;
    following = true;
    do {
      await ask(trainings);
      if (isRunning()) await pause(OFTEN);
    } while (isRunning());
    following = false;
  }

  const isRunning = () => all.at(-1)?.state === "running";

  async function ask(call, ...given) {
    try {
      ({ trainings: all } = await call(...given));
      trouble("");
    } catch (problem) {
      trouble(problem.message);
      await pause(OFTEN);
    }
    show();
  }

  function show() {
    const one = all.find(({ number }) => number === chosen) ?? all.at(-1);
    element("train-start").disabled = isRunning();
    element("train-stop").disabled = !isRunning();
    element("train-status").textContent = one ? told(one) : "The recipe quick learns from 54,000 digits, once each.";
    element("train-runs").replaceChildren(...all.map((each) => button(each, each === one)));
    if (!one) return;
    element("train-curves").replaceChildren(
      chart("Accuracy on 1,000 validation digits", "accuracy", all, one, (value) => `${(100 * value).toFixed(1)}%`, 1),
      chart("Loss on the same digits", "loss", all, one, (value) => value.toFixed(2)),
    );
    element("train-latest").replaceChildren(
      ...(one.confusion
        ? [
            make("h3", { textContent: "True digits in rows, predicted digits in columns" }),
            matrix(one.confusion, one.about.classes),
            make("h3", { textContent: "The filters of the first layer" }),
            make("div", { className: "filters", aria: { role: "img", label: `${one.filters.length} filters; white is positive` } }, ...one.filters.map(filter)),
          ]
        : []),
    );
  }

  function button(training, pressed) {
    const made = make("button", { type: "button", textContent: named(training), aria: { pressed } });
    made.addEventListener("click", () => {
      chosen = training.number;
      show();
      element("train-runs").querySelector("[aria-pressed=true]").focus();
    });
    return made;
  }

  element("train-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    chosen = null;
    await ask(startTraining, Object.fromEntries(new FormData(element("train-form"))));
    follow();
  });
  element("train-stop").addEventListener("click", () => ask(stopTraining));
  follow();
}

function trouble(message) {
  element("train-trouble").hidden = !message;
  element("train-trouble").textContent = message;
}

const named = ({ number, rate, seed }) => `${number}: rate × ${rate}, seed ${seed}`;

function told({ state, about, curve, scores, message }) {
  const last = curve.at(-1);
  if (state === "failed") return `It failed: ${message}.`;
  if (!last) return "Loading the digits …";
  const reached = `${(100 * last.accuracy).toFixed(1)}% after ${last.step} of ${about.steps} steps`;
  if (state === "running") return `Learning: ${reached}.`;
  if (state === "stopped") return `Stopped: ${reached}.`;
  return `${about.run}: ${(100 * scores.accuracy).toFixed(2)}% of ${scores.n.toLocaleString("en")} test digits, ${scores.errors} errors.`;
}

/** Values of all trainings by their step, the chosen one above the others. most: the axis's end, or by the values. */
function chart(title, name, all, one, write, most) {
  const steps = Math.max(...all.map(({ about }) => about.steps ?? 1));
  const top = most ?? Math.min(Math.max(...all.flatMap(({ curve }) => curve.map((point) => point[name])), 0.1), 5);
  const x = (step) => LEFT + ((WIDE - LEFT - 10) * step) / steps;
  const y = (value) => HIGH - FOOT - ((HIGH - FOOT - 10) * Math.min(value, top)) / top;
  const line = (training) =>
    svg("polyline", {
      class: training === one ? "chosen" : "",
      points: training.curve.map((point) => `${x(point.step).toFixed(1)},${y(point[name]).toFixed(1)}`).join(" "),
    });
  const levels = [0, 0.5, 1].flatMap((share) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDE - 10, y1: y(share * top), y2: y(share * top) }),
    svg("text", { x: LEFT - 6, y: y(share * top) + 4, "text-anchor": "end" }, write(share * top).replace(".0%", "%")),
  ]);
  const last = one.curve.at(-1);
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}: ${last ? write(last[name]) : "not known yet"}` },
    ...levels,
    svg("text", { x: WIDE - 10, y: HIGH - 6, "text-anchor": "end" }, `${steps} steps`),
    ...all.filter((each) => each !== one).map(line),
    line(one),
    ...(last ? [svg("circle", { cx: x(last.step), cy: y(last[name]), r: 4 })] : []),
  );
  return make("figure", { className: "chart" }, make("figcaption", { textContent: last ? `${title}: ${write(last[name])}` : title }), picture);
}

function matrix(confusion, names) {
  const most = Math.max(...confusion.flatMap((row, y) => row.filter((_, x) => x !== y)), 1);
  const cell = (count, y, x, all) => {
    const made = make("td", { className: x === y ? "right" : "wrong", textContent: count || "" });
    made.style.setProperty("--strength", `${Math.round(count && (x === y ? (35 * count) / all : 10 + (35 * count) / most))}%`);
    return made;
  };
  return make(
    "table",
    { className: "confusion live" },
    make("thead", {}, make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col", textContent: name })))),
    make(
      "tbody",
      {},
      ...confusion.map((row, y) => {
        const all = row.reduce((sum, count) => sum + count, 0) || 1;
        return make("tr", {}, make("th", { scope: "row", textContent: names[y] }), ...row.map((count, x) => cell(count, y, x, all)));
      }),
    ),
  );
}

/** Weights as greys: black is the most negative, white the most positive. */
function filter(weights) {
  const most = Math.max(...weights.map(Math.abs), 1e-9);
  return pixels(make("canvas"), weights.map((weight) => 127.5 + (127.5 * weight) / most), Math.sqrt(weights.length));
}
