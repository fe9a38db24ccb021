// How one value of a map comes about: pixels times weights, their sum, and what is done to it.

import { make, pixels } from "./words.js";

const WORDS = {
  Relu: ({ from, after }) => (from[0] < 0 ? "A negative value becomes 0." : `ReLU keeps it: ${short(after)}.`),
  MaxPool: ({ from, after }) => `Pooling keeps the largest of ${from.length} neighbours: ${short(after)}.`,
  BatchNormalization: ({ after }) => `Normalised: ${short(after)}.`,
  Add: ({ from: [before, more], after }) => `Added to the map that came in: ${short(before)} + ${short(more)} = ${short(after)}.`,
  Identity: () => "",
};

/** Show the map, its value at y and x with how it was computed, in an element; pick(y, x): another was chosen. */
export function showArithmetic(root, { layer, channel, map, y, x, how, first }, pick) {
  const focused = root.contains(document.activeElement);
  const large = enlarged(layer, channel, map, y, x, pick);
  const value = `Value at row ${y + 1}, column ${x + 1}: `;
  root.replaceChildren(
    large,
    make(
      "div",
      { className: "sum" },
      make("p", {}, make("strong", { textContent: `Filter ${channel + 1}. ` }), value, make("b", { textContent: short(map[y * layer.width + x]) })),
      ...(how?.conv ? product(how.conv, first) : []),
      make("p", { textContent: (how?.steps ?? []).map((step) => WORDS[step.op](step)).join(" ") }),
    ),
  );
  if (focused) large.focus();
}

/** The map, large: a place is chosen by the pointer or the arrow keys. */
function enlarged({ height, width }, channel, map, y, x, pick) {
  const most = Math.max(...map, 1e-9);
  const button = make("button", { type: "button", className: "large" });
  button.setAttribute("aria-label", `Filter ${channel + 1}, row ${y + 1} of ${height}, column ${x + 1} of ${width}; arrow keys choose another place`);
  const mark = make("span", { className: "window" });
  Object.assign(mark.style, { top: `${(100 * y) / height}%`, left: `${(100 * x) / width}%`, width: `${100 / width}%`, height: `${100 / height}%` });
  button.append(pixels(make("canvas"), Array.from(map, (value) => (255 * Math.max(value, 0)) / most), width), mark);
  button.addEventListener("click", ({ detail, offsetX, offsetY }) => {
    if (!detail) return; // by the keyboard: there is no place
    const place = (offset, side, cells) => Math.min(Math.max(Math.floor((offset / side) * cells), 0), cells - 1);
    pick(place(offsetY, button.clientHeight, height), place(offsetX, button.clientWidth, width));
  });
  button.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    pick(Math.min(Math.max(y + move[0], 0), height - 1), Math.min(Math.max(x + move[1], 0), width - 1));
  });
  return button;
}

function product({ kernel, maps, bias, sum }, first) {
  const strongest = maps.reduce((most, map) => (Math.abs(map.sum) > Math.abs(most.sum) ? map : most));
  const { from, by } = strongest;
  const products = from.map((value, i) => value * by[i]);
  const grids = make(
    "div",
    { className: "grids" },
    grid(first ? "pixels" : `map ${strongest.map + 1} below`, from, kernel),
    sign("×"),
    grid("filter", by, kernel, true),
    sign("="),
    grid("products", products, kernel, true),
  );
  const more = [...(maps.length > 1 ? [`all ${maps.length} maps below`] : []), ...(bias ? [`the bias ${short(bias)}`] : [])];
  const all = more.length ? `; with ${more.join(" and ")} it is ${short(sum)}.` : ".";
  return [grids, make("p", { textContent: `Their sum is ${short(strongest.sum)}${all}` })];
}

const sign = (textContent) => make("span", { className: "sign", textContent, aria: { hidden: true } });

function grid(name, values, [, width], signed = false) {
  const most = Math.max(...values.map(Math.abs), 1e-9);
  const cells = make("div", { className: "cells", aria: { role: "img", label: `${name}: ${values.map(short).join(", ")}` } });
  cells.style.setProperty("--wide", width);
  for (const value of values) {
    const cell = make("span", { textContent: short(value), data: { sign: signed && value < 0 ? "minus" : "plus" } });
    cell.style.setProperty("--strength", `${Math.round((45 * Math.abs(value)) / most)}%`);
    cells.append(cell);
  }
  return make("figure", {}, cells, make("figcaption", { textContent: name }));
}

const short = (value) => value.toFixed(2).replace("-", "−").replace(/^−(0\.00)$/, "$1");
