// A model file that runs in the browser.

import { parse } from "./onnx.js";
import { OPERATORS } from "./operators.js";

export class Model {
  #weights;

  /** bytes: a model file as digitnet writes it, a Uint8Array. */
  constructor(bytes) {
    const { nodes, weights, about } = parse(bytes);
    const unknown = nodes.find(({ op }) => !(op in OPERATORS));
    if (unknown) throw new Error(`the operator ${unknown.op}, which the page cannot run`);
    [this.nodes, this.#weights, this.about] = [nodes, weights, about];
  }

  /** Give the model its input. Returns a Map of all tensors {shape, data} by name: weights, what lies between, outputs. */
  run(input, shape, values) {
    const all = new Map(this.#weights);
    all.set(input, { shape, data: Float32Array.from(values) });
    for (const { op, inputs, outputs, attributes } of this.nodes)
      all.set(outputs[0], OPERATORS[op](inputs.map((name) => all.get(name)), attributes));
    return all;
  }
}
