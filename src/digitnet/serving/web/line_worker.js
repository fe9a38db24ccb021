// The line reader in a thread of its own: the first message is its file, every other one a picture of a number.

import { LineReader } from "./line.js";

let reader;

addEventListener("message", ({ data: { model, ink } }) => {
  try {
    if (model) reader = new LineReader(model);
    else postMessage({ found: reader.read(ink) });
  } catch (problem) {
    postMessage({ problem: problem.message });
  }
});
