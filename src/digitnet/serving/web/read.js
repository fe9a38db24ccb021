// The Read panel: files in, numbers out, each beside its place on the page.

import { read } from "./api.js";
import { pill } from "./bars.js";
import { overlay } from "./overlay.js";
import { asCsv, asJson, asText, pagesOf } from "./results.js";
import { doubtful, gradeOf, make, percent, sentence, shownText } from "./words.js";

const FLAT = 2.2; // times as wide as high: such a page has its numbers below, not beside it

const element = (id) => document.getElementById(id);

let items = []; // {file, picture, pages or error}: what was given, and what was read of it
let stop = new AbortController();

export function startRead() {
  for (const id of ["files", "camera"]) {
    element(id).addEventListener("change", ({ target }) => {
      take(target.files);
      target.value = ""; // the same file may be chosen again
    });
  }
  const drop = element("drop");
  for (const [event, over] of [
    ["dragover", true],
    ["dragleave", false],
    ["drop", false],
  ]) {
    drop.addEventListener(event, () => drop.classList.toggle("over", over));
  }
  let frame;
  element("least").addEventListener("input", () => {
    cancelAnimationFrame(frame); // a slider tells more often than hundreds of rows can be made anew
    frame = requestAnimationFrame(showAll);
  });
  element("only").addEventListener("change", showAll);
  element("rules").addEventListener("change", readAgain);
  element("rules").addEventListener("submit", (event) => event.preventDefault());
  element("copy").addEventListener("click", copy);
  element("csv").addEventListener("click", () => save("numbers.csv", "text/csv", asCsv(pagesOf(items), least())));
  element("json").addEventListener("click", () =>
    save("numbers.json", "application/json", asJson(pagesOf(items), least())),
  );
  element("forget").addEventListener("click", forget);
}

/** Take files and read them, one after the other, in the order they were given. */
export async function take(files) {
  const added = [...files].map((file) => ({ file, place: make("section", { className: "file" }) }));
  items.push(...added);
  element("pages").append(...added.map(({ place }) => place));
  await readThem(added);
}

async function readThem(some) {
  const { signal } = stop;
  for (const item of some) Object.assign(item, { pages: null, error: null });
  showAll();
  for (const item of some) {
    if (signal.aborted) return;
    try {
      item.picture ??= await shown(item.file);
      item.pages = (await read(item.file, rules(), signal)).pages;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      item.error = problem.message;
    }
    if (signal.aborted) return;
    show(item);
    count();
  }
}

async function readAgain() {
  stop.abort();
  stop = new AbortController();
  await readThem(items);
}

function forget() {
  stop.abort();
  stop = new AbortController();
  for (const { picture } of items) if (picture) URL.revokeObjectURL(picture.src);
  items = [];
  element("pages").replaceChildren();
  count();
  element("files").focus();
}

const least = () => element("least").value / 100;
const rules = () => ({
  ...Object.fromEntries(new FormData(element("rules"))),
  single: element("rules").single.checked,
});

/** The file as a picture; null where the browser cannot show its kind. */
async function shown(file) {
  const picture = Object.assign(new Image(), { src: URL.createObjectURL(file), alt: `The image ${file.name}` });
  return picture.decode().then(
    () => picture,
    () => (URL.revokeObjectURL(picture.src), null),
  );
}

function showAll() {
  element("least-out").value = `${element("least").value}%`;
  items.forEach(show);
  count();
}

function count() {
  const pages = pagesOf(items);
  const whole = pages.filter(({ reading }) => reading);
  const numbers = whole.flatMap(({ reading }) => reading.numbers);
  const doubted = numbers.filter((number) => doubtful(number, least())).length;
  const waiting = items.filter(({ pages, error }) => !pages && !error).length;
  const many = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  element("summary").hidden = !items.length;
  element("count").textContent = waiting
    ? `Reading ${items.length - waiting + 1} of ${items.length} …`
    : `${many(numbers.length, "number")} on ${many(whole.length, "page")}, ${doubted} to review`;
  for (const id of ["copy", "csv", "json"]) element(id).disabled = waiting > 0;
}

