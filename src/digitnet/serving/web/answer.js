// What is said of a drawing: the number, how sure that is, eleven bars, and why it may be doubted.
// A network alone says it where one was asked for and there is one digit; else the reader.

import { pill, showBars } from "./bars.js";
import { NO_DIGIT, shares, verdict } from "./verdict.js";
import { grade, make, percent, sentence } from "./words.js";

const element = (id) => document.getElementById(id);
const SETTLED = 700; // milliseconds without a new answer before it is read out: a screen reader must keep up

/** The digit at a place; the last one for null. */
export const at = (digits, place) => digits[Math.min(place ?? Infinity, digits.length - 1)];

/** answer: {by, network, page, digits, look}, page null where not asked; null for an empty paper. settled: no stroke goes on. */
export function showAnswer(answer, chosen, choose, teacher, settled) {
  trouble(null);
  const said = withSigns(say(answer, chosen, choose), answer, teacher);
  element("who").textContent = said.who;
  element("answer").toggleAttribute("data-empty", !answer);
  const focused = element("answer").contains(document.activeElement);
  element("answer").replaceChildren(...said.big);
  if (focused) element("answer").querySelector("[aria-pressed=true]")?.focus();
  element("grade").replaceChildren(...(said.grade ? [pill(said.grade)] : []));
  element("note").textContent = said.note ?? "";
  element("bars-label").textContent = said.about ?? "Probability of each digit";
  showBars(element("bars"), said.shares, teacher.names, said.best);
  announce(settled ? said.spoken : null);
}

/** What is said, or the sign that the drawing shows: only a drawing of at most one digit can be one. */
function withSigns(said, answer, teacher) {
  if (!answer || !teacher.names.length || answer.digits.length > 1) return said;
  const all = teacher.with(said.shares, answer.look.hidden);
  const { best, sure, grade: graded, big } = verdict(all, teacher.names);
  if (best <= NO_DIGIT) return { ...said, shares: all };
  const spoken = `${big}, ${graded.word}, ${percent(sure)}`;
  return { ...said, who: "Your sign", big: [big], grade: graded, note: "", shares: all, best, spoken };
}

function say(answer, chosen, choose) {
  if (!answer) return { who: "Result", big: ["–"], shares: Array(11).fill(0), spoken: "" };
  if (isAlone(answer)) return ofNetwork(answer);
  return answer.digits.length ? ofReader(answer, chosen, choose) : ofNothing();
}

/** Say what went wrong; the last answer stays, and is seen to be old. */
export const showTrouble = (problem) => trouble(problem.message);

function trouble(message) {
  element("draw-trouble").hidden = !message;
  if (element("draw-trouble").textContent !== (message ?? "")) element("draw-trouble").textContent = message ?? "";
  element("answer-card").toggleAttribute("data-stale", Boolean(message));
}

/** Whether an answer is that there is no digit. */
export const isNothing = (answer) =>
  isAlone(answer) ? verdict(sharesOf(answer)).best === NO_DIGIT : answer.digits.length === 0;

const isAlone = ({ by, digits }) => by !== "reader" && digits.length < 2;

const sharesOf = ({ look, network }) => shares(look.probs, look.digitness, network.about?.threshold);

const ofNothing = () => ({
  who: "The reader",
  big: ["?"],
  grade: { name: "guess", icon: "✕", word: "No digit" },
  note: "Nothing here looks like a digit yet.",
  shares: [...Array(10).fill(0), 1],
  spoken: "no digit",
});

function ofNetwork(answer) {
  const { look, network, page } = answer;
  const all = sharesOf(answer);
  const { best, sure, grade: said, big } = verdict(all);
  const digit = look.probs.indexOf(Math.max(...look.probs));
  const differs = page && page.text !== String(digit);
  const other =
    differs &&
    (page.text ? `The reader reads ${page.text} (${percent(page.confidence)}).` : "The reader finds no digit.");
  return {
    who: `${network.name} alone`,
    big: [big],
    grade: said,
    note: best === NO_DIGIT ? `Most similar digit: ${digit}.` : other || "",
    shares: all,
    best,
    spoken: best === NO_DIGIT ? "not a digit" : `${digit}, ${said.word}, ${percent(sure)}`,
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
    big: lines(text, numbers).map((line) => make("div", {}, ...line.flatMap(spell))),
    grade: { ...grade(confidence), sure: confidence },
    note: [instead(numbers), ...advice].join(" "),
    shares: digits.length > 1 ? spread(one) : alone(numbers[0], one),
    best: one.value,
    about:
      digits.length > 1
        ? `Probability of each digit, at place ${digits.indexOf(one) + 1} of ${digits.length}`
        : undefined,
    spoken: `${text.replaceAll("\n", ", ")}, ${grade(confidence).word}, ${percent(confidence)}`,
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

/** The numbers of each line of a text. */
function lines(text, numbers) {
  let next = 0;
  return text.split("\n").map((line) => numbers.slice(next, (next += line.split(" ").length)));
}

/** The shares of one digit of several; what is left is none of the digits worth telling. */
function spread({ value, probability, alternatives }) {
  const all = Array(11).fill(0);
  all[value] = probability;
  for (const other of alternatives) all[other.value] = other.probability;
  return withRest(all);
}

/** The shares of a number that is one digit, as sure as the number is: so that bar and pill say the same. */
function alone({ confidence, alternatives }, { value }) {
  const all = Array(11).fill(0);
  all[value] = confidence;
  for (const other of alternatives) if (/^[0-9]$/.test(other.text)) all[other.text] = other.confidence;
  return withRest(all);
}

function withRest(all) {
  all[NO_DIGIT] = Math.max(0, 1 - all.reduce((sum, share) => sum + share, 0));
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

let timer;

function announce(words) {
  clearTimeout(timer);
  if (words !== null) timer = setTimeout(() => (element("spoken").textContent = words), SETTLED);
}
