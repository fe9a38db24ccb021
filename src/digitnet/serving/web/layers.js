// What the network saw, and what its layers made of it.

import { make, percent, pixels } from "./words.js";

const element = (id) => document.getElementById(id);

/**
 * Show a network's inside. Without one, what is there stays until it comes; without a model, too, it goes.
 * Layers are painted only while their disclosure is open.
 */
export function showInside(network, model) {
  if (network || !model) pixels(element("seen"), network?.image ?? Array(28 * 28).fill(0), 28);
  if (network) last = { network, model };
  else if (!model) last = null;
  paint();
}

let last = null;
element("layers").addEventListener("toggle", paint);

function paint() {
  element("layers-empty").hidden = Boolean(last);
  element("layers-body").hidden = !last;
  if (!last || !element("layers").open) return;
  const { network, model } = last;
  element("layers-body").replaceChildren(
    ...network.layers.map((maps, place) => layer(maps, place, model)),
    make("div", { className: "two" }, hidden(network.hidden), deciding(network)),
  );
}

const ORDER = ["First", "Second", "Third", "Fourth", "Fifth", "Sixth"];
const STRONGEST = 10; // hidden units that are shown

function layer({ channels, height, width, maps }, place, model) {
  const size = `${channels} filters, ${height} × ${width}`;
  const label = `${model}, ${size}: white is where a filter responds most`;
  const grid = make("div", { className: "maps", aria: { role: "img", label } });
  grid.append(...maps.map((map) => pixels(document.createElement("canvas"), map, width)));
  return make(
    "section",
    { className: "layer" },
    make("h3", {}, `${ORDER[place]} layer `, make("span", { className: "muted", textContent: size })),
    grid,
  );
}

function hidden({ units, strongest }) {
  const rows = strongest.slice(0, STRONGEST).map(({ index, value }) => {
    const bar = make("span", { className: "bar" });
    bar.style.width = `${(100 * value) / strongest[0].value}%`;
    return make(
      "li",
      {},
      make("span", { textContent: `unit ${index}` }),
      make("span", { className: "track" }, bar),
      make("span", { className: "value", textContent: value.toFixed(1) }),
    );
  });
  const awake = `${strongest.length} of ${units} active`;
  return make(
    "section",
    { className: "layer" },
    make("h3", {}, "Hidden units ", make("span", { className: "muted", textContent: awake })),
    make("ol", { className: "units" }, ...rows),
  );
}

/** The ink that was needed, orange over the picture. Where covering helps, below 0, nothing is shown. */
function deciding({ image, occlusion }) {
  const most = Math.max(...occlusion, 1);
  const label = "The pixels that lower the probability most when covered";
  const canvas = make("canvas", { className: "heat", aria: { role: "img", label } });
  pixels(canvas, image, 28, (value, i) => {
    const heat = Math.max(occlusion[i], 0) / most;
    return [255, 140, 20].map((orange) => 0.8 * value * (1 - heat) + orange * heat);
  });
  const fall =
    `Covering the brightest of these squares lowers the probability by ${percent(most / 255)}. ` +
    "It shows which ink was needed, not why.";
  return make(
    "section",
    { className: "layer" },
    make("h3", { textContent: "The decisive pixels" }),
    make("div", { className: "beside" }, canvas, make("p", { className: "muted", textContent: fall })),
  );
}
