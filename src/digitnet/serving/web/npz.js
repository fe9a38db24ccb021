// Digits as NumPy's .npz, which digitnet reads as a data set: a ZIP archive of arrays, stored as they are.

import { joined, zip } from "./zip.js";

/** An array of bytes as a .npy file. */
function npy(shape, data) {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${sides}), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8]);
  return joined([head, new TextEncoder().encode(padded), data]);
}

/** images: n arrays of 784 bytes, 255 ink; labels: n digits. */
export const npz = (images, labels) =>
  zip([
    ["images.npy", npy([images.length, 28, 28], joined(images.map((image) => Uint8Array.from(image))))],
    ["labels.npy", npy([labels.length], Uint8Array.from(labels))],
  ]);
