// Pictures scaled down by the area that each pixel covers, as OpenCV's INTER_AREA does it in single precision.

const f = Math.fround;

/** Scale values, row after row, from [width, height] down to another: a Float32Array. */
export function shrunk(values, [width, height], [wide, high]) {
  const times = [width / wide, height / high];
  if (times.every(Number.isInteger)) return averaged(values, width, [wide, high], times);
  const [across, down] = [shares(width, wide), shares(height, high)];
  const made = new Float32Array(wide * high);
  const line = new Float32Array(wide);
  for (const [to, from, share, first] of down) {
    line.fill(0);
    for (const [x, at, alpha] of across) line[x] = f(line[x] + f(values[from * width + at] * alpha));
    for (let x = 0; x < wide; x++) made[to * wide + x] = first ? share * line[x] : made[to * wide + x] + f(share * line[x]);
  }
  return made;
}

function averaged(values, width, [wide, high], [across, down]) {
  const share = f(1 / (across * down));
  return Float32Array.from({ length: wide * high }, (_, place) => {
    const [top, left] = [Math.floor(place / wide) * down, (place % wide) * across];
    let sum = 0;
    for (let y = top; y < top + down; y++) for (let x = left; x < left + across; x++) sum += values[y * width + x];
    return f(sum) * share;
  });
}

/** Which share of each pixel to take along a side: [to, from, share, whether it is the first of its place]. */
function shares(side, few) {
  const scale = 1 / (few / side);
  const parts = [];
  for (let to = 0; to < few; to++) {
    const [start, end] = [to * scale, to * scale + scale];
    const cell = Math.min(scale, side - start);
    const last = Math.min(Math.floor(end), side - 1);
    const next = Math.min(Math.ceil(start), last);
    const before = parts.length;
    if (next - start > 1e-3) parts.push([to, next - 1, f((next - start) / cell)]);
    for (let from = next; from < last; from++) parts.push([to, from, f(1 / cell)]);
    if (end - last > 1e-3) parts.push([to, last, f(Math.min(end - last, 1, cell) / cell)]);
    parts[before].push(true);
  }
  return parts;
}
