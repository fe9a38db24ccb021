// The operators of ONNX that networks for digits are made of, on tensors {shape, data: Float32Array}.
// Sums are kept in double precision: answers differ from ONNX Runtime's by rounding alone.

const size = (shape) => shape.reduce((product, side) => product * side, 1);
const tensor = (shape, data = new Float32Array(size(shape))) => ({ shape, data });
const map = (change) => ([x]) => tensor(x.shape, x.data.map(change));

/** Of two tensors, the smaller spread over the larger as NumPy does it. */
function pairwise(combine) {
  return ([a, b]) => {
    const rank = Math.max(a.shape.length, b.shape.length);
    const sides = [a, b].map(({ shape }) => [...Array(rank - shape.length).fill(1), ...shape]);
    const shape = sides[0].map((side, axis) => Math.max(side, sides[1][axis]));
    const steps = sides.map((own) => own.map((side, axis) => (side === 1 ? 0 : size(own.slice(axis + 1)))));
    const made = tensor(shape);
    const at = Array(rank).fill(0);
    let [i, j] = [0, 0];
    for (let place = 0; place < made.data.length; place++) {
      made.data[place] = combine(a.data[i], b.data[j]);
      for (let axis = rank - 1; axis >= 0; axis--) {
        i += steps[0][axis];
        j += steps[1][axis];
        if (++at[axis] < shape[axis]) break;
        i -= steps[0][axis] * shape[axis];
        j -= steps[1][axis] * shape[axis];
        at[axis] = 0;
      }
    }
    return made;
  };
}

