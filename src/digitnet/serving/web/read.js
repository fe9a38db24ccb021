// The Read panel: files in, numbers out, each beside its place on the page, and corrected there.

import { read } from "./api.js";
import { added, carry, quarterTurned } from "./corrections.js";
import { overlay } from "./overlay.js";
import { asCsv, asJson, asText, pagesOf } from "./results.js";
import { crop, lazyCrop, row } from "./row.js";
import { doubtful, download, make } from "./words.js";

const FLAT = 2.2; // times as wide as high: such a page has its numbers below, not beside it

const element = (id) => document.getElementById(id);

// What was given, and what was read of it: {file, picture, views, turns, pages or error}. picture: the file as the browser
// shows it, or null. views: a picture of each page. turns: degrees clockwise by which each page is read.
let items = [];
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
    frame = requestAnimationFrame(judgeAll);
  });
  element("only").addEventListener("change", judgeAll);
  element("rules").addEventListener("change", readAgain);
  element("rules").addEventListener("submit", (event) => event.preventDefault());
  element("copy").addEventListener("click", copy);
  element("csv").addEventListener("click", () => download("numbers.csv", asCsv(pagesOf(items), least()), "text/csv"));
  element("json").addEventListener("click", () =>
    download("numbers.json", asJson(pagesOf(items), least()), "application/json"),
  );
  element("forget").addEventListener("click", forget);
  element("next").addEventListener("click", () => nextDoubtful());
  addEventListener("keydown", (event) => {
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (element("read").hidden || ctrlKey || metaKey || altKey) return;
    const here = target.closest?.(".row");
    if (key === "Escape" && here?.hasAttribute("data-open")) here.querySelector("button").click();
    if (key.toLowerCase() !== "n" || target.matches?.("input:not([type=range], [type=checkbox]), select, textarea")) return;
    event.preventDefault();
    nextDoubtful(here);
  });
  addEventListener("beforeunload", (event) => {
    if (items.length) event.preventDefault();
  });
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
  for (const item of some) Object.assign(item, { pages: null, error: null, before: item.pages ?? item.before });
  showAll();
  for (const item of some) {
    if (signal.aborted) return;
    try {
      item.picture ??= await shown(item.file);
      const pages = await readPages(item, signal);
      pages.forEach((page, i) => carry(item.before?.[i], page));
      item.pages = pages;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      item.error = problem.message;
    }
    if (signal.aborted) return;
    show(item);
    count();
  }
}

/** Read every page of a file as it is turned. */
async function readPages(item, signal) {
  const readAll = (picture) => read(item.file, { ...rules(), picture }, signal);
  let { pages } = await readAll(!item.picture && !item.views);
  if (item.picture && !item.views && pages.length > 1) ({ pages } = await readAll(true)); // it shows only the first page
  const views = await Promise.all(pages.map(viewOf));
  item.views ??= views.map((view) => view ?? item.picture);
  item.turns ??= pages.map(() => 0);
  for (const [i, turn] of item.turns.entries()) if (turn) pages[i] = await readPage(item, i, signal);
  return pages;
}

/** Read one page of a file as it is turned, and take the picture of it that comes with it. */
async function readPage(item, i, signal) {
  const { pages } = await read(item.file, { ...rules(), page: i + 1, turn: item.turns[i], picture: true }, signal);
  item.views[i] = await viewOf(pages[0]);
  return pages[0];
}

/** Take the picture out of a page that comes with one; null where there is none. */
async function viewOf(page) {
  const { picture } = page;
  delete page.picture;
  if (!picture) return null;
  const view = Object.assign(new Image(), { src: picture, alt: "The page as it was read" });
  await view.decode();
  return view;
}

/** Turn a page clockwise, and read it again. */
async function rotate(item, i) {
  const { signal } = stop;
  const before = quarterTurned(item.pages[i]);
  item.turns[i] = (item.turns[i] + 90) % 360;
  try {
    const page = await readPage(item, i, signal);
    carry(before, page);
    item.pages[i] = page;
  } catch (problem) {
    if (problem.name === "AbortError") return item.before && (item.before[i] = before); // all is being read again
    item.turns[i] = (item.turns[i] + 270) % 360;
    throw problem;
  }
  show(item);
  count();
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
  items.forEach(show);
  judgeAll();
}

/** Show by the limit of confidence which numbers are to be reviewed. */
function judgeAll() {
  element("least-out").value = `${element("least").value}%`;
  for (const { judges } of items) judges?.forEach((judge) => judge());
  count();
}

function count() {
  const pages = pagesOf(items);
  const whole = pages.filter(({ reading }) => reading);
  const numbers = whole.flatMap(({ reading }) => reading.numbers).filter(({ edit }) => edit?.kind !== "deleted");
  const doubted = numbers.filter((number) => doubtful(number, least())).length;
  const waiting = items.filter(({ pages, error }) => !pages && !error).length;
  const many = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  element("summary").hidden = !items.length;
  element("count").textContent = waiting
    ? `Reading ${items.length - waiting + 1} of ${items.length} …`
    : `${many(numbers.length, "number")} on ${many(whole.length, "page")}, ${doubted} to review`;
  for (const id of ["copy", "csv", "json"]) element(id).disabled = waiting > 0;
  element("next").disabled = !doubted;
}

