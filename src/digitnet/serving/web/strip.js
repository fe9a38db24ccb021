// A number's picture as the line reader is given it, as `digitnet.imaging` cuts and scales it, pixel by pixel.

import { quantile } from "./frame.js";
import { shrunk } from "./resize.js";

export const STRIP = 40; // height of a strip, pixels
const WIDEST = 4000;
const STROKE = 90; // ink from which a pixel belongs to a stroke, of black on white
const MARGIN = 0.12; // paper around the ink, in its height, whether the picture has it or not
const ROOM = 0.25; // and so much more as far as the picture has it

/** Round halves to even, as Python and NumPy do. */
const round = (value) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/** The number in a picture with the paper around it, {data, width, height}, ink bright; null where there is no ink. */
export function cropped({ data, width, height }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  data.forEach((value, place) => {
    if (value < STROKE) return;
    const [x, y] = [place % width, Math.floor(place / width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  if (right <= left) return null;
  const margin = Math.max(2, round(MARGIN * (bottom - top)));
  const room = round(ROOM * (bottom - top));
  const around = (paper) => margin + Math.min(room, Math.max(0, paper - margin));
  [left, top, right, bottom] = [left - around(left), top - around(top), right + around(width - right), bottom + around(height - bottom)];
  const [wide, high] = [right - left, bottom - top];
  const within = (at, limit) => Math.min(Math.max(at, 0), limit - 1);
  const cut = Uint8Array.from({ length: wide * high }, (_, place) => {
    const [x, y] = [within(left + (place % wide), width), within(top + Math.floor(place / wide), height)];
    return data[y * width + x];
  });
  return { data: cut, width: wide, height: high };
}

/** Scale a picture of at least STRIP rows, ink bright, to a strip: {data: 0 paper .. 255 ink, width}. */
export function strip({ data, width, height }) {
  const wide = Math.min(Math.max(8, round((width * STRIP) / height)), WIDEST);
  const same = width === wide && height === STRIP;
  const values = same ? data : shrunk(data, [width, height], [wide, STRIP]);
  // OpenCV rounds halves up where it averages two by two pixels, otherwise to even, as an array of this kind does.
  const halved = width === 2 * wide && height === 2 * STRIP;
  const scaled = halved ? values.map((value) => Math.floor(value + 0.5)) : Uint8ClampedArray.from(values);
  const counts = new Array(256).fill(0);
  for (const value of scaled) counts[value]++;
  const [low, high] = [quantile(counts, 0.25), quantile(counts, 0.995)];
  if (high - low < 1) return { data: new Uint8ClampedArray(wide * STRIP), width: wide };
  const times = 255 / (high - low);
  return { data: Uint8ClampedArray.from(scaled, (value) => (Math.min(Math.max(value, low), high) - low) * times), width: wide };
}
