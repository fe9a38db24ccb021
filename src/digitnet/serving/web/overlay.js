// A page as it was read: the picture, or paper of its proportion where the browser cannot show it, and boxes over it.

import { doubtful, gradeOf, make, percent, shownText } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Make the picture with a box around every number. choose(i) and point(i or null): clicked, and hovered. */
export function overlay(reading, picture, { least, choose, point }) {
  const { width, height, numbers } = reading;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": true });
  numbers.forEach((number, i) => {
    const group = draw("g", { class: "number", "data-grade": gradeOf(number).name });
    group.classList.toggle("doubted", doubtful(number, least));
    group.append(
      draw("title", {}, tip(number)),
      ...(picture ? [] : written(number)),
      box(number.box),
      label(number, reading),
    );
    group.addEventListener("click", () => choose(i));
    group.addEventListener("pointerenter", () => point(i));
    group.addEventListener("pointerleave", () => point(null));
    svg.append(group);
  });
  const sheet = make("div", { className: picture ? "page" : "page blank" }, ...(picture ? [picture] : []), svg);
  sheet.style.aspectRatio = `${width} / ${height}`;
  return sheet;
}

function draw(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function box([left, top, right, bottom]) {
  const room = Math.max(2, (bottom - top) * 0.1);
  return draw("rect", {
    x: left - room,
    y: top - room,
    width: right - left + 2 * room,
    height: bottom - top + 2 * room,
    rx: room,
  });
}

function label(number, { width, height }) {
  const { text, box: [left, top, , bottom] } = number;
  const size = Math.max(Math.min((bottom - top) * 0.45, width / 28), Math.max(width, height) / 75);
  const above = top - size * 0.45 > size;
  const y = above ? top - size * 0.45 : Math.min(bottom + size * 1.2, height - 2);
  const { icon } = gradeOf(number);
  return draw(
    "text",
    { x: Math.max(left, 2), y, "font-size": size },
    `${text || "–"}${icon === "✓" ? "" : ` ${icon}`}`,
  );
}

/** The digits themselves, where there is no picture to see them on. */
const written = ({ digits }) =>
  digits.map(({ value, box: [left, top, right, bottom] }) =>
    draw(
      "text",
      {
        class: "written",
        x: (left + right) / 2,
        y: bottom,
        "font-size": (bottom - top) * 1.35,
        "text-anchor": "middle",
      },
      String(value),
    ),
  );

const tip = (number) =>
  [
    number.status === "read"
      ? `${number.text}, ${percent(number.confidence)}`
      : `${shownText(number)}; probability that nothing is written: ${percent(number.confidence)}`,
    ...number.alternatives
      .filter(({ confidence }) => confidence >= 0.001)
      .map((other) => `or ${other.text || "nothing"}, ${percent(other.confidence)}`),
    ...number.reasons.map(({ advice }) => advice),
  ].join("\n");
