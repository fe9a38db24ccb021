// The Draw panel: the answer follows the pen. One look is in flight at a time, and the newest drawing is next.

import { inside, models, read } from "./api.js";
import { showAnswer, showTrouble } from "./answer.js";
import { Pad } from "./pad.js";
import { WHOLE, asFile } from "./picture.js";

const TALL = 280; // pixels of the whole paper in what is sent: a digit half as high still has seven times the frame's
const MARGIN = 6; // pixels kept around a digit that is cut out of a number
const REST = 80; // milliseconds without a new point before the network is looked into: answers come first

const element = (id) => document.getElementById(id);

export function startDraw() {
  const pad = new Pad(element("pad"), changed);
  let strong = "strong"; // the network that the reader asks about single digits
  let alone = true; // whether the drawing, as it was before anything was broken, is one digit
  let chosen = null; // which of several digits is looked into; null for the last
  let last = null; // the answer that is shown

  const follow = newestOnly(async () => {
    const { version, changed: when } = pad;
    show(pad.strokes.length ? await look() : null);
    if (version === pad.version)
      onceShown(() => (document.documentElement.dataset.latency = (performance.now() - when).toFixed(1)));
  });

  const followInside = newestOnly(async () => {
    while (performance.now() - pad.changed < REST) await new Promise((done) => setTimeout(done, REST));
    const answer = last;
    if (!answer || answer.network) return;
    const network = await inside(answer.picture(chosen), answer.model);
    if (last === answer) show({ ...answer, network });
  });

  function changed() {
    element("undo").disabled = element("clear").disabled = !pad.strokes.length;
    element("pad-hint").hidden = pad.strokes.length > 0;
    follow();
  }

  function show(answer) {
    last = answer;
    if (!answer) chosen = null;
    showAnswer(answer, chosen, choose);
    if (answer && !answer.network) followInside();
  }

  function choose(place) {
    chosen = place;
    show({ ...last, network: null });
  }

  /** Ask about the drawing as it is now: the reader, or a network alone where there is one digit. */
  async function look() {
    const paper = pad.copy(document.createElement("canvas"), TALL);
    const picture = asFile(paper);
    const by = element("by").value;
    const broken = isBroken(pad.broken);
    // Noise may look like digits to the reader: for a network, what was one digit is broken as one digit.
    const skip = by !== "reader" && alone && broken;
    const [page, early] = await Promise.all([
      skip ? null : read(picture).then(({ pages }) => pages[0]),
      by !== "reader" && alone ? inside(picture, by) : null,
    ]);
    const digits = page?.numbers.flatMap((number) => number.digits) ?? [];
    const one = digits.length < 2;
    if (!broken) alone = one;
    const answer = { by, model: by === "reader" ? strong : by, page, digits, network: one ? early : null };
    answer.picture = (place) => (one ? picture : cut(paper, at(digits, place).box));
    if (by !== "reader" && one) answer.network ??= await inside(picture, by);
    return answer;
  }

  element("undo").addEventListener("click", () => pad.undo());
  element("clear").addEventListener("click", () => {
    pad.clear();
    element("pad").focus();
  });
  element("pen").addEventListener("input", ({ target }) => (pad.pen = Number(target.value)));
  element("by").addEventListener("change", () => pad.break({}));
  models().then((said) => {
    strong = said.reading.digits.name;
    element("by").append(
      ...said.models
        .map(({ name }) => name)
        .filter((name) => name !== said.reading.line.name)
        .map(option),
    );
  }, showTrouble);
  samples(pad);
  breaking(pad);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog, #pad");
    if (!element("draw").hidden && !typing && event.key === "z" && (event.ctrlKey || event.metaKey)) pad.undo();
  });
}

/** A function that does the work, never twice at a time, and once more if it was called meanwhile. */
function newestOnly(work) {
  let busy = false;
  let again = false;
  return async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await work().catch(showTrouble);
    }
    busy = false;
  };
}

/** Call once what has been changed is on the screen: after the frame that shows it. */
const onceShown = (call) => requestAnimationFrame(() => setTimeout(call));

export const at = (digits, place) => digits[Math.min(place ?? Infinity, digits.length - 1)];

const isBroken = ({ noise, turn, thick, invert }) => noise > 0 || turn !== 0 || thick !== 1 || invert;

/** A digit cut out of a number, with some paper around: its neighbours' ink stays outside. */
function cut(paper, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const part = document.createElement("canvas");
  Object.assign(part, { width: width + 2 * MARGIN, height: height + 2 * MARGIN });
  const context = part.getContext("2d", { willReadFrequently: true });
  context.fillStyle = `rgb(${paper.getContext("2d").getImageData(0, 0, 1, 1).data.slice(0, 3).join()})`;
  context.fillRect(0, 0, part.width, part.height);
  context.drawImage(paper, left, top, width, height, MARGIN, MARGIN, width, height);
  return asFile(part);
}

const option = (name) =>
  new Option(name === "digitnet" ? "digitnet (the tutorial's network) alone" : `${name} alone`, name);

function samples(pad) {
  for (let digit = 0; digit < 10; digit++) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
    button.setAttribute("aria-label", `Write a ${digit}`);
    button.addEventListener("click", () => pad.write(digit));
    element("samples").append(button);
  }
}

function breaking(pad) {
  const [noise, turn, thick, invert] = ["noise", "turn", "thick", "invert"].map(element);

  function follow() {
    const times = 2 ** (thick.value / 5); // a quarter to four times
    element("noise-out").value = `${noise.value}%`;
    element("turn-out").value = `${turn.value}°`;
    element("thick-out").value = `× ${times.toFixed(1)}`;
    const how = { noise: noise.value / 100, turn: Number(turn.value), thick: times, invert: invert.checked };
    element("mend").disabled = !isBroken(how);
    pad.break(how);
  }

  for (const input of [noise, turn, thick, invert]) input.addEventListener("input", follow);
  element("mend").addEventListener("click", () => {
    noise.value = turn.value = thick.value = 0;
    invert.checked = WHOLE.invert;
    follow();
    noise.focus();
  });
}
