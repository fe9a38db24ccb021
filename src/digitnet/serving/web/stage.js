// The middle of the stage: what the network sees, the maps of its layers, and how one value of a map comes about.

import { showArithmetic } from "./arithmetic.js";
import { pause } from "./timing.js";
import { make, pixels } from "./words.js";

const ORDER = ["First", "Second", "Third", "Fourth", "Fifth", "Sixth"];
const REST = 250; // milliseconds without a new image before it is found out which ink is needed
const BLANK = new Uint8ClampedArray(28 * 28);
const [ROW, GAP] = [456, 2]; // pixels of a row of maps on a projector, and between two of them

/** How the maps of a layer are shown: per in a row, each value times as many pixels wide and high. */
function arranged({ channels, height, width }) {
  const per = channels <= 20 ? 8 : channels <= 32 ? 16 : channels <= 48 ? 24 : 32;
  return { channels, height, width, per, times: Math.max(1, Math.round((ROW / per - GAP) / width)) };
}

/**
 * Paint all maps of a layer on one canvas: every canvas of a page takes time in each of its frames.
 * values: of the maps, one after the other; white is the largest of the layer.
 */
function tile(canvas, { channels, height, width, per, times }, values) {
  const [high, wide] = [height * times + GAP, width * times + GAP];
  const image = new ImageData(per * wide, Math.ceil(channels / per) * high);
  const { data } = image;
  const most = values.reduce((largest, value) => Math.max(largest, value), 0) || 1;
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < high - GAP; y++)
      for (let x = 0; x < wide - GAP; x++) {
        const from = (channel * height + Math.floor(y / times)) * width + Math.floor(x / times);
        const at = 4 * ((Math.floor(channel / per) * high + y) * image.width + (channel % per) * wide + x);
        data[at] = data[at + 1] = data[at + 2] = (255 * values[from]) / most;
        data[at + 3] = 255;
      }
  if (canvas.width !== image.width || canvas.height !== image.height) Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export class Stage {
  #look = null;
  #network = null;
  #timer = 0;
  #sizes = []; // of the layers, as `arranged` has them
  #chosen = null; // {layer, channel, y, x} of the value that is explained; y and x null for the largest
  #input = make("canvas", { aria: { role: "img", label: "The input of the network, 28 by 28 pixels" } });
  #seen = make("div", { className: "window", hidden: true });
  #needed = make("canvas", { aria: { role: "img", label: "The pixels that lower the probability most when covered" } });
  #layers = make("div", { className: "layers" });
  #sum = make("div", { className: "arithmetic" });

  constructor(root) {
    this.#input.id = "seen";
    root.append(
      make(
        "div",
        { className: "inputs" },
        make("figure", { className: "seen" }, make("div", { className: "framed" }, this.#input, this.#seen), make("figcaption", { textContent: "Network input" })),
        make("figure", { className: "seen" }, this.#needed, make("figcaption", { textContent: "Needed ink" })),
        this.#layersHint(),
      ),
      this.#layers,
      this.#sum,
    );
    this.show(null, null);
  }

  #layersHint() {
    return make("p", {
      className: "muted",
      textContent: "White is where a filter responds most. Select a map to see how its values are computed.",
    });
  }

  /** Show what a network made of an image, as `Network.look` returns it; null for an empty paper. */
  show(look, network) {
    this.stop();
    if (look) this.#timer = setTimeout(() => this.#findNeeded(look, network), REST);
    if (look && look === this.#look) return;
    if (network !== this.#network) {
      this.#network = network;
      this.#chosen = null;
      this.#layers.replaceChildren();
    }
    this.#look = look;
    pixels(this.#input, look?.image ?? BLANK, 28);
    this.#paintNeeded(null);
    if (look && !this.#layers.children.length) this.#build(look);
    this.#paint();
    this.#explain();
  }

  /** Find out no more which ink is needed, until something is shown again: the drawing has changed. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  async #findNeeded(look, network) {
    const timer = this.#timer;
    if (look.occlusion) return this.#paintNeeded(look.occlusion);
    for (const found of network.occlusion(look)) {
      await pause();
      if (this.#timer !== timer) return;
      if (found) this.#paintNeeded((look.occlusion = found));
    }
  }

  /** Orange over the image: the ink that the answer needs, by falls of its probability; null where it is not known. */
  #paintNeeded(occlusion) {
    const image = this.#look?.image ?? BLANK;
    const most = occlusion ? Math.max(...occlusion, 1 / 255) : 1;
    pixels(this.#needed, image, 28, (value, i) => {
      const heat = occlusion ? Math.max(occlusion[i], 0) / most : 0;
      return [255, 140, 20].map((orange) => 0.8 * value * (1 - heat) + orange * heat);
    });
  }

  #build({ layers, hidden }) {
    this.#sizes = layers.map(arranged);
    this.#layers.replaceChildren(
      ...this.#sizes.map((layer, place) => this.#grid(layer, place)),
      make(
        "section",
        { className: "layer" },
        make("h3", {}, "Hidden units ", make("span", { className: "muted", data: { awake: "" } })),
        make("canvas", { className: "units", aria: { role: "img", label: `${hidden.length} hidden units, the brighter the more active` } }),
      ),
    );
  }

  #grid({ channels, height, width, per, times }, place) {
    const maps = make("div", { className: "maps", aria: { role: "group", label: `${ORDER[place]} layer` } });
    maps.style.setProperty("--per", per);
    maps.style.setProperty("--shape", `${width * times + GAP} / ${height * times + GAP}`);
    for (let channel = 0; channel < channels; channel++) {
      const button = make("button", { type: "button", tabIndex: channel ? -1 : 0, aria: { pressed: false } });
      button.setAttribute("aria-label", `Filter ${channel + 1} of ${channels}`);
      button.addEventListener("click", () => this.#choose(place, channel));
      button.addEventListener("keydown", (event) => {
        const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: per, ArrowUp: -per };
        const next = maps.children[channel + (steps[event.key] ?? NaN)];
        if (!next) return;
        event.preventDefault();
        [button.tabIndex, next.tabIndex] = [-1, 0];
        next.focus();
      });
      maps.append(button);
    }
    const size = `${channels} filters, ${height} × ${width}`;
    return make(
      "section",
      { className: "layer" },
      make("h3", {}, `${ORDER[place]} layer `, make("span", { className: "muted", textContent: size })),
      make("div", { className: "framed" }, make("canvas"), maps),
    );
  }

  #paint() {
    if (!this.#layers.children.length) return;
    const sections = [...this.#layers.children];
    const { layers = [], hidden = [] } = this.#look ?? {};
    this.#sizes.forEach((layer, place) => {
      const values = layers[place]?.values ?? new Float32Array(layer.channels * layer.height * layer.width);
      tile(sections[place].querySelector("canvas"), layer, values);
    });
    const most = Math.max(...hidden, 1e-9);
    const wide = Math.ceil(hidden.length / 4) || 1;
    const cells = Array.from({ length: 4 * wide }, (_, i) => (255 * Math.max(hidden[i] ?? 0, 0)) / most);
    pixels(sections.at(-1).querySelector("canvas"), cells, wide);
    sections.at(-1).querySelector("[data-awake]").textContent = hidden.length ? `${hidden.filter((value) => value > 0).length} of ${hidden.length} active` : "";
  }

  #choose(layer, channel, y = null, x = null) {
    const again = this.#chosen?.layer === layer && this.#chosen.channel === channel && y === null;
    this.#chosen = again ? null : { layer, channel, y, x };
    this.#layers.querySelectorAll(".maps").forEach((maps, place) =>
      [...maps.children].forEach((button, at) => {
        button.setAttribute("aria-pressed", Boolean(this.#chosen) && place === layer && at === channel);
      }),
    );
    this.#explain();
  }

  #explain() {
    const chosen = this.#look && this.#chosen;
    this.#seen.hidden = !chosen || !this.#network.sees;
    if (!chosen) return this.#sum.replaceChildren();
    const layer = this.#look.layers[chosen.layer];
    const area = layer.height * layer.width;
    const map = layer.values.slice(chosen.channel * area, (chosen.channel + 1) * area);
    const best = map.indexOf(Math.max(...map));
    const [y, x] = chosen.y === null ? [Math.floor(best / layer.width), best % layer.width] : [chosen.y, chosen.x];
    if (this.#network.sees) {
      const [top, left, bottom, right] = this.#network.sees(this.#look, layer.name, y, x).map((edge) => `${(100 * edge) / 28}%`);
      Object.assign(this.#seen.style, { top, left, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
    }
    const how = this.#network.explain?.(this.#look, layer.name, chosen.channel, y, x);
    showArithmetic(this.#sum, { layer, channel: chosen.channel, map, y, x, how, first: chosen.layer === 0 }, (row, column) =>
      this.#choose(chosen.layer, chosen.channel, row, column),
    );
  }
}
