// A number of the Read panel as a row: what it reads, what else it may be, and what a person makes of it.

import { pill } from "./bars.js";
import { remove, type } from "./corrections.js";
import { doubtful, gradeOf, make, percent, sentence, shownText } from "./words.js";

/**
 * One number: its picture, what it reads, how sure, and under it what else it may be and what can be done.
 * acts: {choose, decided(next), undo}: it was clicked; a person decided it, next: and is done with it; as it was read.
 */
export function row(number, least, picture, acts) {
  const { text, confidence, alternatives, reasons, seen, status, rules_applied, written, value, values, edit } = number;
  const doubted = doubtful(number, least);
  const others = alternatives
    .filter((other) => other.confidence >= 0.0005)
    .map((other) => `${other.text || "nothing"} (${percent(other.confidence)})`)
    .join(", ");
  const button = make("button", {
    type: "button",
    className: "number-button",
    textContent: shownText(number),
    aria: { expanded: false },
  });
  button.addEventListener("click", acts.choose);
  const lines = edit ? (edit.kind === "corrected" || edit.kind === "deleted" ? [`It was read as ${text || "nothing"}.`] : []) : [
    ...(written === text ? [] : [`Written: ${written}.`]),
    ...(value === null || value === text || value === written ? [] : [`Value: ${value}.`]),
    ...(values.length > 1 ? [`Possible values: ${values.join(" or ")}.`] : []),
    ...(doubted ? reasons.map(({ advice }) => sentence(advice)) : []),
    ...(status === "read" ? [] : [`Probability that nothing is written: ${percent(confidence)}.`]),
    ...(rules_applied === false ? ["Read without constraints: it cannot satisfy them."] : []),
    ...(seen === null ? [] : [`Without constraints it reads ${seen || "nothing"}.`]),
  ];
  const made = make(
    "li",
    { className: "row", data: { grade: gradeOf(number).name } },
    make("div", { className: "crop" }, picture),
    button,
    pill({ ...gradeOf(number), sure: edit || status === "unreadable" ? undefined : confidence }),
    make(
      "div",
      { className: "more-of-it" },
      ...(edit
        ? []
        : [
            make(
              "p",
              { className: "others" },
              ...(doubted ? [make("b", { textContent: "Review" }), ": "] : []),
              others ? `or ${others}` : "nothing else is probable",
            ),
          ]),
      ...lines.map((textContent) => make("p", { className: "advice", textContent })),
      editor(number, acts),
    ),
  );
  made.toggleAttribute("data-doubted", doubted);
  made.toggleAttribute("data-deleted", edit?.kind === "deleted");
  return made;
}

/** What corrects a number, shown where its row is open: a line to type in, and buttons. */
function editor(number, { decided, undo }) {
  const { edit, written, text } = number;
  const input = make("input", {
    className: "typed",
    value: edit?.text || written || text,
    autocomplete: "off",
    inputMode: "text",
    maxLength: 60,
    aria: { label: "Number" },
  });
  const accept = () => {
    const good = type(number, input.value);
    input.setAttribute("aria-invalid", !good);
    if (good) decided(true);
  };
  const form = make(
    "form",
    { className: "edit" },
    input,
    make("button", { type: "submit", textContent: "Accept" }),
    ...(edit?.kind === "deleted" ? [] : [action("Delete", () => (remove(number), decided(true)))]),
    ...(edit && !number.added ? [action("As read", undo)] : []),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    accept();
  });
  return form;
}

function action(textContent, act) {
  const button = make("button", { type: "button", textContent });
  button.addEventListener("click", act);
  return button;
}

const waiting = new WeakMap(); // canvases that nobody has seen yet, and what draws them
const near = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      waiting.get(target)();
      waiting.delete(target);
    }
  },
  { rootMargin: "300px" },
);

/** The number cut out of the picture as soon as it is scrolled near: of a thousand numbers few are looked at. */
export function lazyCrop(...asked) {
  const [canvas, draw] = cropper(...asked);
  waiting.set(canvas, draw);
  near.observe(canvas);
  return canvas;
}

/** The number cut out of the picture, so many pixels high. */
export function crop(...asked) {
  const [canvas, draw] = cropper(...asked);
  draw();
  return canvas;
}

function cropper(picture, [left, top, right, bottom], { width }, high = 64) {
  const scale = picture.naturalWidth / width;
  const room = (bottom - top) * 0.15;
  const [x, y, w, h] = [left - room, top - room, right - left + 2 * room, bottom - top + 2 * room].map(
    (v) => v * scale,
  );
  const canvas = make("canvas", {
    height: high,
    width: Math.min(Math.max((high * w) / h, 8), 7.5 * high),
    aria: { hidden: true },
  });
  return [canvas, () => canvas.getContext("2d").drawImage(picture, x, y, w, h, 0, 0, canvas.width, canvas.height)];
}
