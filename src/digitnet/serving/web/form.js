// A form as it is edited: its fields and what holds between them. Every change can be undone.
// Settings that are written as short texts, such as "4-6" digits, stay texts until the template is made of them.

export const SMALLEST = 1; // millimetres of a box's side
const TICK = 8; // millimetres of a side up to which a box that is drawn is one to tick
const STEPS = 500; // that can be undone

const LENGTH = /^(\d+)(?:\s*-\s*(\d+))?$/;
const RANGE = /^(-?\d+(?:\.\d+)?)?\s*\.\.\s*(-?\d+(?:\.\d+)?)?$/;

const round = (value) => Math.round(value * 10) / 10;
const quoted = (text) => JSON.stringify(text);
const object = (entries) => `{${entries.map(([name, json]) => `${quoted(name)}: ${json}`).join(", ")}}`;
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const inside = ([left, top, right, bottom], [l, t, r, b]) =>
  left < (l + r) / 2 && (l + r) / 2 < right && top < (t + b) / 2 && (t + b) / 2 < bottom;
const around = (boxes) => [0, 1, 2, 3].map((edge) => (edge < 2 ? Math.min : Math.max)(...boxes.map((box) => box[edge])));

/** Why there is no template yet: a line, and the place of the field, null for none. */
class Unclear extends Error {
  constructor(field, line) {
    super(line);
    this.field = field;
  }
}

export class Form {
  #past = [];
  #key = null;
  #tell;

  /** template: as the server opens it; kinds: the settings of each kind; tell: called after every change. */
  constructor(template, kinds, tell) {
    this.kinds = kinds;
    this.#tell = tell;
    const { fields, relations = [], page = [210, 297], markers = null, name, title = "", $schema = "" } = template;
    this.state = { $schema, name, title, page, markers, relations: relations.join("\n"), fields: fields.map(edited) };
    this.selected = null; // {field, option}: places in the lists, option null for the field itself
  }

  get fields() {
    return this.state.fields;
  }

  get field() {
    return this.selected && this.fields[this.selected.field];
  }

  /** The box that is selected, of a field or of one option of a choice. */
  get box() {
    if (!this.field) return null;
    return this.selected.option === null ? this.field.box : this.field.options[this.selected.option].box;
  }

  get undoable() {
    return this.#past.length > 0;
  }

  select(field, option = null) {
    this.#key = null;
    this.selected = field === null ? null : { field, option };
    this.#tell();
  }

