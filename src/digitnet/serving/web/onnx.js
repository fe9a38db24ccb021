// A model file in the browser: the wire format of Protocol Buffers, and of onnx.proto3 the fields that digitnet writes.

const LENGTH = 2; // the wire type of text, bytes and messages

/** The fields of a message: [number, value], an integer as a BigInt, all else as bytes. */
function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const key = varint(bytes, at);
    const kind = Number(key.value & 7n);
    at = key.next;
    if (kind === 0) {
      const { value, next } = varint(bytes, at);
      at = next;
      yield [Number(key.value >> 3n), value];
      continue;
    }
    const size = kind === LENGTH ? varint(bytes, at) : { value: { 1: 8n, 5: 4n }[kind], next: at };
    if (size.value === undefined || size.next + Number(size.value) > bytes.length) throw new Error("a damaged model file");
    at = size.next + Number(size.value);
    yield [Number(key.value >> 3n), bytes.subarray(size.next, at)];
  }
}

function varint(bytes, at) {
  let value = 0n;
  for (let place = 0n; at < bytes.length; place += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << place;
    if (byte < 128) return { value, next: at };
  }
  throw new Error("a model file that is cut short");
}

const text = (bytes) => new TextDecoder().decode(bytes);
const integer = (value) => Number(BigInt.asIntN(64, value));
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Integers of a repeated field: one, or several packed into bytes. */
function integers(value) {
  if (typeof value === "bigint") return [integer(value)];
  const found = [];
  for (let at = 0; at < value.length; ) {
    const one = varint(value, at);
    found.push(integer(one.value));
    at = one.next;
  }
  return found;
}

const floats = (bytes) => Array.from({ length: bytes.length / 4 }, (_, i) => view(bytes).getFloat32(4 * i, true));

/** How values of each kind of tensor are read from raw bytes: their size, and a function of a view and a place. */
const KINDS = {
  1: [4, (data, at) => data.getFloat32(at, true)],
  2: [1, (data, at) => data.getUint8(at)],
  6: [4, (data, at) => data.getInt32(at, true)],
  7: [8, (data, at) => Number(data.getBigInt64(at, true))],
  9: [1, (data, at) => data.getUint8(at)],
  10: [2, (data, at) => half(data.getUint16(at, true))],
  11: [8, (data, at) => data.getFloat64(at, true)],
};

/** A number in half precision: a sign, five bits of exponent, ten of fraction. */
function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

function tensor(bytes) {
  const made = { name: "", shape: [], data: [] };
  let kind = 1;
  let raw = null;
  for (const [number, value] of fields(bytes)) {
    if (number === 1) made.shape.push(...integers(value));
    else if (number === 2) kind = integer(value);
    else if (number === 4) made.data.push(...floats(value));
    else if (number === 5 || number === 7) made.data.push(...integers(value));
    else if (number === 8) made.name = text(value);
    else if (number === 9) raw = value;
  }
  if (raw) {
    if (!KINDS[kind]) throw new Error(`a tensor of kind ${kind}, which the page cannot read`);
    const [size, read] = KINDS[kind];
    const data = view(raw);
    made.data = Array.from({ length: raw.length / size }, (_, i) => read(data, i * size));
  }
  return { ...made, data: Float32Array.from(made.data) };
}

function attribute(bytes) {
  let name = "";
  let value = null;
  const list = [];
  for (const [number, given] of fields(bytes)) {
    if (number === 1) name = text(given);
    else if (number === 2) value = floats(given)[0];
    else if (number === 3) value = integer(given);
    else if (number === 4) value = text(given);
    else if (number === 5) value = tensor(given);
    else if (number === 7) list.push(...floats(given));
    else if (number === 8) list.push(...integers(given));
  }
  return [name, value ?? list];
}

function node(bytes) {
  const made = { op: "", inputs: [], outputs: [], attributes: {} };
  for (const [number, value] of fields(bytes)) {
    if (number === 1) made.inputs.push(text(value));
    else if (number === 2) made.outputs.push(text(value));
    else if (number === 4) made.op = text(value);
    else if (number === 5) {
      const [name, given] = attribute(value);
      made.attributes[name] = given;
    }
  }
  return made;
}

/** Read a model file, a Uint8Array: {nodes, weights: a Map of tensors by name, about: its metadata}. */
export function parse(bytes) {
  const model = { nodes: [], weights: new Map(), about: {} };
  for (const [number, value] of fields(bytes)) {
    if (number === 7) {
      for (const [part, given] of fields(value)) {
        if (part === 1) model.nodes.push(node(given));
        else if (part === 5) {
          const { name, shape, data } = tensor(given);
          model.weights.set(name, { shape, data });
        }
      }
    } else if (number === 14) {
      const entry = Object.fromEntries([...fields(value)].map(([part, given]) => [part, text(given)]));
      if (entry[1] === "digitnet") model.about = JSON.parse(entry[2]);
    }
  }
  return model;
}
