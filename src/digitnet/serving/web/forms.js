// The Forms view: a scan of a blank form becomes a template, which is edited, checked, saved and tried on filled sheets.

import { checkForm, formExample, formKinds, openForm, readSheets } from "./api.js";
import { Form } from "./form.js";
import { FieldsView } from "./form_fields.js";
import { SheetView } from "./form_sheet.js";
import { TryView, doubtful } from "./form_try.js";
import { download, make } from "./words.js";
import { unzip, zip } from "./zip.js";

const REST = 150; // milliseconds without a change before the form is checked
const EXAMPLES = { marks: "Mark sheet", meters: "Meter readings", order: "Order form" };
const TYPES = { png: "image/png", json: "application/json" };

const $ = (id) => document.getElementById(id);

let about = null; // the kinds of fields and the examples, once they are known
let form = null;
let blank = ""; // the picture of the blank sheet, a data URL
let saved = null; // the template as it was opened or saved
let wrong = null; // the place of the field with a problem
let tried = null; // the template as the sheets were read by it
let sheet, fields, trial;
let checked = null; // the template as it was checked last
let timer = 0;
let turn = 0; // of checks: the answer of an earlier one is not looked at
let reading = new AbortController();
let source = []; // files that the form was opened from
let opened = 1; // page of the scan among them

export async function startForms() {
  sheet = new SheetView($("form-sheet"), { doubtful, said: (text) => ($("form-said").textContent = text), asked: () => fields.name() });
  sheet.onarm = (armed) => {
    $("form-draw").setAttribute("aria-pressed", armed);
    $("form-hint").textContent = armed ? "Drag on the sheet, or press the button again for a field in its middle. Escape cancels." : "";
  };
  fields = new FieldsView($("form-list"), $("form-settings"));
  trial = new TryView($("form-rows"), $("form-count"), showSheet);
  for (const [id, work] of [["form-files", takeForms], ["form-sheets", tryOn]])
    $(id).addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = ""; // the same file may be chosen again
      work(files);
    });
  const buttons = {
    draw: () => (sheet.armed ? sheet.place() : sheet.arm(true)),
    remove: () => form.remove(),
    undo: () => form.undo(),
    larger: () => sheet.zoom(1),
    smaller: () => sheet.zoom(-1),
    whole: () => sheet.zoom(0),
    save,
    close,
    again: () => tryOn(trial.files),
  };
  for (const [name, work] of Object.entries(buttons)) $(`form-${name}`).addEventListener("click", work);
  $("form-name").addEventListener("input", ({ target }) => form.edit("name", (state) => (state.name = target.value)));
  $("form-relations").addEventListener("input", ({ target }) => form.edit("relations", (state) => (state.relations = target.value)));
  $("form-page").addEventListener("change", ({ target }) => turnTo(target.valueAsNumber));
  for (const [id, place] of [["form-wide", 0], ["form-high", 1]])
    $(id).addEventListener("change", ({ target }) => {
      const size = [...form.state.page];
      size[place] = target.valueAsNumber;
      if (size[place] >= 20 && size[place] <= 600) form.setPage(...size);
      else target.value = form.state.page[place];
    });
  for (const [event, over] of [["dragover", true], ["dragleave", false], ["drop", false]])
    $("form-start").addEventListener(event, () => $("form-start").classList.toggle("over", over));
  $("form-problem").addEventListener("click", () => wrong !== null && form.select(wrong));
  $("forms").addEventListener("keydown", (event) => {
    if (event.key === "Escape") sheet.arm(false);
    const typing = event.target.matches("input:not([type=checkbox]), textarea");
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || typing || !form) return;
    event.preventDefault();
    form.undo();
  });
  addEventListener("beforeunload", (event) => unsaved() && event.preventDefault());
  await attempt(async () => {
    about = await formKinds();
    $("form-examples").append(...about.examples.map(exampleButton));
  });
}

/** Take files that were dropped: filled sheets where a form is open, else a form. */
export const takeForms = (files) => (form ? tryOn([...files]) : attempt(() => openFiles([...files])));

function exampleButton(name) {
  const button = make("button", { type: "button" }, EXAMPLES[name] ?? name);
  button.addEventListener("click", () => attempt(async () => open(await formExample(name))));
  return button;
}

/** Do something, and show what goes wrong. */
async function attempt(work) {
  trouble("");
  try {
    return await work();
  } catch (error) {
    return trouble(error.message);
  }
}

function trouble(text) {
  $("form-trouble").hidden = !text;
  $("form-trouble").textContent = text;
}

async function openFiles(files) {
  $("form-start").setAttribute("aria-busy", true);
  try {
    const packed = files.find(({ name }) => name.toLowerCase().endsWith(".zip"));
    source = packed ? await unpacked(packed) : files;
    open(await openForm(source, 1));
  } finally {
    $("form-start").removeAttribute("aria-busy");
  }
}

async function unpacked(file) {
  let found;
  try {
    found = await unzip(new Uint8Array(await file.arrayBuffer()));
  } catch {
    throw new Error(`${file.name}: not a ZIP file that was saved here; choose another`);
  }
  const kept = [...found].filter(([name]) => !name.startsWith("."));
  return kept.map(([name, bytes]) => new File([bytes], name, { type: TYPES[name.split(".").at(-1)] ?? "" }));
}

/** Propose a form from another page of the scan. */
async function turnTo(page) {
  const agreed = !unsaved() || confirm("Open another page? What was not saved is lost.");
  const other = agreed && page >= 1 && (await attempt(() => openForm(source, page)));
  if (other) open(other);
  else $("form-page").value = opened;
}

