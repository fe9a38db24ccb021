// The bars of an answer and its pill.

import { NO_DIGIT } from "./verdict.js";
import { make, percent } from "./words.js";

const NAMES = [..."0123456789", "not a digit"];

/** Show shares 0..1 on a list: eleven, and those of signs; best: the place that is marked, by default the highest. */
export function showBars(list, shares, signs = [], best = shares.indexOf(Math.max(...shares))) {
  const names = [...NAMES, ...signs];
  if (list.dataset.names !== String(names)) list.replaceChildren(...names.map(empty));
  list.dataset.names = names;
  [...list.children].forEach((row, place) => {
    const share = shares[place] ?? 0;
    row.toggleAttribute("data-best", place === best && share > 0);
    row.querySelector(".bar").style.height = `${100 * share}%`;
    row.querySelector(".value").textContent = share >= 0.005 ? percent(share) : "";
  });
}

function empty(name, place) {
  const label = make("span", { className: "digit", textContent: place > NO_DIGIT ? name.slice(0, 2) : name });
  if (place === NO_DIGIT)
    label.replaceChildren(make("span", { textContent: "∅", title: name, aria: { hidden: true } }), make("span", { className: "offscreen", textContent: name }));
  return make("li", {}, label, make("span", { className: "track" }, make("span", { className: "bar" })), make("span", { className: "value" }));
}

/** How sure an answer is, in a word with an icon; sure: 0..1, or undefined for no number. */
export const pill = ({ name, icon, word, sure }) =>
  make(
    "span",
    { className: "pill", data: { grade: name } },
    make("span", { textContent: icon, aria: { hidden: true } }),
    make("span", { textContent: word }),
    ...(sure === undefined ? [] : [make("b", { textContent: percent(sure) })]),
  );
