// Ten digits written by rule, for whoever has no pen at hand: strokes in a box of 0..1 by 0..1, y downwards.
// A point named twice is a corner; between the others the pen runs smoothly.

const ring = (x, y, rx, ry, from, to, n = 12) =>
  Array.from({ length: n + 1 }, (_, i) => {
    const turn = ((from + ((to - from) * i) / n) * Math.PI) / 180;
    return [x + rx * Math.sin(turn), y - ry * Math.cos(turn)];
  });

const SHAPES = [
  [ring(0.5, 0.5, 0.36, 0.5, 20, -345, 20)],
  [
    [
      [0.28, 0.24],
      [0.56, 0.02],
      [0.56, 0.02],
      [0.55, 0.5],
      [0.53, 1],
    ],
  ],
  [[...ring(0.47, 0.29, 0.33, 0.28, -70, 120), [0.42, 0.74], [0.12, 0.97], [0.12, 0.97], [0.5, 0.95], [0.88, 0.97]]],
  [
    [
      ...ring(0.44, 0.25, 0.3, 0.24, -65, 165, 10),
      [0.4, 0.48],
      [0.4, 0.48],
      ...ring(0.44, 0.73, 0.36, 0.26, 8, 240, 10),
    ],
  ],
  [
    [
      [0.42, 0.02],
      [0.26, 0.36],
      [0.08, 0.64],
      [0.08, 0.64],
      [0.5, 0.63],
      [0.92, 0.62],
    ],
    [
      [0.68, 0.3],
      [0.66, 0.65],
      [0.64, 1],
    ],
  ],
  [
    [[0.26, 0.05], [0.23, 0.26], [0.2, 0.46], [0.2, 0.46], ...ring(0.45, 0.68, 0.34, 0.3, -25, 235, 12)],
    [
      [0.26, 0.05],
      [0.55, 0.04],
      [0.84, 0.03],
    ],
  ],
  [[[0.68, 0.03], [0.36, 0.26], [0.17, 0.6], ...ring(0.47, 0.73, 0.31, 0.26, -105, -420, 16)]],
  [
    [
      [0.1, 0.05],
      [0.5, 0.05],
      [0.88, 0.04],
      [0.88, 0.04],
      [0.6, 0.46],
      [0.42, 1],
    ],
  ],
  [
    [
      ...ring(0.5, 0.26, 0.27, 0.24, 60, -150, 10),
      ...ring(0.5, 0.74, 0.33, 0.26, 30, 330, 14),
      ...ring(0.5, 0.26, 0.27, 0.24, 150, 62, 5),
    ],
  ],
  [[...ring(0.47, 0.29, 0.31, 0.28, 70, -290, 16), [0.78, 0.32], [0.76, 0.66], [0.68, 1]]],
];

/** The strokes of a digit, `tall` high around a point, never quite the same twice. */
export function sample(digit, [x, y], tall) {
  const shake = () => (Math.random() - 0.5) * 0.012;
  const slant = (Math.random() - 0.35) * 0.35;
  const wide = 0.55 + Math.random() * 0.17;
  const place = ([u, v]) => {
    const across = (u - 0.5 + shake()) * wide + (0.5 - v) * slant;
    return [x + across * tall, y + (v - 0.5 + shake()) * tall];
  };
  return SHAPES[digit].map((stroke) => {
    let last, put;
    return smooth(
      stroke.map((point) => {
        put = last && point[0] === last[0] && point[1] === last[1] ? put : place(point);
        last = point;
        return put;
      }),
    );
  });
}

/** Catmull and Rom's curve through points, eight steps between two; corners stay corners. */
function smooth(points) {
  const curve = [points[0]];
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b, c, d] = [-1, 0, 1, 2].map((step) => points[Math.min(Math.max(i + step, 0), points.length - 1)]);
    if (b === c) continue;
    for (let t = 1 / 8; t <= 1; t += 1 / 8) {
      curve.push(
        [0, 1].map(
          (axis) =>
            b[axis] +
            0.5 *
              t *
              (c[axis] -
                a[axis] +
                t *
                  (2 * a[axis] -
                    5 * b[axis] +
                    4 * c[axis] -
                    d[axis] +
                    t * (3 * (b[axis] - c[axis]) + d[axis] - a[axis]))),
        ),
      );
    }
  }
  return curve;
}
