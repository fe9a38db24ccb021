// Trying a form: filled sheets are read by it as it is now, and shown as the rows of a table.

import { make, percent } from "./words.js";

const LEAST = 0.95; // confidence below which a value is marked
const WORDS = { read: "read", partial: "a corner is missing", blank: "nothing filled in", refused: "not read" };
const STATES = { empty: "empty", unreadable: "not readable", ambiguous: "ambiguous", hidden: "not visible", written: "written" };

/** Whether a person should look at what was read in a field. */
export const doubtful = ({ status, confidence }) =>
  ["unreadable", "ambiguous", "hidden"].includes(status) || (status !== "written" && confidence < LEAST);

export class TryView {
  #table;
  #count;
  #show;
  #rows = []; // {file, page, pages, sheet} or {file, error}, in the order of the files
  #chosen = null;

  /** show(sheet, asked): a sheet is to be shown under the fields, or the blank one for null; asked: it was asked for. */
  constructor(table, count, show) {
    Object.assign(this, { files: [] });
    this.#table = table;
    this.#count = count;
    this.#show = show;
  }

  /** Read files by a form: read(file) gives the pages of one. Ends early once `signal` is aborted. */
  async read(files, names, read, signal) {
    this.files = files;
    this.#rows = [];
    this.#choose(null);
    for (const [i, file] of files.entries()) {
      this.#draw(names, `Reading ${i + 1} of ${files.length} …`);
      let rows;
      try {
        const pages = await read(file, signal);
        rows = pages.map((sheet, page) => ({ file: file.name, page: page + 1, pages: pages.length, sheet }));
      } catch (error) {
        if (error.name === "AbortError") return;
        rows = [{ file: file.name, error: error.message }];
      }
      if (signal.aborted) return;
      this.#rows.push(...rows);
    }
    this.#draw(names);
    this.#choose(this.#rows.findIndex(({ sheet }) => sheet?.picture));
  }

  /** Take the rows away: they are not of this form any more. */
  clear() {
    this.files = [];
    this.#rows = [];
    this.#choose(null);
    this.#table.replaceChildren();
    this.#count.textContent = "";
  }

  /** The form has changed since the sheets were read. */
  outdate() {
    if (!this.#rows.length) return;
    this.#count.textContent = "The form has changed since; read the sheets again.";
    if (this.#chosen !== null) this.#show(null);
    this.#chosen = null;
    this.#mark();
  }

  #draw(names, progress = null) {
    const head = ["Sheet", "Status", ...names, "Notes"].map((text) => make("th", { scope: "col" }, text));
    const rows = this.#rows.map((row, i) => this.#row(row, i, names));
    this.#table.replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
    this.#mark();
    const answers = this.#rows.flatMap(({ sheet }) => Object.values(sheet?.fields ?? {}));
    const failed = this.#rows.filter(({ sheet }) => !sheet || sheet.status === "refused").length;
    const sheets = `${this.#rows.length} ${this.#rows.length === 1 ? "sheet" : "sheets"}`;
    this.#count.textContent = progress ?? `${sheets}, ${failed} not read; ${answers.filter(doubtful).length} of ${answers.length} fields to check`;
  }

  #row({ file, page, pages, sheet, error }, place, names) {
    const title = pages > 1 ? `${file}, page ${page}` : file;
    const button = make("button", { type: "button", aria: { pressed: false }, disabled: !sheet?.picture }, title);
    button.addEventListener("click", () => this.#choose(place === this.#chosen ? null : place, true));
    const head = make("th", { scope: "row" }, button);
    const status = make("td", {}, error ? "error" : WORDS[sheet.status]);
    const notes = make("td", { className: "notes" }, make("div", {}, error ?? sheet.notes.join("; ")));
    if (!error && sheet.status !== "refused") {
      const cells = names.map((name) => this.#cell(sheet.fields[name]));
      return make("tr", {}, head, status, ...cells, notes);
    }
    notes.colSpan = names.length + 1; // a sheet without values shows the reason in their place, visible without scrolling
    return make("tr", { data: { failed: "" } }, head, status, notes);
  }

  #cell(answer) {
    if (!answer) return make("td");
    const { text, name, status, confidence } = answer;
    const shown = [text || STATES[status], name].filter(Boolean).join(" · ");
    const cell = make("td", { title: percent(confidence) }, shown);
    if (doubtful(answer)) {
      cell.dataset.doubt = "";
      cell.append(make("span", { className: "icon" }, " ?"), make("span", { className: "offscreen" }, ` doubtful, ${percent(confidence)}`));
    } else if (status !== "read") cell.classList.add("muted");
    return cell;
  }

  #choose(place, asked = false) {
    this.#chosen = place !== null && place >= 0 ? place : null;
    this.#mark();
    this.#show(this.#chosen === null ? null : this.#rows[this.#chosen].sheet, asked);
  }

  #mark() {
    [...this.#table.querySelectorAll("tbody button")].forEach((button, i) => button.setAttribute("aria-pressed", i === this.#chosen));
  }
}
