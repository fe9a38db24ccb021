// How sure an answer is, in words; and elements in one line.

/** 0.983 -> "98%"; never "100%" unless it is certain. */
export function percent(p) {
  if (p >= 0.9995) return ">\u00a099.9%"; // a space that no line ends at
  if (p > 0.99) return `${(100 * p).toFixed(1)}%`;
  return p > 0 && p < 0.005 ? "<\u00a01%" : `${Math.round(100 * p)}%`;
}

const GRADES = [
  { least: 0.99, name: "sure", icon: "✓", word: "Very sure" },
  { least: 0.95, name: "sure", icon: "✓", word: "Sure" },
  { least: 0.8, name: "doubt", icon: "?", word: "Fairly sure" },
  { least: 0.5, name: "doubt", icon: "?", word: "Doubtful" },
  { least: 0, name: "guess", icon: "!", word: "A guess" },
];

/** The grade of a confidence: its name for the style sheet, an icon and a word, so that colour never speaks alone. */
export const grade = (p) => GRADES.find(({ least }) => p >= least) ?? GRADES.at(-1);

/** What a number reads: its digits, or that its field is empty or unreadable; a person's own word as it was typed. */
export const shownText = ({ text, status, edit }) =>
  edit && edit.kind !== "deleted" ? edit.text || "…" : edit ? "deleted" : status === "read" ? text : status;

/** The grade of a number: an unreadable one is never sure, whatever its confidence says of there being nothing. */
export const gradeOf = ({ confidence, status, edit }) =>
  edit ? { ...GRADES[0], word: sentence(edit.kind).slice(0, -1) } : status === "unreadable" ? { ...GRADES.at(-1), word: "Unreadable" } : grade(confidence);

/** Whether a number is for a person; as `Number.accepted` has it. What a person has decided no longer is. */
export const doubtful = ({ confidence, status, edit }, least) =>
  edit ? edit.kind === "added" && !edit.text : status === "unreadable" || confidence < least;

export const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

/** Make an element: properties as they are named in the DOM, `data` and `aria` as objects, then what is in it. */
export function make(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria))
    element.setAttribute(name === "role" ? name : `aria-${name}`, value);
  element.append(...children);
  return element;
}

/** Make an SVG element: attributes, then what is in it. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Let the browser save content as a file of this name. */
export function download(name, content, type) {
  const href = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** Paint values on a canvas, a pixel each, row after row: white is most, as networks have it, or colour(value, place). */
export function pixels(canvas, values, width, colour = null) {
  const height = values.length / width;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  const { data } = image;
  values.forEach((value, i) => {
    const at = 4 * i;
    if (colour) data.set(colour(value, i), at);
    else data[at] = data[at + 1] = data[at + 2] = value;
    data[at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
