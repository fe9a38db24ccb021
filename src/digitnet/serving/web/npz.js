// Digits as NumPy's .npz, which digitnet reads as a data set: a ZIP archive of arrays, stored as they are.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** An array of bytes as a .npy file. */
function npy(shape, data) {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${sides}), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8]);
  return joined([head, new TextEncoder().encode(padded), data]);
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Numbers of 2 or 4 bytes, the lowest byte first: [[value, bytes], ...]. */
const packed = (numbers) =>
  Uint8Array.from(numbers.flatMap(([value, bytes]) => Array.from({ length: bytes }, (_, i) => (value / 256 ** i) & 255)));

function zip(files) {
  const [parts, entries] = [[], []];
  let at = 0;
  for (const [name, data] of files) {
    const title = new TextEncoder().encode(name);
    const facts = [[20, 2], [0, 2], [0, 2], [0, 2], [0x21, 2], [crc32(data), 4], [data.length, 4], [data.length, 4], [title.length, 2], [0, 2]];
    const head = joined([packed([[0x04034b50, 4], ...facts]), title]);
    entries.push(joined([packed([[0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]]), title]));
    parts.push(head, data);
    at += head.length + data.length;
  }
  const index = joined(entries);
  const end = packed([[0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [index.length, 4], [at, 4], [0, 2]]);
  return joined([...parts, index, end]);
}

/** images: n arrays of 784 bytes, 255 ink; labels: n digits. */
export const npz = (images, labels) =>
  zip([
    ["images.npy", npy([images.length, 28, 28], joined(images.map((image) => Uint8Array.from(image))))],
    ["labels.npy", npy([labels.length], Uint8Array.from(labels))],
  ]);