function show(item) {
  const { file, pages, error, place } = item;
  if (error)
    return place.replaceChildren(
      title(file.name),
      make("p", { className: "trouble", textContent: error, aria: { role: "alert" } }),
    );
  if (!pages)
    return place.replaceChildren(title(file.name), make("p", { className: "muted", textContent: "Reading …" }));
  place.replaceChildren(
    ...pages.flatMap((reading, i) => [
      title(pages.length > 1 ? `${file.name}, page ${i + 1} of ${pages.length}` : file.name),
      pageView(reading, pages.length > 1 ? null : item.picture),
    ]),
  );
}

const title = (text) => make("h3", { textContent: text });

function pageView(reading, picture) {
  const rows = reading.numbers.map((number, i) =>
    row(number, picture && crop(picture, number.box, reading), () => choose(i)),
  );
  const only = element("only").checked;
  const choose = (i) => {
    const open = rows[i].toggleAttribute("data-open");
    rows[i].querySelector("button").setAttribute("aria-expanded", open);
    rows[i].querySelector("button").focus({ preventScroll: false });
  };
  const point = (i) => {
    rows.forEach((each, j) => each.classList.toggle("pointed", i === j));
    groups.forEach((each, j) => each.classList.toggle("pointed", i === j));
  };
  const sheet = overlay(reading, picture, { least: least(), choose, point });
  const groups = [...sheet.querySelectorAll(".number")];
  rows.forEach((each, i) => {
    for (const event of ["pointerenter", "focusin"]) each.addEventListener(event, () => point(i));
    for (const event of ["pointerleave", "focusout"]) each.addEventListener(event, () => point(null));
    each.hidden = only && !doubtful(reading.numbers[i], least());
  });
  const nothing = make(
    "p",
    { className: "muted" },
    "No number found. If the image contains only one number, select “Each image contains one number”.",
  );
  const flat = reading.width > FLAT * reading.height;
  return make(
    "div",
    { className: flat ? "reading flat" : "reading" },
    sheet,
    rows.length ? table(rows, reading) : nothing,
  );
}

function table(rows, { rules }) {
  return make(
    "div",
    { className: "numbers" },
    ...(rules ? [make("p", { className: "muted", textContent: `Constraints, for numbers that can satisfy them: ${rules}.` })] : []),
    make("ol", {}, ...rows),
  );
}

/** One number: its picture, what it reads, how sure, and under it what else it may be and what can be done. */
function row(number, picture, choose) {
  const { text, confidence, alternatives, reasons, seen, status, rules_applied, written, value, values } = number;
  const doubted = doubtful(number, least());
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
  button.addEventListener("click", choose);
  const lines = [
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
    ...(picture ? [make("div", { className: "crop" }, picture)] : []),
    button,
    pill({ ...gradeOf(number), sure: status === "unreadable" ? undefined : confidence }),
    make(
      "div",
      { className: "more-of-it" },
      make(
        "p",
        { className: "others" },
        ...(doubted ? [make("b", { textContent: "Review" }), ": "] : []),
        others ? `or ${others}` : "nothing else is probable",
      ),
      ...lines.map((textContent) => make("p", { className: "advice", textContent })),
    ),
  );
  made.toggleAttribute("data-doubted", doubted);
  return made;
}

/** The number cut out of the picture. */
function crop(picture, [left, top, right, bottom], { width }) {
  const scale = picture.naturalWidth / width;
  const room = (bottom - top) * 0.15;
  const [x, y, w, h] = [left - room, top - room, right - left + 2 * room, bottom - top + 2 * room].map(
    (v) => v * scale,
  );
  const canvas = make("canvas", {
    height: 64,
    width: Math.min(Math.max((64 * w) / h, 8), 480),
    aria: { hidden: true },
  });
  canvas.getContext("2d").drawImage(picture, x, y, w, h, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function copy() {
  const text = asText(pagesOf(items), least());
  try {
    await navigator.clipboard.writeText(text);
    element("copy").textContent = "Copied";
  } catch {
    element("copy").textContent = "Not allowed here"; // browsers give the clipboard to https and localhost alone
  }
  setTimeout(() => (element("copy").textContent = "Copy as text"), 2000);
}

function save(download, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href, download }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