async function open({ template, picture, assumed, page, pages }) {
  about ??= await formKinds();
  form = new Form(template, about.kinds, changed);
  blank = picture;
  [saved, tried, wrong, checked] = [text(), null, null, null];
  $("form-start").hidden = $("forms-title").hidden = true;
  $("form-desk").hidden = false;
  $("form-saved").textContent = "";
  opened = page;
  $("form-pages").hidden = pages === 1;
  $("form-page-count").textContent = `of ${pages}`;
  [$("form-page").max, $("form-page").value] = [pages, page];
  $("form-assumed").hidden = !assumed;
  $("form-assumed").textContent = assumed ? `${assumed[0].toUpperCase()}${assumed.slice(1)}; if it has another size, correct it here.` : "";
  for (const [id, value] of [["form-name", form.state.name], ["form-relations", form.state.relations]]) $(id).value = value;
  fields.open(form);
  sheet.open(form, blank);
  trial.clear();
  const count = form.fields.length;
  $("form-said").textContent = `${count} ${count === 1 ? "field" : "fields"}`;
  if (count) form.select(0);
  else changed();
  $("form-name").focus({ preventScroll: true });
}

function close() {
  if (unsaved() && !confirm("Leave this form? What was not saved is lost.")) return;
  reading.abort();
  trial.clear();
  form = null;
  turn++;
  clearTimeout(timer);
  $("form-start").hidden = $("forms-title").hidden = false;
  $("form-desk").hidden = true;
  $("form-files").focus();
}

/** The template as it is; null where a setting cannot be understood. */
function text() {
  try {
    return form.json();
  } catch {
    return null;
  }
}

const unsaved = () => form !== null && text() !== saved;

/** Show the form after a change, and have it checked once the changes pause. */
function changed() {
  $("form-undo").disabled = !form.undoable;
  $("form-remove").disabled = !form.field;
  for (const [id, value] of [["form-name", form.state.name], ["form-relations", form.state.relations], ["form-wide", form.state.page[0]], ["form-high", form.state.page[1]]])
    if ($(id) !== document.activeElement) $(id).value = value;
  if (tried !== null && text() !== tried) {
    tried = null;
    reading.abort();
    trial.outdate();
    $("form-again").hidden = false;
  }
  sheet.draw();
  fields.draw(wrong);
  sheet.reveal();
  const now = text();
  if (now !== null && now === checked) return; // only what is selected has changed
  checked = now;
  clearTimeout(timer);
  timer = setTimeout(() => attempt(check), REST);
}

/** Check the form; return its file if it is in order, else null. Only the latest check is shown. */
async function check() {
  const mine = ++turn;
  let told;
  try {
    told = await checkForm(form.json(), Boolean(form.state.markers));
  } catch (error) {
    if (error.field === undefined) throw error;
    told = { problem: error.message, field: error.field };
  }
  const file = told.problem ? null : told.file;
  if (mine !== turn) return file;
  wrong = told.field;
  $("form-problem").hidden = !told.problem;
  if ($("form-problem").textContent !== (told.problem ?? "")) $("form-problem").textContent = told.problem ?? "";
  fields.draw(wrong);
  if (told.picture) {
    blank = told.picture;
    if (tried === null || !$("form-rows").querySelector("[aria-pressed=true]")) sheet.show(blank);
  }
  return file;
}

/** The files of the form: the template, and its reference picture where the sheet has no markers. */
async function files() {
  clearTimeout(timer);
  const asked = form;
  const name = form.state.name.trim();
  const file = await check();
  if (form !== asked) return null; // closed meanwhile
  if (file === null) {
    if (wrong !== null) form.select(wrong);
    $("form-problem").scrollIntoView({ block: "nearest" });
    return null;
  }
  const made = [[`${name}.form.json`, new TextEncoder().encode(file)]];
  if (!form.state.markers) made.push([`${name}.png`, bytesOf(blank)]);
  return made;
}

const bytesOf = (url) => Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));

const save = () =>
  attempt(async () => {
    const now = text(); // what is typed while the form is checked is not in the file
    const made = await files();
    if (!made) return;
    const name = form.state.name.trim();
    download(`${name}.zip`, zip(made), "application/zip");
    saved = now;
    const print = form.state.markers ? [", print blank sheets with ", make("code", {}, `digitnet form print ${name}.form.json --out ${name}.pdf`)] : [];
    $("form-saved").replaceChildren(
      `Saved as ${name}.zip. Unpack it`,
      ...print,
      ", and read filled ones with ",
      make("code", {}, `digitnet form read ${name}.form.json scans/ --out ${name}.csv`),
    );
  });

const tryOn = (sheets) =>
  attempt(async () => {
    if (!sheets.length) return;
    const template = sheets.find(({ name }) => /\.(form\.json|zip)$/i.test(name));
    if (template) throw new Error(`${template.name}: a template, but a form is open; press "Start over", then choose it again`);
    reading.abort();
    reading = new AbortController();
    const now = text();
    const made = await files();
    if (!made) return;
    tried = now;
    $("form-again").hidden = true;
    const own = made.map(([name, bytes]) => new File([bytes], name, { type: TYPES[name.split(".").at(-1)] }));
    const names = form.fields.map(({ name }) => name);
    await trial.read(sheets, names, (file, signal) => readSheets([...own, file], signal), reading.signal);
  });

function showSheet(read, asked) {
  if (form) sheet.show(read?.picture ?? blank, read?.fields ?? null);
  if (asked) $("form-sheet").scrollIntoView({ block: "nearest" });
}