function show(item) {
  const { file, pages, error, place } = item;
  item.judges = [];
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
      pageView(item, i),
    ]),
  );
}

const title = (text) => make("h3", { textContent: text });

function pageView(item, index) {
  const [reading, picture] = [item.pages[index], item.views[index]];
  const { numbers } = reading;
  const list = make("ol");
  const rows = [];
  const crops = [];
  const hidden = (i) => element("only").checked && !doubtful(numbers[i], least());
  const choose = (i, open = !rows[i].hasAttribute("data-open")) => {
    rows[i].toggleAttribute("data-open", open);
    const button = rows[i].querySelector("button");
    button.setAttribute("aria-expanded", open);
    const input = rows[i].querySelector(".typed");
    rows[i].scrollIntoView({ block: "nearest" });
    if (!open) return button.focus();
    input.focus();
    input.select();
  };
  const point = (i) => {
    rows.forEach((each, j) => each.classList.toggle("pointed", i === j));
    sheet.groups.forEach((each, j) => each.classList.toggle("pointed", i === j));
  };
  const renew = (i) => {
    const last = rows[i];
    place(i);
    last.remove();
    sheet.update(i);
  };
  const changed = (i, next) => {
    renew(i);
    count();
    if (next && nextDoubtful(rows[i])) rows[i].hidden = hidden(i);
    else rows[i].querySelector("button").focus();
  };
  const place = (i) => {
    crops[i] ??= lazyCrop(picture, numbers[i].box, reading);
    const made = row(numbers[i], least(), crops[i], {
      choose: () => choose(i),
      decided: (next) => changed(i, next),
      undo: () => {
        numbers[i].edit = null;
        changed(i, false);
      },
    });
    for (const event of ["pointerenter", "focusin"]) made.addEventListener(event, () => point(i));
    for (const event of ["pointerleave", "focusout"]) made.addEventListener(event, () => point(null));
    made.addEventListener("open", () => choose(i, true));
    if (rows[i]) rows[i].before(made);
    else list.append(made);
    rows[i] = made;
  };
  const sheet = overlay(reading, picture, { least, choose, point });
  numbers.forEach((_, i) => {
    place(i);
    rows[i].hidden = hidden(i);
  });
  item.judges.push(() =>
    rows.forEach((each, i) => {
      if (each.hasAttribute("data-doubted") !== doubtful(numbers[i], least())) renew(i);
      rows[i].hidden = hidden(i);
    }),
  );
  const add = async (box) => {
    drawing.setAttribute("aria-pressed", false);
    if (!box) return;
    numbers.push(added(box, await readCrop(crop(picture, box, reading, 120))));
    const i = numbers.length - 1;
    place(i);
    sheet.update(i);
    nothing.remove();
    count();
    choose(i, true);
  };
  let callOff = () => {};
  const drawing = make("button", { type: "button", textContent: "Add a number", aria: { pressed: false } });
  drawing.addEventListener("click", () => {
    callOff();
    const pressed = drawing.getAttribute("aria-pressed") !== "true";
    drawing.setAttribute("aria-pressed", pressed);
    callOff = pressed ? sheet.draw(add) : () => {};
  });
  const turn = make("button", { type: "button", textContent: "Rotate" });
  const trouble = make("p", { className: "trouble", aria: { role: "alert" }, hidden: true });
  turn.addEventListener("click", async () => {
    turn.disabled = true;
    try {
      await rotate(item, index);
      item.place.querySelectorAll(".rotate")[index]?.focus();
    } catch (problem) {
      Object.assign(trouble, { hidden: false, textContent: problem.message });
      turn.disabled = false;
    }
  });
  turn.classList.add("rotate");
  const nothing = make(
    "p",
    { className: "muted" },
    "No number found. If the image contains only one number, select “Each image contains one number”.",
  );
  const flat = reading.width > FLAT * reading.height;
  return make(
    "div",
    { className: flat ? "reading flat" : "reading" },
    sheet.sheet,
    make(
      "div",
      { className: "numbers" },
      ...(reading.rules
        ? [make("p", { className: "muted", textContent: `Constraints, for numbers that can satisfy them: ${reading.rules}.` })]
        : []),
      ...(numbers.length ? [] : [nothing]),
      list,
      make("p", { className: "buttons" }, drawing, turn),
      trouble,
    ),
  );
}

/** What the reader makes of a picture that holds one number; null where it cannot tell. */
async function readCrop(canvas) {
  const blob = await new Promise((done) => canvas.toBlob(done));
  try {
    const { pages } = await read(new File([blob], "number.png"), { ...rules(), single: true }, stop.signal);
    return pages[0].numbers[0] ?? null;
  } catch {
    return null; // whoever drew the box can type it
  }
}

/** Open the next number to review after a row, or from the first one on; false where there is none. */
function nextDoubtful(row = null) {
  const all = [...element("pages").querySelectorAll(".row[data-doubted]")].filter((each) => each !== row);
  const next = all.find((each) => !row || row.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING) ?? all[0];
  next?.dispatchEvent(new Event("open"));
  return Boolean(next);
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
