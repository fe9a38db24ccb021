// The MNIST frame: ink of any size to 28x28, as `digitnet.imaging.normalization.frame` makes it, pixel by pixel.
// What NumPy and OpenCV keep in single precision is rounded here in the same places, so that no pixel differs.

import { shrunk } from "./resize.js";

const SIDE = 28;
const GLYPH = 20; // height and width of the box that a digit's ink is scaled to
const SMALLEST = 10; // least width of the square that is cut out: a dot stays a dot
const FAINT = 0.02; // ink fainter than this share of the strongest does not widen the box
const f = Math.fround;

/** Frame one digit. ink: {data: a Uint8Array, row by row, width, height}, ink bright or dark. Returns 784 values, 255 ink. */
export function frame({ data, width, height }) {
  const ink = brightOnZero(data, width, height);
  const framed = new Uint8ClampedArray(SIDE * SIDE);
  const [top, bottom] = extent(height, width, (y, x) => ink[y * width + x]);
  if (top === undefined) return framed;
  const [left, right] = extent(width, height, (x, y) => ink[y * width + x]);
  let side = Math.max(bottom - top, right - left, SMALLEST);
  let square = new Float32Array(side * side);
  const [above, before] = [(side - bottom + top) >> 1, (side - right + left) >> 1];
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) square[(y - top + above) * side + x - left + before] = ink[y * width + x];
  if (side < GLYPH) [square, side] = [doubled(square, side), 2 * side];
  const glyph = side === GLYPH ? square : shrunk(square, [side, side], [GLYPH, GLYPH]);
  const times = f(255 / Math.max(...glyph));
  glyph.forEach((value, i) => (glyph[i] = value * times));
  const rows = Array.from({ length: GLYPH }, (_, y) => total(glyph.subarray(y * GLYPH, (y + 1) * GLYPH), f));
  const columns = new Float32Array(GLYPH);
  for (let y = 0; y < GLYPH; y++) for (let x = 0; x < GLYPH; x++) columns[x] += glyph[y * GLYPH + x];
  const [down, across] = [shift(rows), shift(columns)];
  for (let y = 0; y < GLYPH; y++)
    for (let x = 0; x < GLYPH; x++) framed[(y + down) * SIDE + x + across] = glyph[y * GLYPH + x]; // rounds halves to even
  return framed;
}

/** Turn dark ink bright and take the paper's level away. */
function brightOnZero(data, width, height) {
  let [low, high] = [255, 0];
  for (const value of data) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const middle = (low + high) / 2;
  let [border, edge, inside] = [0, 0, true];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bright = data[y * width + x] > middle;
      if (y === 0 || y === height - 1 || x === 0 || x === width - 1) {
        // A picture one pixel high or wide has its border twice, as NumPy's slices do.
        const times = (height === 1 ? 2 : 1) * (width === 1 && y > 0 && y < height - 1 ? 2 : 1);
        [border, edge] = [border + times, edge + (bright ? times : 0)];
      } else inside &&= bright;
    }
  const turned = edge / border > 0.8 && !inside;
  const counts = new Array(256).fill(0);
  for (const value of data) if (turned ? value > middle : value <= middle) counts[turned ? 255 - value : value]++;
  const [paper, rough] = [quantile(counts, 0.25), quantile(counts, 0.75)];
  return data.map((value) => {
    const above = Math.max((turned ? 255 - value : value) - Math.floor(paper), 0);
    return above <= 2 * (rough - paper) ? 0 : above;
  });
}

/** A quantile of values 0..255 that are counted, between two of them as `np.quantile` has it. */
export function quantile(counts, share) {
  const n = counts.reduce((sum, count) => sum + count, 0);
  const place = share * (n - 1);
  const [low, high] = [Math.floor(place), Math.ceil(place)].map((at) => {
    let [value, below] = [0, counts[0]];
    while (below <= at && value < 255) below += counts[++value];
    return value;
  });
  return low + (high - low) * (place % 1);
}

/** The first line that holds ink, and the one behind the last. */
function extent(lines, length, value) {
  const profile = Array.from({ length: lines }, (_, line) => {
    let most = 0;
    for (let at = 0; at < length; at++) most = Math.max(most, value(line, at));
    return most;
  });
  const least = FAINT * Math.max(...profile);
  const first = profile.findIndex((most) => most > least);
  return first < 0 ? [] : [first, profile.findLastIndex((most) => most > least) + 1];
}

/** Twice as large, between pixels a quarter and three; beyond the edge is paper. */
function doubled(square, side) {
  const at = (y, x) => (y < 0 || x < 0 || y >= side || x >= side ? 0 : square[y * side + x]);
  return Float32Array.from({ length: 4 * side * side }, (_, place) => {
    const [y, x] = [Math.floor(place / (2 * side)), place % (2 * side)];
    const [near, right] = [y >> 1, x >> 1];
    const [far, other] = [near + (y % 2 ? 1 : -1), right + (x % 2 ? 1 : -1)];
    return 0.75 * (0.75 * at(near, right) + 0.25 * at(near, other)) + 0.25 * (0.75 * at(far, right) + 0.25 * at(far, other));
  });
}

/** A sum in the order in which NumPy adds twenty values. */
function total(values, round = (sum) => sum) {
  const part = Array.from({ length: 8 }, (_, i) => round(values[i] + values[i + 8]));
  const pair = (i) => round(part[i] + part[i + 1]);
  let sum = round(round(pair(0) + pair(2)) + round(pair(4) + pair(6)));
  for (let i = 16; i < GLYPH; i++) sum = round(sum + values[i]);
  return sum;
}

/** Where the glyph begins in the frame, so that its centre of mass comes to the middle. */
function shift(mass) {
  const centre = total(Array.from(mass, (value, i) => value * (i + 0.5))) / total(mass, f);
  return Math.min(Math.max(Math.trunc(15 - centre), 0), SIDE - GLYPH);
}
