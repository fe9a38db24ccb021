// The page without a server: draw a digit, and the network that lies in this file reads it.

import { pill, showBars } from "./bars.js";
import { frame } from "./frame.js";
import { Network } from "./network.js";
import { pictured, startNumber, startReader } from "./number.js";
import { startOwn } from "./own.js";
import { startPaper } from "./paper.js";
import { asInk } from "./picture.js";
import { inAddress, startShare } from "./share.js";
import { Stage } from "./stage.js";
import { strip } from "./strip.js";
import { startTheme } from "./theme.js";
import { onceShown } from "./timing.js";
import { NO_DIGIT, shares, verdict } from "./verdict.js";
import { percent } from "./words.js";

const TALL = 160; // pixels of the whole paper in the picture that is framed
const PENS = { digit: 34, number: 18 };
const SETTLED = 700; // milliseconds without a new answer before it is read out: a screen reader must keep up
const element = (id) => document.getElementById(id);

/** content: of the network. reader: {model, source} of the line reader and its thread; null where it is not here. */
export function start(content, reader) {
  const network = new Network(content);
  const stage = new Stage(element("middle"));
  const canvas = document.createElement("canvas");
  let now = null; // what the network makes of the drawing
  let seen = -1; // the version of the drawing that it looked at
  let shown = -1; // and that of the answer
  let words = ""; // what is said of it

  function follow() {
    if (document.body.dataset.mode === "number") return number();
    const { version, changed, drawing } = pad;
    if (version !== seen) now = pad.strokes.length ? network.look(frame(asInk(pad.copy(canvas, TALL)))) : null;
    seen = version;
    const plain = now ? shares(now.probs, now.digitness, network.about.threshold) : Array(11).fill(0);
    const bars = now ? own.teacher.with(plain, now.hidden) : plain;
    const said = now && verdict(bars, own.teacher.names);
    words = said ? `${said.big}, ${said.grade.word}, ${percent(said.sure)}` : "";
    stage.show(now, network);
    // While a hand writes, what is not a digit yet is no news.
    if (drawing && said?.best === NO_DIGIT) return;
    element("answer").textContent = said?.big ?? "–";
    element("answer").toggleAttribute("data-empty", !now);
    element("grade").replaceChildren(...(said ? [pill(said.grade)] : []));
    showBars(element("bars"), bars, own.teacher.names);
    announce(drawing ? null : words);
    if (version !== shown)
      onceShown(() => (document.documentElement.dataset.latency = (performance.now() - changed).toFixed(1)));
    shown = version;
  }

  const own = startOwn(element("own-body"), () => ({ network, image: () => now?.image }), () => follow());
  const pad = startPaper(follow);
  const read = reader && startReader(reader.model, reader.source);
  const number = read && startNumber(pad, read, announce, showTrouble);
  if (read) startModes(pad);
  element("about").textContent = `The network ${network.name}${read ? " and the line reader" : ""}, in this page alone`;
  showBars(element("bars"), Array(11).fill(0));
  if (inAddress("strokes") === null) pad.demonstrate(Math.floor(10 * Math.random()));
  startShare(element("share-body"), pad, () => words);
  own.retold();
  window.digitnet = Object.assign(network, { frame, strip, read, picture: () => pictured(pad) }); // for the console, and for the tests
}

/** Let a reader choose between a digit and a number on the paper. */
function startModes(pad) {
  const buttons = [...element("modes").children];
  element("modes").hidden = false;
  for (const button of buttons)
    button.addEventListener("click", () => {
      const { mode } = button.dataset;
      for (const each of buttons) each.setAttribute("aria-pressed", each === button);
      document.body.dataset.mode = mode;
      element("task").textContent = element("pad-hint").textContent = mode === "number" ? "Write a number" : "Draw a digit";
      pad.pen = element("pen").value = PENS[mode];
      pad.fit();
      pad.clear();
    });
}

let timer;

function announce(words) {
  clearTimeout(timer);
  if (words !== null) timer = setTimeout(() => (element("spoken").textContent = words), SETTLED);
}

const showTrouble = (problem) => {
  element("trouble").hidden = false;
  element("trouble").textContent = `This page cannot run its network: ${problem.message}.`;
};

startTheme(element("theme"));
const bytes = (id) => Uint8Array.from(atob(element(id).textContent), (letter) => letter.charCodeAt(0));
try {
  start(bytes("model"), element("line") && { model: bytes("line"), source: element("thread").textContent });
} catch (problem) {
  showTrouble(problem);
  throw problem;
}