/** One value of all that differ along the axes alone. */
function reduced(combine) {
  return ([x, given], { axes = given ? [...given.data] : x.shape.map((_, axis) => axis), keepdims = 1 }) => {
    const gone = new Set(axes.map((axis) => (axis + x.shape.length) % x.shape.length));
    const groups = new Map();
    x.data.forEach((value, place) => {
      let [rest, key, step] = [place, 0, 1];
      for (let axis = x.shape.length - 1; axis >= 0; axis--) {
        const at = rest % x.shape[axis];
        rest = (rest - at) / x.shape[axis];
        if (gone.has(axis)) continue;
        key += at * step;
        step *= x.shape[axis];
      }
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(value);
    });
    const shape = x.shape.flatMap((side, axis) => (gone.has(axis) ? (keepdims ? [1] : []) : [side]));
    const made = tensor(shape);
    for (const [key, values] of groups) made.data[key] = combine(values);
    return made;
  };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
function logSumExp(values) {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

/** Each row along the last axis changed as a whole. */
const rowwise = (change) => ([x]) => {
  const wide = x.shape.at(-1);
  const made = tensor(x.shape);
  for (let start = 0; start < x.data.length; start += wide)
    made.data.set(change([...x.data.subarray(start, start + wide)]), start);
  return made;
};

/**
 * (n, k) by the rows of (m, k), two by four at a time: each value that is loaded is used several times.
 * The result for row and column goes to row * down + column * right of `to`, from `start`.
 */
function products(a, b, n, m, k, to, start, down, right) {
  const [evenRows, fours] = [n - (n % 2), m - (m % 4)];
  for (let row = 0; row < evenRows; row += 2) {
    for (let column = 0; column < fours; column += 4) {
      const at = start + row * down + column * right;
      eight(a, b, row * k, column * k, k, to, at, down, right);
    }
  }
  for (let row = 0; row < n; row++)
    for (let column = row < evenRows ? fours : 0; column < m; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a[row * k + i] * b[column * k + i];
      to[start + row * down + column * right] = sum;
    }
}

function eight(a, b, a0, b0, k, to, at, down, right) {
  const [a1, b1, b2, b3] = [a0 + k, b0 + k, b0 + 2 * k, b0 + 3 * k];
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  for (let i = 0; i < k; i++) {
    const upper = a[a0 + i];
    const lower = a[a1 + i];
    s00 += upper * b[b0 + i];
    s01 += upper * b[b1 + i];
    s02 += upper * b[b2 + i];
    s03 += upper * b[b3 + i];
    s10 += lower * b[b0 + i];
    s11 += lower * b[b1 + i];
    s12 += lower * b[b2 + i];
    s13 += lower * b[b3 + i];
  }
  to[at] = s00;
  to[at + right] = s01;
  to[at + 2 * right] = s02;
  to[at + 3 * right] = s03;
  to[at + down] = s10;
  to[at + down + right] = s11;
  to[at + down + 2 * right] = s12;
  to[at + down + 3 * right] = s13;
}

const known = new Map(); // of windows: a network asks for the same few again and again
const MOST_KNOWN = 100;

/** Where a window's values lie: for each place of the output its inputs, -1 for those beyond the edge. */
export function windows(height, width, attributes) {
  const { kernel_shape, pads, strides, dilations } = attributes;
  const key = [height, width, kernel_shape, pads, strides, dilations].join(";");
  if (known.size > MOST_KNOWN) known.clear(); // pictures of many sizes
  if (!known.has(key)) known.set(key, placed(height, width, attributes));
  return known.get(key);
}

function placed(height, width, { kernel_shape: [kh, kw], pads = [0, 0, 0, 0], strides = [1, 1], dilations = [1, 1] }) {
  const out = [
    Math.floor((height + pads[0] + pads[2] - dilations[0] * (kh - 1) - 1) / strides[0]) + 1,
    Math.floor((width + pads[1] + pads[3] - dilations[1] * (kw - 1) - 1) / strides[1]) + 1,
  ];
  const places = new Int32Array(out[0] * out[1] * kh * kw);
  let at = 0;
  for (let y = 0; y < out[0]; y++)
    for (let x = 0; x < out[1]; x++)
      for (let i = 0; i < kh; i++)
        for (let j = 0; j < kw; j++) {
          const [row, column] = [y * strides[0] - pads[0] + i * dilations[0], x * strides[1] - pads[1] + j * dilations[1]];
          const inside = row >= 0 && row < height && column >= 0 && column < width;
          places[at++] = inside ? row * width + column : -1;
        }
  return { out, places, taps: kh * kw };
}

/** A tensor's values in double precision, converted once: loads that convert take half of a product's time. */
const double = (x) => (x.double ??= Float64Array.from(x.data));

function conv([x, weights, bias], attributes) {
  const [n, channels, height, width] = x.shape;
  const outputs = weights.shape[0];
  const { out, places, taps } = windows(height, width, { ...attributes, kernel_shape: weights.shape.slice(2) });
  const area = out[0] * out[1];
  const k = channels * taps;
  const made = tensor([n, outputs, ...out]);
  const seen = new Float64Array(area * k);
  for (let image = 0; image < n; image++) {
    for (let place = 0; place < area; place++) {
      for (let channel = 0; channel < channels; channel++) {
        const plane = (image * channels + channel) * height * width;
        for (let tap = 0; tap < taps; tap++) {
          const from = places[place * taps + tap];
          seen[place * k + channel * taps + tap] = from < 0 ? 0 : x.data[plane + from];
        }
      }
    }
    products(seen, double(weights), area, outputs, k, made.data, image * outputs * area, 1, area);
  }
  if (bias) for (let plane = 0; plane < n * outputs; plane++) added(made.data, plane * area, area, bias.data[plane % outputs]);
  return made;
}

function added(data, start, count, value) {
  for (let at = start; at < start + count; at++) data[at] += value;
}

/** A window's values, channel by channel, as one. */
function pooled(combine) {
  return ([x], attributes) => {
    const [n, channels, height, width] = x.shape;
    const { out, places, taps } = windows(height, width, attributes);
    const area = out[0] * out[1];
    const made = tensor([n, channels, ...out]);
    const seen = new Float32Array(taps);
    for (let plane = 0; plane < n * channels; plane++) {
      const start = plane * height * width;
      for (let place = 0; place < area; place++) {
        let inside = 0;
        for (let tap = place * taps; tap < (place + 1) * taps; tap++)
          if (places[tap] >= 0) seen[inside++] = x.data[start + places[tap]];
        made.data[plane * area + place] = combine(seen, inside, taps);
      }
    }
    return made;
  };
}

function largest(values, count) {
  let most = -Infinity;
  for (let i = 0; i < count; i++) if (values[i] > most) most = values[i];
  return most;
}

function average(values, count, taps) {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += values[i];
  return sum / taps;
}

function gemm([a, b, bias], { transB = 0, alpha = 1, beta = 1 }) {
  const [n, k] = a.shape;
  const m = transB ? b.shape[0] : b.shape[1];
  const made = tensor([n, m]);
  products(double(a), transB ? double(b) : columns(b), n, m, k, made.data, 0, m, 1);
  made.data.forEach((value, i) => {
    made.data[i] = alpha * value + (bias ? beta * bias.data[bias.data.length === 1 ? 0 : i % m] : 0);
  });
  return made;
}

/** The columns of the matrices in a tensor, one behind the other, in double precision; converted once. */
function columns(x) {
  const [k, m] = x.shape.slice(-2);
  return (x.columns ??= Float64Array.from(x.data, (_, i) => {
    const place = i % (k * m);
    return x.data[i - place + (place % k) * m + Math.floor(place / k)];
  }));
}

/** Matrices by as many others, or all of them by one. */
function multiplied([a, b]) {
  const [k, m] = b.shape.slice(-2);
  const count = size(b.shape.slice(0, -2));
  const n = a.data.length / k / count;
  const made = tensor([...a.shape.slice(0, -1), m]);
  for (let each = 0; each < count; each++)
    products(double(a).subarray(each * n * k), columns(b).subarray(each * k * m), n, m, k, made.data, each * n * m, m, 1);
  return made;
}

/** Each row along the last axes brought to mean 0 and variance 1, then scaled and shifted. */
function layerNormalised([x, scale, shift], { axis = -1, epsilon = 1e-5 }) {
  const wide = size(x.shape.slice(axis));
  const made = tensor(x.shape);
  for (let start = 0; start < x.data.length; start += wide) {
    const row = x.data.subarray(start, start + wide);
    const middle = mean(row);
    const spread = Math.sqrt(mean(row.map((value) => (value - middle) ** 2)) + epsilon);
    row.forEach((value, i) => (made.data[start + i] = ((value - middle) / spread) * scale.data[i] + (shift?.data[i] ?? 0)));
  }
  return made;
}

function normalised([x, scale, shift, middle, variance], { epsilon = 1e-5 }) {
  const area = size(x.shape.slice(2));
  return tensor(
    x.shape,
    x.data.map((value, place) => {
      const channel = Math.floor(place / area) % x.shape[1];
      return ((value - middle.data[channel]) / Math.sqrt(variance.data[channel] + epsilon)) * scale.data[channel] + shift.data[channel];
    }),
  );
}

/** Slices along an axis, of each index one: without the axis where there is one index alone. */
function gathered([x, indices], { axis = 0 }) {
  const [before, after] = [size(x.shape.slice(0, axis)), size(x.shape.slice(axis + 1))];
  const made = tensor([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]);
  const count = indices.data.length;
  for (let i = 0; i < before; i++)
    indices.data.forEach((index, place) => {
      const from = (i * x.shape[axis] + ((index + x.shape[axis]) % x.shape[axis])) * after;
      made.data.set(x.data.subarray(from, from + after), (i * count + place) * after);
    });
  return made;
}

/** Tensors behind each other along an axis. */
function joined(parts, { axis }) {
  const along = (axis + parts[0].shape.length) % parts[0].shape.length;
  const shape = parts[0].shape.with(along, parts.reduce((sum, part) => sum + part.shape[along], 0));
  const made = tensor(shape);
  let at = 0;
  for (let i = 0; i < size(shape.slice(0, along)); i++)
    for (const part of parts) {
      const length = size(part.shape.slice(along));
      made.data.set(part.data.subarray(i * length, (i + 1) * length), at);
      at += length;
    }
  return made;
}

/** Along each axis the values from a start to an end, every step. */
function sliced([x, starts, ends, axes, steps]) {
  return [...starts.data].reduce((made, begin, place) => {
    const axis = axes?.data[place] ?? place;
    const step = steps?.data[place] ?? 1;
    const side = made.shape.at(axis);
    const least = step > 0 ? 0 : -1;
    const within = (at) => Math.min(Math.max(at < 0 ? at + side : at, least), side + least);
    const [from, to] = [within(begin), within(ends.data[place])];
    const count = Math.max(Math.ceil((to - from) / step), 0);
    const indices = tensor([count], Float32Array.from({ length: count }, (_, i) => from + i * step));
    return gathered([made, indices], { axis: (axis + made.shape.length) % made.shape.length });
  }, x);
}

function transposed([x], { perm = x.shape.map((_, axis) => axis).reverse() }) {
  const shape = perm.map((axis) => x.shape[axis]);
  const steps = perm.map((axis) => size(x.shape.slice(axis + 1)));
  const made = tensor(shape);
  made.data.forEach((_, place) => {
    let [rest, from] = [place, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += (rest % shape[axis]) * steps[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    made.data[place] = x.data[from];
  });
  return made;
}

function squeezed([x, given], { axes = given ? [...given.data] : null }) {
  const gone = new Set(axes?.map((axis) => (axis + x.shape.length) % x.shape.length));
  return tensor(x.shape.filter((side, axis) => (axes ? !gone.has(axis) : side !== 1)), x.data);
}

function reshaped([x, to]) {
  const shape = [...to.data].map((side, axis) => (side === 0 ? x.shape[axis] : side));
  const rest = x.data.length / size(shape.filter((side) => side > 0));
  return tensor(shape.map((side) => (side < 0 ? rest : side)), x.data);
}

function unsqueezed([x, given], { axes = [...given.data] }) {
  const rank = x.shape.length + axes.length;
  const put = new Set(axes.map((axis) => (axis + rank) % rank));
  const sides = [...x.shape];
  return tensor(Array.from({ length: rank }, (_, axis) => (put.has(axis) ? 1 : sides.shift())), x.data);
}

/** Each operator: a function of its inputs and attributes. `static_page.py` refuses files with any other. */
export const OPERATORS = {
  Add: pairwise((a, b) => a + b),
  AveragePool: pooled(average),
  BatchNormalization: normalised,
  Cast: ([x]) => x,
  Concat: joined,
  Constant: (_, { value }) => value,
  Conv: conv,
  Div: pairwise((a, b) => a / b),
  Exp: map(Math.exp),
  Flatten: ([x], { axis = 1 }) => tensor([size(x.shape.slice(0, axis)), size(x.shape.slice(axis))], x.data),
  Gather: gathered,
  Gemm: gemm,
  GlobalAveragePool: ([x]) => reduced(mean)([x], { axes: x.shape.map((_, axis) => axis).slice(2) }),
  GreaterOrEqual: pairwise((a, b) => Number(a >= b)),
  Identity: ([x]) => x,
  LayerNormalization: layerNormalised,
  LogSoftmax: rowwise((values) => {
    const all = logSumExp(values);
    return values.map((value) => value - all);
  }),
  MatMul: multiplied,
  MaxPool: pooled(largest),
  Mul: pairwise((a, b) => a * b),
  ReduceLogSumExp: reduced(logSumExp),
  ReduceMean: reduced(mean),
  Relu: map((value) => Math.max(value, 0)),
  Reshape: reshaped,
  Shape: ([x]) => tensor([x.shape.length], Float32Array.from(x.shape)),
  Sigmoid: map((value) => 1 / (1 + Math.exp(-value))),
  Slice: sliced,
  Softmax: rowwise((values) => {
    const all = logSumExp(values);
    return values.map((value) => Math.exp(value - all));
  }),
  Squeeze: squeezed,
  Sub: pairwise((a, b) => a - b),
  Tanh: map(Math.tanh),
  Transpose: transposed,
  Unsqueeze: unsqueezed,
};
