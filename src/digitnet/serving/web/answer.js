// What is said of a drawing: the number, how sure that is, ten bars, and why it may be doubted.
// A network alone says it where one was asked for and there is one digit; else the reader.

import { at } from "./draw.js";
import { showInside } from "./layers.js";
import { grade, make, percent, sentence } from "./words.js";

const element = (id) => document.getElementById(id);
const SETTLED = 700; // milliseconds without a new answer before it is read out: a screen reader must keep up

/** answer: {by, model, page, digits, network}, page and network null where not asked; null for an empty paper. */
export function showAnswer(answer, chosen, choose) {
  trouble(null);
  const said = say(answer, chosen, choose);
  element("who").textContent = said.who;
  element("answer").toggleAttribute("data-empty", !answer);
  const focused = element("answer").contains(document.activeElement);
  element("answer").replaceChildren(...said.big);
  if (focused) element("answer").querySelector("[aria-pressed=true]")?.focus();
  element("grade").replaceChildren(...(said.grade ? [pill(said.grade)] : []));
  element("note").textContent = said.note ?? "";
  element("bars-label").textContent = said.about ?? "Probability of each digit";
  bars(said.probabilities);
  element("bars").toggleAttribute("data-unsaid", said.unsaid ?? false);
  showInside(answer && answer.network, answer?.model);
  announce(said.spoken);
}

function say(answer, chosen, choose) {
  if (!answer) return { who: "Result", big: ["–"], probabilities: Array(10).fill(0), spoken: "" };
  if (answer.by !== "reader" && answer.digits.length < 2) return ofNetwork(answer);
  return answer.digits.length ? ofReader(answer, chosen, choose) : ofNothing();
}

/** Say what went wrong; the last answer stays, and is seen to be old. */
export const showTrouble = (problem) => trouble(problem.message);

function trouble(message) {
  element("draw-trouble").hidden = !message;
  if (element("draw-trouble").textContent !== (message ?? "")) element("draw-trouble").textContent = message ?? "";
  element("answer-card").toggleAttribute("data-stale", Boolean(message));
}

const ofNothing = () => ({
  who: "The reader",
  big: ["?"],
  grade: { name: "guess", icon: "✕", word: "No digit" },
  note: "Nothing here looks like a digit yet.",
  probabilities: Array(10).fill(0),
  spoken: "no digit",
});

function ofNetwork({ network, model, page }) {
  const { probs: probabilities, digit, accepted } = network;
  const sure = probabilities[digit];
  const who = `${model} alone`;
  if (!accepted) {
    return {
      who,
      big: ["?"],
      grade: { name: "guess", icon: "✕", word: "Not a digit" },
      probabilities,
      unsaid: true,
      note: `Most similar digit: ${digit}, ${percent(sure)}.`,
      spoken: "not a digit",
    };
  }
  const differs = page && page.text !== String(digit);
  const other =
    differs &&
    (page.text ? `The reader reads ${page.text} (${percent(page.confidence)}).` : "The reader finds no digit.");
  return {
    who,
    big: [String(digit)],
    grade: { ...grade(sure), sure },
    note: other || "",
    probabilities,
    spoken: `${digit}, ${grade(sure).word}, ${percent(sure)}`,
  };
}

function ofReader({ page: { text, confidence, numbers }, digits }, chosen, choose) {
  const one = at(digits, chosen);
  const advice = new Set(numbers.flatMap(({ reasons }) => reasons.map((reason) => sentence(reason.advice))));
  const spell = (number, i) => [
    ...(i ? [" "] : []),
    ...number.digits.map((digit) =>
      digits.length > 1 ? button(digit, digits.indexOf(digit), digit === one, choose) : String(digit.value),
    ),
  ];
  return {
    who: "The reader",
    big: numbers.flatMap(spell),
    grade: { ...grade(confidence), sure: confidence },
    note: [instead(numbers), ...advice].join(" "),
    probabilities: spread(one),
    about:
      digits.length > 1
        ? `Probability of each digit, at place ${digits.indexOf(one) + 1} of ${digits.length}`
        : undefined,
    spoken: `${text}, ${grade(confidence).word}, ${percent(confidence)}`,
  };
}

/** The next best texts of a number, where there is one number. */
function instead(numbers) {
  const others = numbers.length > 1 ? [] : numbers[0].alternatives.filter(({ confidence }) => confidence >= 0.005);
  return others.length
    ? `Or ${others
        .slice(0, 3)
        .map(({ text, confidence }) => `${text} (${percent(confidence)})`)
        .join(", ")}.`
    : "";
}

/** Ten probabilities of a digit that tells only those worth telling. */
function spread({ value, probability, alternatives }) {
  const all = Array(10).fill(0);
  all[value] = probability;
  for (const other of alternatives) all[other.value] = other.probability;
  return all;
}

function button(digit, place, pressed, choose) {
  const made = make("button", {
    type: "button",
    textContent: digit.value,
    aria: { pressed },
    title: "Inspect this digit",
    data: { grade: grade(digit.probability).name },
  });
  made.setAttribute("aria-label", `${digit.value}, ${percent(digit.probability)}: inspect this digit`);
  made.addEventListener("click", () => {
    made.focus();
    choose(place);
  });
  return made;
}

export const pill = ({ name, icon, word, sure }) =>
  make(
    "span",
    { className: "pill", data: { grade: name } },
    make("span", { textContent: icon, aria: { hidden: true } }),
    make("span", { textContent: word }),
    ...(sure === undefined ? [] : [make("b", { textContent: percent(sure) })]),
  );

function bars(probabilities) {
  const list = element("bars");
  if (!list.children.length) {
    for (let digit = 0; digit < 10; digit++) {
      list.append(
        make(
          "li",
          {},
          make("span", { className: "digit", textContent: digit }),
          make("span", { className: "track" }, make("span", { className: "bar" })),
          make("span", { className: "value" }),
        ),
      );
    }
  }
  const most = Math.max(...probabilities);
  [...list.children].forEach((row, digit) => {
    const p = probabilities[digit];
    row.toggleAttribute("data-best", p === most && p > 0);
    row.querySelector(".bar").style.height = `${100 * p}%`;
    row.querySelector(".value").textContent = p >= 0.005 ? percent(p) : "";
  });
}

let timer;

function announce(words) {
  clearTimeout(timer);
  timer = setTimeout(() => (element("spoken").textContent = words), SETTLED);
}
