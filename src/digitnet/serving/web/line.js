// The line reader in the browser: a strip of a number to its columns, and to the most probable texts.

import { decode } from "./ctc.js";
import { Model } from "./model.js";
import { STRIP, cropped, strip } from "./strip.js";

const [MARGIN, STRIDE] = [8, 4]; // paper at either end of a strip, and pixels to a column
const [RARE_SIGNS, RARER] = ["/:()+%$?", 0.3]; // signs that numbers have less often than what was learnt from
const DIGITS = 10;

export class LineReader {
  #model;

  /** bytes: a line reader's file, a Uint8Array. */
  constructor(bytes) {
    this.#model = new Model(bytes);
  }

  /** Read a picture of one number, {data: 0..255 row after row, width, height}, ink bright: {strip, columns, texts}. */
  read(ink) {
    const picture = cropped(ink);
    return picture && this.readStrip(strip(picture));
  }

  /** Read a strip, {data, width}. columns: for each eleven logarithms, of the digits and of there being none. */
  readStrip(given) {
    const wide = Math.ceil((given.width + 2 * MARGIN) / STRIDE) * STRIDE;
    const padded = new Float32Array(STRIP * wide);
    for (let y = 0; y < STRIP; y++) padded.set(given.data.subarray(y * given.width, (y + 1) * given.width), y * wide + MARGIN);
    const { shape, data } = this.#model.run("strips", [1, STRIP, wide], padded).get("log_probabilities");
    const alphabet = [...this.#model.about.alphabet];
    const columns = Array.from({ length: shape[1] }, (_, column) =>
      onlyDigits([...data.subarray(column * shape[2], (column + 1) * shape[2])], alphabet),
    );
    return { strip: given, columns, texts: decode(columns) };
  }
}

/** The logarithms of the digits and of all else together, signs made as rare as numbers have them. */
function onlyDigits(column, alphabet) {
  const known = column.map((value, place) => (RARE_SIGNS.includes(alphabet[place] ?? " ") ? value + Math.log(RARER) : value));
  const all = together(known);
  return [...known.slice(0, DIGITS), together(known.slice(DIGITS))].map((value) => value - all);
}

function together(values) {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}
