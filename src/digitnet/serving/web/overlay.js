// A page as it was read: the picture, and boxes over it.

import { current } from "./corrections.js";
import { doubtful, gradeOf, make, percent, shownText, svg } from "./words.js";

const LEAST = 4; // pixels of the page: what is smaller was a click

/**
 * Make the picture with a box around every number: {sheet, groups, update(i), draw(done)}.
 * choose(i) and point(i or null): clicked, and hovered. update: draws a number again, or for the first time; draw: lets
 * the next drag draw a box, which done(box) takes.
 */
export function overlay(reading, picture, { least, choose, point }) {
  const { width, height, numbers } = reading;
  const layer = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": true });
  const groups = [];
  const update = (i) => {
    const number = numbers[i];
    const group = svg("g", { class: "number", "data-grade": gradeOf(number).name });
    group.classList.toggle("doubted", doubtful(number, least()));
    group.classList.toggle("deleted", number.edit?.kind === "deleted");
    group.append(
      svg("title", {}, tip(number)),
      box(number.box),
      label(number, reading),
    );
    group.addEventListener("click", () => choose(i));
    group.addEventListener("pointerenter", () => point(i));
    group.addEventListener("pointerleave", () => point(null));
    if (groups[i]) groups[i].replaceWith(group);
    else layer.append(group);
    groups[i] = group;
  };
  numbers.forEach((_, i) => update(i));
  const sheet = make("div", { className: "page" }, picture, layer);
  sheet.style.aspectRatio = `${width} / ${height}`;
  return { sheet, groups, update, draw: (done) => drawBox(sheet, layer, reading, done) };
}

/** Let the next drag on the picture draw a box; returns what calls it off. */
function drawBox(sheet, layer, { width, height }, done) {
  const ended = new AbortController();
  const options = { signal: ended.signal };
  const at = ({ clientX, clientY }) => {
    const { left, top, width: wide, height: high } = layer.getBoundingClientRect();
    const [x, y] = [((clientX - left) / wide) * width, ((clientY - top) / high) * height];
    return [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)].map(Math.round);
  };
  let [from, rect] = [null, null];
  const cornersTo = ([x, y]) => [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
  const end = () => {
    sheet.classList.remove("drawing");
    rect?.remove();
    ended.abort();
  };
  sheet.classList.add("drawing");
  layer.addEventListener("pointerdown", (event) => {
    from = at(event);
    rect = svg("rect", { class: "drawn" });
    layer.append(rect);
    layer.setPointerCapture(event.pointerId);
    event.preventDefault();
  }, options);
  layer.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [left, top, right, bottom] = cornersTo(at(event));
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top }))
      rect.setAttribute(name, value);
  }, options);
  layer.addEventListener("pointerup", (event) => {
    const drawn = cornersTo(at(event));
    end();
    if (drawn[2] - drawn[0] >= LEAST && drawn[3] - drawn[1] >= LEAST) done(drawn);
    else done(null);
  }, options);
  return end;
}

function box([left, top, right, bottom]) {
  const room = Math.max(2, (bottom - top) * 0.1);
  return svg("rect", {
    x: left - room,
    y: top - room,
    width: right - left + 2 * room,
    height: bottom - top + 2 * room,
    rx: room,
  });
}

function label(number, { width, height }) {
  const [left, top, , bottom] = number.box;
  const size = Math.max(Math.min((bottom - top) * 0.45, width / 28), Math.max(width, height) / 75);
  const above = top - size * 0.45 > size;
  const y = above ? top - size * 0.45 : Math.min(bottom + size * 1.2, height - 2);
  const { icon } = gradeOf(number);
  return svg(
    "text",
    { x: Math.max(left, 2), y, "font-size": size },
    `${current(number).text || "–"}${icon === "✓" ? "" : ` ${icon}`}`,
  );
}

const tip = (number) =>
  [
    number.edit
      ? `${shownText(number)}: ${number.edit.kind}`
      : number.status === "read"
      ? `${number.text}, ${percent(number.confidence)}`
      : `${shownText(number)}; probability that nothing is written: ${percent(number.confidence)}`,
    ...number.alternatives
      .filter(({ confidence }) => confidence >= 0.001)
      .map((other) => `or ${other.text || "nothing"}, ${percent(other.confidence)}`),
    ...number.reasons.map(({ advice }) => advice),
  ].join("\n");
