// The Look inside panel: a trained model's report, and the digits behind each number of it.

import { models, report } from "./api.js";
import { make, percent, pixels } from "./words.js";

const MOST = 24; // digits shown of all mistakes together
const body = document.getElementById("report-body");

export async function startReport() {
  try {
    body.replaceChildren(...shown(await report()));
  } catch (problem) {
    body.replaceChildren(
      ...(problem.status === 404 ? [...(await builtIn()), ...how()] : [make("p", { className: "trouble", textContent: problem.message })]),
    );
  }
}

/** What is known of the models that the service has: their scores on the test digits that they had never seen. */
async function builtIn() {
  const known = (await models()).models.filter(({ test }) => test);
  return known.map(({ name, recipe, test: { accuracy, interval, n, errors } }) =>
    make(
      "section",
      { className: "card model" },
      make("h3", {}, name, make("span", { className: "muted", textContent: ` recipe ${recipe}` })),
      facts({ run: name, accuracy, interval, n, errors }),
    ),
  );
}

function facts({ run, accuracy, interval, n, errors }) {
  const share = (p) => `${(100 * p).toFixed(2)}%`;
  const fact = (value, words) => make("div", {}, make("b", { textContent: value }), words);
  return make(
    "div",
    { className: "facts" },
    fact(share(accuracy), `of ${n.toLocaleString("en")} digits that ${run} had never seen`),
    fact(interval.map(share).join(" to "), "95% interval of the accuracy"),
    fact(errors.toLocaleString("en"), "read wrong"),
  );
}

function how() {
  const code = (textContent) => make("pre", {}, make("code", { textContent, tabIndex: 0 }));
  return [
    make(
      "div",
      { className: "card how" },
      make("p", { textContent: "To see the errors of a network of your own, train it and serve its report:" }),
      code("digitnet train --recipe quick"),
      code("digitnet serve --report run/quick-1"),
      make("p", {
        className: "muted",
        textContent:
          "Training takes seconds. This page then shows every error on 10,000 digits that the network has never seen.",
      }),
    ),
  ];
}

function shown({ run, accuracy, interval, n, errors, confusion, wrong, classes }) {
  const names = classes ?? confusion.map((_, digit) => digit);
  const faces = make("div", { aria: { live: "polite" } });
  const matrix = make(
    "div",
    { className: "scroll", tabIndex: 0, aria: { role: "group", label: "Confusion matrix" } },
    table(confusion, names, (...cell) => {
      faces.replaceChildren(...gallery(wrong, confusion, names, ...cell));
    }),
  );
  faces.replaceChildren(...gallery(wrong, confusion, names));
  return [
    facts({ run, accuracy, interval, n, errors }),
    make("div", { className: "matrix" }, matrix, faces),
  ];
}

/** Rows are what a person says, columns what the network says; a mistake is a button that shows its digits. */
function table(confusion, names, choose) {
  const most = Math.max(...confusion.flatMap((row, y) => row.filter((_, x) => x !== y)), 2);
  const cell = (count, y, x) => {
    if (x === y) return make("td", { className: "right", textContent: count.toLocaleString("en") });
    if (!count) return make("td", { textContent: "·" });
    const button = make("button", { type: "button", textContent: count, aria: { pressed: false } });
    button.setAttribute("aria-label", `${count} of ${names[y]} read as ${names[x]}: show`);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") === "false";
      for (const other of body.querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", false);
      button.setAttribute("aria-pressed", on);
      choose(...(on ? [y, x] : []));
    });
    const made = make("td", { data: { wrong: "" } }, button);
    const strength = Math.round(12 + (30 * Math.log(count)) / Math.log(most));
    made.style.background = `color-mix(in oklab, var(--accent) ${strength}%, var(--card))`;
    return made;
  };
  return make(
    "table",
    { className: "confusion" },
    make("caption", { textContent: "True digits in rows, predicted digits in columns. Select an error to see its digits." }),
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("td", { className: "right" }),
        ...names.map((name) => make("th", { scope: "col", textContent: name })),
      ),
    ),
    make(
      "tbody",
      {},
      ...confusion.map((row, y) =>
        make("tr", {}, make("th", { scope: "row", textContent: names[y] }), ...row.map((count, x) => cell(count, y, x))),
      ),
    ),
  );
}

/** The digits of one mistake, or the surest ones of all. */
function gallery(wrong, confusion, names, y, x) {
  if (!wrong)
    return [
      make("p", {
        className: "muted",
        textContent: "This run did not store its misread digits; train it again to see them.",
      }),
    ];
  const all = y === undefined;
  const some = all ? wrong.slice(0, MOST) : wrong.filter((each) => each.true === y && each.predicted === x);
  const kept = all || some.length === confusion[y][x] ? "" : `, the ${some.length} most confident of ${confusion[y][x]}`;
  return [
    make("h3", { textContent: all ? "The most confident errors" : `${names[y]} read as ${names[x]}${kept}` }),
    make("div", { className: "faces" }, ...some.map((each) => face(each, names))),
  ];
}

function face({ true: label, predicted: answer, probability, image }, names) {
  const [is, predicted] = [names[label], names[answer]];
  const canvas = make("canvas", {
    aria: { role: "img", label: `A ${is} read as ${predicted}, confidence ${percent(probability)}` },
  });
  return make(
    "figure",
    {},
    pixels(canvas, image, 28),
    make("figcaption", { textContent: `${is}, read as ${predicted}: ${percent(probability)}`, aria: { hidden: true } }),
  );
}