  /** Change the form. Changes with the same key, one right after the other, are undone together. */
  edit(key, change) {
    if (key === null || key !== this.#key) this.#past.push(JSON.stringify([this.state, this.selected]));
    if (this.#past.length > STEPS) this.#past.shift();
    this.#key = key;
    change(this.state);
    this.#tell();
  }

  undo() {
    if (!this.undoable) return;
    [this.state, this.selected] = JSON.parse(this.#past.pop());
    this.#key = null;
    this.#tell();
  }

  /** Add a field, which is selected then. */
  add(box) {
    const [wide, high] = [box[2] - box[0], box[3] - box[1]];
    const kind = Math.max(wide, high) <= TICK ? "mark" : "digits";
    const names = new Set(this.fields.map(({ name }) => name));
    let number = this.fields.length + 1;
    while (names.has(`f${number}`)) number++;
    this.edit(null, ({ fields }) => {
      fields.push(edited({ name: `f${number}`, kind, box: box.map(round) }));
      this.selected = { field: fields.length - 1, option: null };
    });
  }

  /** Remove what is selected. */
  remove() {
    if (!this.field) return;
    const { field, option } = this.selected;
    this.edit(null, ({ fields }) => {
      if (option !== null) fields[field].options.splice(option, 1);
      else fields.splice(field, 1);
      const left = Math.min(field, fields.length - 1);
      this.selected = option !== null ? { field, option: null } : left < 0 ? null : { field: left, option: null };
    });
  }

  /** Give a field another kind. The boxes to tick within a choice become its options. */
  setKind(kind) {
    this.edit(null, ({ fields }) => {
      const field = this.field;
      const before = field.kind;
      field.kind = kind;
      if (kind === "comb" && !field.cells) {
        const [left, top, right, bottom] = field.box;
        field.cells = String(Math.max(1, Math.round((right - left) / (bottom - top) / 0.8)));
      }
      if (kind !== "choice" || field.options.length) return;
      const ticks = fields.filter((other) => other !== field && other.kind === "mark" && inside(field.box, other.box));
      ticks.sort((a, b) => a.box[1] - b.box[1] || a.box[0] - b.box[0]);
      const [left, top, right, bottom] = field.box;
      const own = before === "mark" ? field.box : [left, top, Math.min(right, left + Math.min(5, bottom - top)), Math.min(bottom, top + 5)];
      const boxes = ticks.length ? ticks.map(({ box }) => box) : [own];
      field.options = boxes.map((box, i) => ({ value: String(i + 1), box: [...box] }));
      this.state.fields = fields.filter((other) => !ticks.includes(other));
      this.selected = { field: this.fields.indexOf(field), option: null };
    });
  }

  /** Add an option to the choice that is selected, right of the last one or below it. */
  addOption() {
    const { field } = this.selected;
    this.edit(null, ({ fields, page }) => {
      const { options, box } = fields[field];
      const [left, top, right, bottom] = options.at(-1)?.box ?? [box[0] - 5, box[1], box[0], box[1] + 5];
      const wide = right - left;
      const next = right + 2 * wide <= page[0] ? [right + wide, top, right + 2 * wide, bottom] : [left, bottom, right, 2 * bottom - top];
      options.push({ value: String(options.length + 1), box: this.#within(next) });
      this.#hold(fields[field]);
      this.selected = { field, option: options.length - 1 };
    });
  }

  /** Move the box that is selected by so many millimetres; a choice takes its options along. */
  move(right, down, key = "move") {
    if (!this.box) return;
    this.edit(key, () => {
      const before = this.box;
      const after = this.#within(before.map((edge, i) => edge + (i % 2 ? down : right)));
      const [x, y] = [after[0] - before[0], after[1] - before[1]];
      if (this.selected.option === null)
        for (const each of this.field.options) each.box = this.#within(each.box.map((edge, i) => edge + (i % 2 ? y : x)));
      this.#setBox(after);
    });
  }

  /** Give the box that is selected other edges; what would be too small or outside the sheet is set right. */
  resize(box, key = "resize") {
    if (!this.box) return;
    this.edit(key, ({ page }) => {
      const [left, top, right, bottom] = box.map((edge, i) => Math.min(Math.max(edge, 0), page[i % 2]));
      const [x, y] = [Math.min(left, page[0] - SMALLEST), Math.min(top, page[1] - SMALLEST)];
      this.#setBox([x, y, Math.max(right, x + SMALLEST), Math.max(bottom, y + SMALLEST)].map(round));
    });
  }

  /** Give the sheet another size: the fields keep their places on the picture of a scan. */
  setPage(wide, high) {
    this.edit("page", (state) => {
      const times = [wide / state.page[0], high / state.page[1]];
      const scaled = (box) => box.map((edge, i) => round(Math.min(edge * times[i % 2], [wide, high][i % 2])));
      state.page = [wide, high];
      if (state.markers) return;
      for (const field of state.fields) {
        field.box = scaled(field.box);
        for (const option of field.options) option.box = scaled(option.box);
      }
    });
  }

  #setBox(box) {
    if (this.selected.option === null) this.field.box = box;
    else this.field.options[this.selected.option].box = box;
    this.#hold(this.field);
  }

  /** Make the box of a choice hold its options. */
  #hold(field) {
    if (field.kind === "choice" && this.selected.option !== null)
      field.box = around([field.box, ...field.options.map(({ box }) => box)]);
  }

  /** A box moved into the sheet, of the size that it has. */
  #within([left, top, right, bottom]) {
    const [wide, high] = this.state.page;
    const x = Math.min(Math.max(left, 0), Math.max(0, wide - (right - left)));
    const y = Math.min(Math.max(top, 0), Math.max(0, high - (bottom - top)));
    return [x, y, x + right - left, y + bottom - top].map(round);
  }

  /** The template as JSON. Throws where a setting cannot be understood. Names that occur twice stay: the server finds them. */
  json() {
    const { $schema, name, title, page, markers, relations, fields } = this.state;
    if (!fields.length) throw new Unclear(null, "The form has no field; drag on the sheet to draw one.");
    return object([
      ...($schema ? [["$schema", quoted($schema)]] : []),
      ["version", 1],
      ["name", quoted(name.trim())],
      ...(title ? [["title", quoted(title)]] : []),
      ["page", JSON.stringify(page)],
      markers ? ["markers", JSON.stringify(markers)] : ["reference", quoted(`${name.trim()}.png`)],
      ["relations", JSON.stringify(lines(relations))],
      ["fields", `[${fields.map((field, i) => this.#fieldJson(field, i)).join(", ")}]`],
    ]);
  }

  #fieldJson(field, place) {
    const keys = this.kinds[field.kind];
    const has = (key) => keys.includes(key) && field[key] !== "";
    const entries = ["name", "label", "kind"].filter((key) => field[key]).map((key) => [key, quoted(field[key].trim())]);
    if (!field.name) entries.unshift(["name", '""']);
    entries.push(["box", JSON.stringify(field.box)]);
    for (const key of ["required", "critical"]) if (field[key]) entries.push([key, true]);
    for (const key of ["cells", "decimals"]) if (has(key)) entries.push([key, String(Number(field[key]))]);
    for (const key of ["checksum", "decimal", "order"]) if (has(key)) entries.push([key, quoted(field[key])]);
    for (const [key, pattern, hint] of [["length", LENGTH, "5 or 4-6"], ["range", RANGE, "0..100"]]) {
      if (!has(key)) continue;
      const found = pattern.exec(field[key].trim());
      if (!found || (key === "range" && !found[1] && !found[2])) throw new Unclear(place, `field '${field.name}': write the ${key} as ${hint}`);
      const [low = null, high = null] = found.slice(1).map((part) => part && Number(part));
      entries.push([key, key === "length" && high === null ? String(low) : JSON.stringify([low, high])]);
    }
    if (has("values") && lines(field.values).length) {
      const listed = lines(field.values).map((line) => /^(\S+?)[\s,;]*(?:[\s,;]+(.*))?$/.exec(line));
      entries.push(["values", object(listed.map(([, number, its = ""]) => [number, quoted(its)]))]);
    }
    if (keys.includes("options"))
      entries.push(["options", object(field.options.map(({ value, box }) => [value.trim(), JSON.stringify(box)]))]);
    return object(entries);
  }
}

/** A field of a template as it is edited. */
function edited({ length = "", range, values = {}, options = {}, ...field }) {
  const plain = { label: "", required: false, critical: false, cells: "", checksum: "", decimal: "", decimals: "", order: "" };
  return {
    ...plain,
    ...field,
    cells: String(field.cells ?? ""),
    decimals: String(field.decimals ?? ""),
    length: Array.isArray(length) ? length.join("-") : String(length),
    range: range ? range.map((end) => end ?? "").join("..") : "",
    values: Object.entries(values).map(([number, name]) => `${number} ${name}`.trim()).join("\n"),
    options: Object.entries(options).map(([value, box]) => ({ value, box })),
  };
}
