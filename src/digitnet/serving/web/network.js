// A digit network that runs in the page: its answer, what its layers make of a digit, and how each value comes about.

import { Model } from "./model.js";
import { windows } from "./operators.js";

const WINDOW = 6; // as `digitnet.models.inspection`: the side of the paper that covers ink, and its steps
const STEP = 2;
const SIDE = 28;

export class Network {
  #model;
  #maker = new Map(); // each tensor's node

  /** bytes: a model file as `digitnet export` writes it, a Uint8Array. */
  constructor(bytes) {
    this.#model = new Model(bytes);
    this.about = this.#model.about;
    for (const node of this.#model.nodes) for (const name of node.outputs) this.#maker.set(name, node);
  }

  get name() {
    return this.about.name;
  }

  /** Ask about one image: 784 values, 0 paper .. 255 ink. */
  look(image) {
    const values = this.#run(image);
    const [names, hidden] = [this.about.layers.slice(0, -1), this.about.layers.at(-1)];
    const digitness = values.get("digitness").data[0];
    return {
      image,
      probs: [...values.get("probabilities").data],
      digitness,
      accepted: digitness >= this.about.threshold,
      layers: names.map((name) => {
        const { shape, data } = values.get(name);
        return { name, channels: shape[1], height: shape[2], width: shape[3], values: data };
      }),
      hidden: values.get(hidden).data,
      values,
    };
  }

  #run(image) {
    return this.#model.run("images", [1, SIDE, SIDE], image);
  }

  /**
   * How one value of a layer came about, {steps, conv}: the convolution behind it, with its sum for each input map, and
   * what was done to it afterwards, first to last. conv is null where something else made it.
   */
  explain({ values }, name, channel, y, x) {
    const value = (tensor, row = y, column = x) => {
      const { shape, data } = values.get(tensor);
      return data[(channel * shape[2] + row) * shape[3] + column];
    };
    const steps = [];
    for (let node = this.#maker.get(name); node; node = this.#maker.get(name)) {
      const after = value(node.outputs[0]);
      if (node.op === "Conv") return { steps: steps.reverse(), conv: this.#sum(values, node, channel, y, x) };
      if (node.op === "MaxPool") {
        const { shape } = values.get(node.inputs[0]);
        const { out, places, taps } = windows(shape[2], shape[3], node.attributes);
        const first = (y * out[1] + x) * taps;
        const seen = [...places.subarray(first, first + taps)].filter((place) => place >= 0);
        const at = (place) => value(node.inputs[0], Math.floor(place / shape[3]), place % shape[3]);
        const best = seen.reduce((most, place) => (at(place) > at(most) ? place : most));
        steps.push({ op: node.op, from: seen.map(at), after });
        [y, x] = [Math.floor(best / shape[3]), best % shape[3]];
      } else if (node.op === "Add") steps.push({ op: node.op, from: node.inputs.map((input) => value(input)), after });
      else if (["Relu", "BatchNormalization", "Identity"].includes(node.op)) steps.push({ op: node.op, from: [value(node.inputs[0])], after });
      else break;
      name = node.op === "Add" ? node.inputs[1] : node.inputs[0];
    }
    return { steps: steps.reverse(), conv: null };
  }

  #sum(values, { inputs, attributes }, channel, y, x) {
    const [input, weights, bias] = inputs.map((name) => values.get(name));
    const [height, width] = input.shape.slice(2);
    const kernel = weights.shape.slice(2);
    const { out, places, taps } = windows(height, width, { ...attributes, kernel_shape: kernel });
    const seen = [...places.subarray((y * out[1] + x) * taps, (y * out[1] + x + 1) * taps)];
    const maps = Array.from({ length: input.shape[1] }, (_, map) => {
      const from = seen.map((place) => (place < 0 ? 0 : input.data[map * height * width + place]));
      const by = [...weights.data.subarray((channel * input.shape[1] + map) * taps, (channel * input.shape[1] + map + 1) * taps)];
      return { map, from, by, sum: from.reduce((sum, value, i) => sum + value * by[i], 0) };
    });
    return { kernel, maps, bias: bias?.data[channel] ?? 0, sum: maps.reduce((sum, map) => sum + map.sum, bias?.data[channel] ?? 0) };
  }

  /** The part of the image that a value of a layer depends on: [top, left, bottom, right], the last two beyond it. */
  sees({ values }, name, y, x) {
    const back = (tensor, [top, left, bottom, right]) => {
      const node = this.#maker.get(tensor);
      if (!node || node.op === "Constant") return [top, left, bottom, right];
      const kernel = node.op === "Conv" ? values.get(node.inputs[1]).shape.slice(2) : node.attributes.kernel_shape;
      if (!kernel) {
        const boxes = node.inputs
          .filter((input) => this.#maker.has(input) && this.#maker.get(input).op !== "Constant")
          .map((input) => back(input, [top, left, bottom, right]));
        if (!boxes.length) return [top, left, bottom, right];
        return boxes[0].map((_, i) => (i < 2 ? Math.min : Math.max)(...boxes.map((box) => box[i])));
      }
      const { pads = [0, 0, 0, 0], strides = [1, 1] } = node.attributes;
      return back(node.inputs[0], [
        top * strides[0] - pads[0],
        left * strides[1] - pads[1],
        (bottom - 1) * strides[0] - pads[0] + kernel[0],
        (right - 1) * strides[1] - pads[1] + kernel[1],
      ]);
    };
    return back(name, [y, x, y + 1, x + 1]).map((edge) => Math.min(Math.max(edge, 0), SIDE));
  }

  /** Which ink the answer needs: for each pixel how far the probability falls while paper covers it. Yields as it goes. */
  *occlusion({ image, probs }) {
    const digit = probs.indexOf(Math.max(...probs));
    const places = Math.floor((SIDE - WINDOW) / STEP) + 1;
    const falls = new Float32Array(places * places);
    for (let place = 0; place < falls.length; place++) {
      const [top, left] = [Math.floor(place / places) * STEP, (place % places) * STEP];
      const covered = image.slice();
      for (let y = top; y < top + WINDOW; y++) covered.fill(0, y * SIDE + left, y * SIDE + left + WINDOW);
      if (covered.every((value, i) => value === image[i])) continue;
      falls[place] = probs[digit] - this.#run(covered).get("probabilities").data[digit];
      yield null;
    }
    const near = (at) => Math.min(Math.max(Math.floor((at - (WINDOW - STEP) / 2) / STEP), 0), places - 1);
    yield Float32Array.from({ length: SIDE * SIDE }, (_, i) => falls[near(Math.floor(i / SIDE)) * places + near(i % SIDE)]);
  }
}
