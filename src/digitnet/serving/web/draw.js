// The Draw panel: the answer follows the pen. One look is in flight at a time, and the newest drawing is next.

import { address, inside, models, network as fetchNetwork, read } from "./api.js";
import { at, isNothing, showAnswer, showTrouble } from "./answer.js";
import { frame } from "./frame.js";
import { Network } from "./network.js";
import { startOwn } from "./own.js";
import { startPaper } from "./paper.js";
import { WHOLE, asFile, asInk } from "./picture.js";
import { inAddress, startShare } from "./share.js";
import { Stage } from "./stage.js";
import { newestOnly, onceShown } from "./timing.js";
import { make } from "./words.js";

const TALL = 280; // pixels of the whole paper in what is sent: a digit half as high still has seven times the frame's
const MARGIN = 6; // pixels kept around a digit that is cut out of a number
const SHARE = 0.2; // of the time, which looking may take while the drawing changes: the answer goes before the layers

const element = (id) => document.getElementById(id);

export function startDraw() {
  const stage = new Stage(element("middle"));
  const networks = new Map(); // promises, by name
  let strong = "strong"; // the network that the reader asks about single digits
  let alone = true; // whether the drawing, as it was before anything was broken, is one digit
  let chosen = null; // which of several digits is looked into; null for the last
  let asked = null; // {version, answer} of the drawing that was asked about last
  let last = null; // the answer that is shown
  let shown = -1; // the version of the drawing that it belongs to
  let rested = 0; // until when no network looks again while the drawing changes, on the clock of performance.now()
  let told = null; // the network that your own digits were last scored with

  const follow = newestOnly(async () => {
    const { version, changed, drawing } = pad;
    // Lifting the pen or teaching a sign does not change the drawing, so the last answer is kept.
    if (asked?.version !== version) asked = { version, answer: pad.strokes.length ? await ask() : null };
    const { answer } = asked;
    const decides = answer && (answer.by !== "reader" || own.teacher.names.length > 0);
    if (decides && !answer.look) await look(answer);
    // While a hand writes, what is not a digit yet is no news: the last answer stays until the pen is lifted.
    if (drawing && answer && isNothing(answer)) return;
    show(answer, !drawing);
    const news = version === pad.version && version !== shown;
    shown = version;
    onceShown(() => {
      if (news) document.documentElement.dataset.latency = (performance.now() - changed).toFixed(1);
      if (version === pad.version || performance.now() > rested) showLayers();
    });
  }, showTrouble);

  // The layers are drawn once the answer is on the screen, and while a hand writes not with each.
  const showLayers = newestOnly(async () => {
    const answer = last;
    if (!answer || answer.look) return;
    await look(answer);
    if (answer === last) showLook(answer, !pad.drawing);
  }, showTrouble);

  function show(answer, settled = true) {
    last = answer;
    if (!answer) {
      chosen = null;
      stage.show(null, null);
    }
    showAnswer(answer, chosen, choose, own.teacher, settled);
    if (answer?.look) showLook(answer, settled);
  }

  function showLook(answer, settled) {
    stage.show(answer.look, answer.network);
    if (answer.network === told) return;
    told = answer.network;
    own.retold();
    if (own.teacher.names.length) showAnswer(answer, chosen, choose, own.teacher, settled);
  }

  async function choose(place) {
    const answer = last;
    chosen = place;
    await look(answer);
    show(answer);
  }

  /** Ask about the drawing as it is now: the reader, or a network alone where there is one digit. */
  async function ask() {
    const paper = pad.copy(document.createElement("canvas"), TALL);
    const by = element("by").value;
    const broken = isBroken(pad.broken);
    // Noise may look like digits to the reader: for a network, what was one digit is broken as one digit.
    const skip = by !== "reader" && alone && broken;
    const page = skip ? null : (await read(asFile(paper))).pages[0];
    const digits = page?.numbers.flatMap((number) => number.digits) ?? [];
    const one = digits.length < 2;
    if (!broken) alone = one;
    const framed = () => frame(asInk(one ? paper : cut(paper, at(digits, chosen).box)));
    return { by, page, digits, framed, network: null, look: null };
  }

  /** Let a network look at the digit of an answer, or at the chosen one of several. */
  async function look(answer) {
    answer.network = await networkOf(answer.by === "reader" ? strong : answer.by);
    const began = performance.now();
    answer.look = await answer.network.look(answer.framed());
    const now = performance.now();
    rested = now + (now - began) * (1 / SHARE - 1);
  }

  function networkOf(name) {
    if (!networks.has(name)) {
      const opened = fetchNetwork(name).then((content) => new Network(content));
      networks.set(name, opened.catch((problem) => (problem.status === undefined ? remote(name) : Promise.reject(problem))));
      networks.get(name).catch(() => networks.delete(name)); // so that a server that comes back is asked again
    }
    return networks.get(name);
  }

  const own = startOwn(element("own-body"), () => ({ network: told, image: () => last?.framed() }), () => follow());
  const pad = startPaper(() => {
    stage.stop();
    follow();
  });
  element("clear").addEventListener("click", () => element("mend").click());
  element("by").addEventListener("change", () => pad.break({}));
  models().then((said) => {
    strong = said.reading.digits.name;
    if (said.features.share) showAddress(element("share-body"));
    element("by").append(
      ...said.models
        .map(({ name }) => name)
        .filter((name) => name !== said.reading.line.name)
        .map(option),
    );
  }, showTrouble);
  breaking(pad);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog, #pad");
    if (!element("draw").hidden && !typing && event.key === "z" && (event.ctrlKey || event.metaKey)) pad.undo();
  });
  if (inAddress("strokes") === null) pad.demonstrate(Math.floor(10 * Math.random()));
  startShare(element("share-body"), pad, () => element("spoken").textContent || "no digit");
}

/** The address for the other devices of a room, where the service listens to them. */
async function showAddress(root) {
  const { url, svg } = await address();
  const image = make("img", { src: `data:image/svg+xml,${encodeURIComponent(svg)}`, alt: `QR code of ${url}` });
  root.append(make("div", { className: "qr" }, image, make("span", {}, "For phones in the same network: ", make("a", { href: url, textContent: url.split("#")[0] }))));
}

/** A network that the page cannot run, asked on the server: its maps are shown, but not how they come about. */
const remote = (name) => ({
  name,
  async look(image) {
    const rows = Array.from({ length: 28 }, (_, y) => [...image.slice(28 * y, 28 * y + 28)]);
    const body = new Blob([JSON.stringify({ image: rows })], { type: "application/json" });
    const said = await inside(body, name);
    const hidden = new Float32Array(said.hidden.units);
    for (const { index, value } of said.hidden.strongest) hidden[index] = value;
    const layers = said.layers.map(({ maps, ...layer }) => ({ ...layer, values: Float32Array.from(maps.flat()) }));
    return { ...said, image, hidden, layers };
  },
});

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
  return part;
}

const option = (name) =>
  new Option(name === "digitnet" ? "digitnet (the tutorial's network) alone" : `${name} alone`, name);

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
  });
}
