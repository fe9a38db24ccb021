// A sign that is taught by a few drawings: one more output on the features that the network has, which stay as they are.
// It is a logistic regression: the drawings against digits that are written by rule, scribbles, and what else is kept.

import { frame } from "./frame.js";
import { asInk, bounds, paint } from "./picture.js";
import { sample } from "./samples.js";

export const ENOUGH = 5; // drawings of a sign
const [EACH, SCRIBBLES] = [6, 30]; // written digits of each kind, and scribbles, that are no sign
const [STEPS, RATE, DECAY] = [400, 4, 1e-3];

/** What hidden units say, as a direction: how strongly they say it differs with the pen. */
function unit(values) {
  const length = Math.hypot(...values) || 1;
  return Float64Array.from(values, (value) => value / length);
}

/** An image moved by whole pixels. */
function moved(image, dy, dx) {
  const at = (y, x) => (y < 0 || x < 0 || y > 27 || x > 27 ? 0 : image[28 * y + x]);
  return image.map((_, i) => at(Math.floor(i / 28) - dy, (i % 28) - dx));
}

/** Frames of digits and scribbles, always as many: what a sign is told apart from. */
function others() {
  const digits = Array.from({ length: 10 * EACH }, (_, i) => sample(i % 10, [200, 200], 250));
  const scribbles = Array.from({ length: SCRIBBLES }, () => [
    Array.from({ length: 4 + Math.floor(8 * Math.random()) }, () => [80 + 240 * Math.random(), 80 + 240 * Math.random()]),
  ]);
  return [...digits, ...scribbles].map((lines) => {
    const strokes = lines.map((points) => ({ points, width: 20 + 16 * Math.random() }));
    const [left, top, right, bottom] = bounds(strokes);
    const canvas = Object.assign(document.createElement("canvas"), { width: 0.5 * (right - left) + 16, height: 0.5 * (bottom - top) + 16 });
    paint(canvas, strokes, { box: [left - 16, top - 16], scale: 0.5, ink: "#000", paper: "#fff", often: true });
    return frame(asInk(canvas));
  });
}

export class Teacher {
  #features = new WeakMap(); // of each network: of what is no sign
  #outputs = [];

  /** Learn the signs with enough drawings, on a network's features. digits, signs: as `Kept` has them. */
  learn(network, digits, signs) {
    const features = (image) => unit(network.look(image).hidden);
    const taught = [...signs].filter(([, drawings]) => drawings.length >= ENOUGH);
    if (taught.length && !this.#features.has(network)) this.#features.set(network, others().map(features));
    const each = taught.map(([name, drawings]) => [
      name,
      drawings.flatMap(({ image }) => [[0, 0], [0, 1], [1, 0], [0, -1], [-1, 0]].map((by) => features(moved(image, ...by)))),
    ]);
    const known = taught.length ? [...this.#features.get(network), ...digits.map(({ image }) => features(image))] : [];
    this.#outputs = each.map(([name, own]) => {
      const rest = [...known, ...each.flatMap(([other, theirs]) => (other === name ? [] : theirs))];
      return { name, ...regression(own, rest) };
    });
  }

  get names() {
    return this.#outputs.map(({ name }) => name);
  }

  /** Shares with those of the signs behind them, which take from all others in proportion; hidden: a look's. */
  with(shares, hidden) {
    const values = unit(hidden);
    const odds = this.#outputs.map(({ weights, bias }) => Math.exp(Math.min(dot(weights, values) + bias, 50)));
    const all = 1 + odds.reduce((sum, odd) => sum + odd, 0);
    return [...shares.map((share) => share / all), ...odds.map((odd) => odd / all)];
  }
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Weights and bias by gradient descent; either side counts as much, however many there are of it. */
function regression(own, rest) {
  const rows = [...own.map((x) => [x, 1, 0.5 / own.length]), ...rest.map((x) => [x, 0, 0.5 / rest.length])];
  const weights = new Float64Array(own[0].length);
  let bias = 0;
  for (let step = 0; step < STEPS; step++) {
    const slope = weights.map((weight) => DECAY * weight);
    let lift = 0;
    for (const [x, label, share] of rows) {
      const error = share * (1 / (1 + Math.exp(-dot(weights, x) - bias)) - label);
      for (let i = 0; i < x.length; i++) slope[i] += error * x[i];
      lift += error;
    }
    for (let i = 0; i < slope.length; i++) weights[i] -= 10 * RATE * slope[i];
    bias -= RATE * lift;
  }
  return { weights, bias };
}
