// Beside the sheet: the list of a form's fields, and the settings of the one that is selected.

import { make } from "./words.js";

const KINDS = {
  digits: "number",
  comb: "number in cells (comb)",
  integer: "whole number with a sign",
  decimal: "decimal",
  date: "date",
  time: "time",
  phone: "telephone number",
  fraction: "fraction",
  mark: "box to tick",
  choice: "choice of several boxes",
  area: "free writing",
};
const CHECKSUMS = {
  "": "none",
  luhn: "Luhn: cards, customer numbers",
  isbn: "ISBN",
  ean: "EAN, UPC",
  "iban-digits-de": "IBAN, Germany",
};
const DECIMALS = { "": "either", ".": "a point", ",": "a comma" };
const ORDERS = { "": "any", dmy: "day, month, year", mdy: "month, day, year", ymd: "year, month, day" };
const EDGES = [["Left", 0], ["Top", 1], ["Width", 2], ["Height", 3]];

export class FieldsView {
  #list;
  #settings;
  #form = null;
  #shown = ""; // what the settings were made for
  #updates = []; // what brings the values of the settings up to date

  constructor(list, settings) {
    this.#list = list;
    this.#settings = settings;
    list.addEventListener("keydown", (event) => this.#step(event));
  }

  open(form) {
    this.#form = form;
    this.#shown = "";
  }

  /** Show the form as it is now; wrong: the place of a field with a problem, or null. */
  draw(wrong) {
    const form = this.#form;
    const focused = this.#list.contains(document.activeElement);
    const current = form.selected?.field ?? 0;
    this.#list.replaceChildren(...form.fields.map((field, i) => this.#chip(field, i, i === current, i === wrong)));
    if (focused) this.#list.children[current]?.focus();
    const { field, selected } = form;
    const shown = field ? [selected.field, selected.option, field.kind, field.options.length].join() : "none";
    if (shown !== this.#shown) this.#build(field);
    this.#shown = shown;
    for (const update of this.#updates) update();
  }

  /** Let the name be typed. */
  name() {
    const input = this.#settings.querySelector("input");
    input?.focus();
    input?.select();
  }

  #chip(field, place, current, wrong) {
    const chosen = this.#form.selected?.field === place;
    const button = make("button", { type: "button", tabIndex: current ? 0 : -1, aria: { pressed: chosen } }, field.name || "…");
    button.classList.toggle("wrong", wrong);
    const about = [field.name, KINDS[field.kind], ...(field.required ? ["required"] : []), ...(wrong ? ["has a problem"] : [])];
    button.setAttribute("aria-label", about.join(", "));
    button.title = about.slice(1).join(", ");
    button.addEventListener("click", () => this.#form.select(place));
    return button;
  }

  #step(event) {
    const at = this.#form.selected?.field ?? 0;
    const last = this.#form.fields.length - 1;
    const ways = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last };
    const next = ways[event.key];
    if (event.key === "Delete") this.#form.remove();
    else if (next === undefined || next < 0 || next > last) return;
    else this.#form.select(next);
    event.preventDefault();
  }

  #build(field) {
    this.#updates = [];
    if (!field) {
      const hint = this.#form.fields.length
        ? "Select a field here or on the sheet, or drag on the sheet to draw one."
        : "Drag on the sheet to draw the first field.";
      return this.#settings.replaceChildren(make("p", { className: "muted" }, hint));
    }
    const keys = this.#form.kinds[field.kind];
    const has = (key, ...controls) => (keys.includes(key) ? controls : []);
    this.#settings.replaceChildren(
      this.#text("Name", "name", { spellcheck: false }),
      this.#text("Label", "label", { placeholder: "as on the sheet" }),
      this.#choice("Kind", "kind", Object.fromEntries(Object.keys(this.#form.kinds).map((kind) => [kind, KINDS[kind] ?? kind])), "wide"),
      ...has("cells", this.#text("Cells", "cells", { type: "number", min: 1, max: 60 })),
      ...has("length", this.#text("Digits", "length", { placeholder: "5 or 4-6" })),
      ...has("range", this.#text("Value", "range", { placeholder: "0..100" })),
      ...has("decimal", this.#choice("Decimal separator", "decimal", DECIMALS)),
      ...has("decimals", this.#text("Digits after it", "decimals", { type: "number", min: 1, max: 6 })),
      ...has("checksum", this.#choice("Check digit", "checksum", CHECKSUMS)),
      ...has("order", this.#choice("Order", "order", ORDERS)),
      ...has("values", this.#values()),
      ...has("options", this.#options(field)),
      make("div", { className: "checks wide" }, this.#check("Required", "required"), this.#check("Two people must agree on it", "critical")),
      this.#edges(),
    );
  }

  /** Change the field that is selected, one setting of it. */
  #set(key, value) {
    const { field } = this.#form.selected;
    this.#form.edit(`${key} of ${field}`, ({ fields }) => (fields[field][key] = value));
  }

  #text(label, key, properties = {}) {
    const input = make("input", { type: "text", autocomplete: "off", ...properties });
    input.addEventListener("input", () => this.#set(key, input.value));
    return this.#labelled(label, input, () => this.#form.field[key]);
  }

  #choice(label, key, options, className = "") {
    const select = make("select", {}, ...Object.entries(options).map(([value, text]) => new Option(text, value)));
    select.addEventListener("change", () => {
      if (key !== "kind") return this.#set(key, select.value);
      this.#form.setKind(select.value);
      this.#settings.querySelector("select").focus(); // the settings are others now
    });
    return this.#labelled(label, select, () => this.#form.field[key], className);
  }

  #check(label, key) {
    const input = make("input", { type: "checkbox" });
    input.addEventListener("change", () => this.#set(key, input.checked));
    this.#updates.push(() => (input.checked = this.#form.field[key]));
    return make("label", { className: "check" }, input, ` ${label}`);
  }

  #values() {
    const area = make("textarea", { rows: 2, spellcheck: false, placeholder: "20418 Amara Diallo\n20419 Ben Fischer" });
    area.addEventListener("input", () => this.#set("values", area.value));
    return this.#labelled("Permitted numbers with their names, one per line", area, () => this.#form.field.values, "wide");
  }

  #labelled(label, input, value, className = "") {
    this.#updates.push(() => input !== document.activeElement && input.value !== value() && (input.value = value()));
    return make("label", { className }, label, input);
  }

  #options(field) {
    const rows = field.options.map((_, i) => {
      const input = make("input", { type: "text", autocomplete: "off", aria: { label: `Value of option ${i + 1}` } });
      input.addEventListener("input", () => {
        const { field } = this.#form.selected;
        this.#form.edit(`option ${i} of ${field}`, ({ fields }) => (fields[field].options[i].value = input.value));
      });
      this.#updates.push(() => input !== document.activeElement && (input.value = this.#form.field.options[i].value));
      const chosen = this.#form.selected.option === i;
      const box = make("button", { type: "button", aria: { pressed: chosen, label: `Select the box of option ${i + 1}` } }, "Box");
      box.addEventListener("click", () => {
        this.#form.select(this.#form.selected.field, chosen ? null : i);
        this.#settings.querySelectorAll(".option button")[i]?.focus();
      });
      return make("div", { className: "option" }, input, box);
    });
    const more = make("button", { type: "button" }, "Add an option");
    more.addEventListener("click", () => {
      this.#form.addOption();
      this.#settings.querySelector(".option:nth-last-of-type(1) input")?.focus();
    });
    return make("div", { className: "options wide", aria: { role: "group", label: "Options" } }, make("span", {}, "Options: the value of each box"), ...rows, more);
  }

  #edges() {
    const inputs = EDGES.map(([label, place]) => {
      const input = make("input", { type: "number", step: 0.5, min: place < 2 ? 0 : 1 });
      const value = () => {
        const { box } = this.#form;
        return Number((place < 2 ? box[place] : box[place] - box[place - 2]).toFixed(1));
      };
      input.addEventListener("input", () => {
        if (input.value === "" || !Number.isFinite(input.valueAsNumber)) return;
        const by = input.valueAsNumber - value();
        const box = [...this.#form.box];
        if (place < 2) this.#form.move(place ? 0 : by, place ? by : 0, `${label} by number`);
        else this.#form.resize(box.map((edge, i) => (i === place ? edge + by : edge)), `${label} by number`);
      });
      input.addEventListener("change", () => (input.value = value()));
      this.#updates.push(() => input !== document.activeElement && (input.value = value()));
      return make("label", {}, label, input);
    });
    const which = this.#form.selected.option === null ? "Box, millimetres" : `Box of option ${this.#form.selected.option + 1}, millimetres`;
    return make("fieldset", { className: "edges wide" }, make("legend", {}, which), ...inputs);
  }
}
