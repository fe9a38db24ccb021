// Numbers on the page without a server: the line reader reads what is on the paper whenever the pen is lifted.

import { pill } from "./bars.js";
import { HEIGHT, asInk, bounds } from "./picture.js";
import { STRIP } from "./strip.js";
import { newestOnly, onceShown } from "./timing.js";
import { grade, make, percent, pixels } from "./words.js";

const TALL = 320; // pixels of the whole paper in the picture that is read
const LOWEST = 1.5 * STRIP; // pixels of the ink at least, however low it is written: a picture is only ever scaled down
const element = (id) => document.getElementById(id);

/** A function that reads a picture as `LineReader.read` does, one at a time; it returns a promise. */
export function startReader(model, source) {
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  let last = Promise.resolve();
  const ask = (message) =>
    new Promise((done, failed) => {
      worker.onmessage = ({ data: { found, problem } }) => (problem ? failed(new Error(problem)) : done(found));
      worker.onerror = (event) => failed(new Error(event.message ?? "its thread did not start"));
      worker.postMessage(message);
    });
  worker.postMessage({ model });
  return (ink) => (last = last.catch(() => null).then(() => ask({ ink })));
}

/** The picture of the paper that is read. */
export function pictured(pad) {
  const [, top, , bottom] = bounds(pad.strokes);
  return asInk(pad.copy(document.createElement("canvas"), Math.max(TALL, (LOWEST * HEIGHT) / (bottom - top))));
}

/** What follows the pad while numbers are written on it. announce(words): has them read out; null while a stroke goes on. */
export function startNumber(pad, read, announce, failed) {
  const canvas = element("strip");

  const follow = newestOnly(async () => {
    if (pad.drawing) return announce(null);
    const { version, changed } = pad;
    const found = pad.strokes.length ? await read(pictured(pad)) : null;
    if (version !== pad.version) return;
    show(found);
    onceShown(() => (document.documentElement.dataset.latency = (performance.now() - changed).toFixed(1)));
  }, failed);

  function show(found) {
    element("strip-figure").hidden = !found;
    if (found) pixels(canvas, [...found.strip.data], found.strip.width);
    const [best, ...others] = found?.texts ?? [];
    const said = best && (best.text ? { ...grade(best.probability), sure: best.probability } : { name: "guess", icon: "✕", word: "Not a number", sure: best.probability });
    element("answer").textContent = best ? best.text || "?" : "–";
    element("answer").toggleAttribute("data-empty", !best);
    element("grade").replaceChildren(...(said ? [pill(said)] : []));
    const likely = others.filter(({ probability }) => probability >= 0.005);
    element("others-label").hidden = !likely.length;
    element("others").replaceChildren(
      ...likely.map(({ text, probability }) => make("li", {}, make("b", { textContent: text || "not a number" }), ` ${percent(probability)}`)),
    );
    announce(best ? `${best.text}, ${said.word}, ${percent(best.probability)}` : "");
  }

  return follow;
}
