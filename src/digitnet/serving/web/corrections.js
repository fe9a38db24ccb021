// What people make of what was read: number.edit is {kind, text}, and the number itself stays as it was read.
// kind: confirmed as it is, corrected, added where it was missed, or deleted where there is none.

/** A number as it now stands: as it was read, or as a person has it, with what was read as `seen`. */
export function current(number) {
  const { edit } = number;
  if (!edit) return number;
  const { edit: _, added: __, ...read } = number;
  if (edit.kind === "confirmed") return { ...read, status: edit.kind };
  return {
    ...read,
    text: digitsOf(edit.text),
    written: edit.text,
    status: edit.kind,
    seen: edit.kind === "added" ? null : read.text,
    ...{ digits: [], alternatives: [], values: [], value: null, no_value: null },
  };
}

export const digitsOf = (text) => text.replace(/[^0-9]/g, "");

/** Keep what a person typed; what was read, typed again, is confirmed. Returns false where there is no digit in it. */
export function type(number, text) {
  const typed = text.trim().replace(/\s+/g, " ");
  if (!digitsOf(typed)) return false;
  const same = number.status === "read" && (typed === number.text || typed === number.written);
  number.edit = { kind: number.added ? "added" : same ? "confirmed" : "corrected", text: typed };
  return true;
}

export function remove(number) {
  number.edit = { kind: "deleted", text: "" };
}

/** A number that a person adds, in a box of the page; read: what the reader makes of it, or null. */
export const added = (box, read) => ({
  ...{ text: "", written: "", confidence: 0, written_confidence: 0, status: "read", digits: [], alternatives: [] },
  ...{ reasons: [], seen: null, rules_applied: null, value: null, values: [], no_value: null },
  ...(read ?? {}),
  ...{ box, corners: [], printed: null, added: true, edit: { kind: "added", text: read?.written || read?.text || "" } },
});

/** A page whose numbers are where they are once it is turned clockwise by 90 degrees. */
export const quarterTurned = ({ height, numbers }) => ({
  numbers: numbers.map((number) => {
    const [left, top, right, bottom] = number.box;
    return { ...number, box: [height - bottom, left, height - top, right], corners: [] };
  }),
});

/** Take what people made of a page over to another reading of it. */
export function carry(before, reading) {
  for (const number of before?.numbers ?? []) {
    if (!number.edit) continue;
    const again = reading.numbers.find((other) => !other.edit && overlap(number.box, other.box));
    if (again) again.edit = number.edit.kind === "added" ? { kind: "corrected", text: number.edit.text } : number.edit;
    else if (number.edit.kind !== "deleted") reading.numbers.push({ ...number, added: true, edit: { ...number.edit, kind: "added" } });
  }
}

function overlap([left, top, right, bottom], other) {
  const wide = Math.min(right, other[2]) - Math.max(left, other[0]);
  const high = Math.min(bottom, other[3]) - Math.max(top, other[1]);
  const least = Math.min((right - left) * (bottom - top), (other[2] - other[0]) * (other[3] - other[1]));
  return wide > 0 && high > 0 && wide * high > least / 2;
}

/** The numbers of a page line by line, in the order of reading; an added one in the line that it stands in. */
export function linesOf({ text, numbers }) {
  let next = 0;
  const read = numbers.filter((number) => !number.added);
  const lines = text.split("\n").map((line) => read.slice(next, (next += line.split(" ").length)));
  for (const number of numbers.filter((each) => each.added)) {
    const middle = (number.box[1] + number.box[3]) / 2;
    const line = lines.find((some) => some.some(({ box }) => box[1] < middle && middle < box[3]));
    if (!line) lines.push([number]);
    else line.splice(line.filter(({ box }) => box[0] < number.box[0]).length, 0, number);
  }
  return lines.filter((line) => line.length || numbers.length === 0);
}
