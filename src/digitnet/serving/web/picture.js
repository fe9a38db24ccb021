// Strokes to pixels, whole or broken on purpose. The same function paints what is seen and what is sent.
// A stroke is {points: [[x, y], ...], width}, in units of which the paper is HEIGHT high.

export const HEIGHT = 400;
const GRAIN = 8; // units of a grain of noise: about as thick as a digit's stroke in the network's 28x28 frame

/** Nothing broken. turn: degrees. thick: times the pen's width. noise: share of grains that say nothing, 0..1. */
export const WHOLE = { noise: 0, turn: 0, thick: 1, invert: false, pivot: [0, 0] };

/** Left, top, right, bottom of the ink as it is seen; null where there is none. */
export function bounds(strokes, broken = WHOLE) {
  const points = strokes.flatMap(({ points }) => points.map((point) => turned(point, broken)));
  if (!points.length) return null;
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const half = (Math.max(...strokes.map(({ width }) => width)) * broken.thick) / 2;
  return [Math.min(...xs) - half, Math.min(...ys) - half, Math.max(...xs) + half, Math.max(...ys) + half];
}

/** Where a point is seen in a turned picture. */
export function turned([x, y], { turn, pivot }) {
  const angle = (turn * Math.PI) / 180;
  const [dx, dy] = [x - pivot[0], y - pivot[1]];
  return [
    pivot[0] + dx * Math.cos(angle) - dy * Math.sin(angle),
    pivot[1] + dx * Math.sin(angle) + dy * Math.cos(angle),
  ];
}

/** The other way round: the pen draws where it is seen. */
export const unturned = (point, { turn, pivot }) => turned(point, { turn: -turn, pivot });

/** Paint the part of the paper in a box of units on a canvas, `scale` pixels a unit. */
export function paint(canvas, strokes, { box: [left, top], scale, ink, paper, broken = WHOLE, often = false }) {
  const context = canvas.getContext("2d", { willReadFrequently: often });
  const [dark, light] = broken.invert ? [paper, ink] : [ink, paper];
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = light;
  context.fillRect(0, 0, canvas.width, canvas.height); // all of it: half a pixel left bare at the edge would be ink
  context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
  context.save();
  context.translate(...broken.pivot);
  context.rotate((broken.turn * Math.PI) / 180);
  context.translate(-broken.pivot[0], -broken.pivot[1]);
  Object.assign(context, { strokeStyle: dark, lineCap: "round", lineJoin: "round" });
  for (const { points, width: pen } of strokes) {
    context.lineWidth = pen * broken.thick;
    trace(context, points);
  }
  context.restore();
  if (broken.noise && strokes.length) sprinkle(context, bounds(strokes, broken), broken.noise, dark, light);
}

/** A canvas of dark ink on light paper as ink: {data: 255 for ink, row after row, width, height}. */
export function asInk(canvas) {
  const { width, height } = canvas;
  return { data: greys(canvas).map((value) => 255 - value), width, height };
}

/** A canvas as a file that the service reads: PGM, a byte a pixel, since no compressor has to be waited for. */
export function asFile(canvas) {
  return new Blob([`P5 ${canvas.width} ${canvas.height} 255\n`, greys(canvas)], { type: "image/x-portable-graymap" });
}

/** The pixels of a canvas that is black, white and between: red, green and blue are the same. */
function greys(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const grey = new Uint8Array(data.length / 4);
  for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
  return grey;
}

/** Through the middles between points, bent towards the points: smooth however fast the hand was. */
function trace(context, points) {
  const middle = ([a, b], [c, d]) => [(a + c) / 2, (b + d) / 2];
  context.beginPath();
  context.moveTo(...points[0]);
  for (let i = 1; i + 1 < points.length; i++)
    context.quadraticCurveTo(...points[i], ...middle(points[i], points[i + 1]));
  const [x, y] = points.at(-1);
  context.lineTo(x + 0.01, y); // a line of no length would leave no dot
  context.stroke();
}

/** Put grains of ink and paper over the ink's box: beyond it they would only make the network's frame wider. */
function sprinkle(context, box, noise, dark, light) {
  const [left, top, right, bottom] = box.map((edge) => Math.round(edge / GRAIN));
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (chance(x, y) >= noise) continue;
      context.fillStyle = chance(x + 4099, y) < 0.5 ? dark : light;
      context.fillRect(x * GRAIN, y * GRAIN, GRAIN, GRAIN);
    }
  }
}

/** A number 0..1 for each place, always the same: more noise adds grains and moves none. */
function chance(x, y) {
  let h = Math.imul(x, 374761393) ^ Math.imul(y, 668265263);
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  h = Math.imul(h ^ (h >>> 16), 2246822519);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32;
}
