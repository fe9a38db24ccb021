// What was read, as text, CSV and JSON: column by column what the command line writes (output.py).
// What people decided is in it: status confirmed, corrected, added or deleted, and what was read as seen.

import { current, linesOf } from "./corrections.js";
import { doubtful } from "./words.js";

const COLUMNS = [
  "file",
  "page",
  "number",
  "text",
  "confidence",
  "accepted",
  "left",
  "top",
  "right",
  "bottom",
  "reasons",
  "seen",
  "error",
  "status",
  "rules_applied",
  "written",
  "written_confidence",
  "value",
  "no_value",
  "printed",
  "unread",
  "no_numbers",
];

/** Every page as {file, page, reading} or {file, page, error}. */
export function pagesOf(items) {
  return items.flatMap(({ file, pages, error }) =>
    error
      ? [{ file: file.name, page: 1, error }]
      : (pages ?? []).map((reading, i) => ({ file: file.name, page: i + 1, reading })),
  );
}

export function asText(pages, least) {
  const many = new Set(pages.map(({ file }) => file)).size > 1;
  return pages
    .filter(({ reading }) => reading)
    .flatMap(({ file, reading }) =>
      linesOf(reading).map((line) => {
        const shown = line
          .filter(({ edit }) => edit?.kind !== "deleted")
          .map((number) => (doubtful(number, least) ? "?" : current(number).text));
        return `${many ? `${file}\t` : ""}${shown.join(" ")}\n`;
      }),
    )
    .join("");
}

export function asCsv(pages, least) {
  return [COLUMNS, ...pages.flatMap((page) => rows(page, least))].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

export function asJson(pages, least) {
  const plain = pages.map(({ file, page, reading, error }) => {
    if (error) return { file, page, error };
    const numbers = reading.numbers.map((number) => ({ ...current(number), accepted: !doubtful(number, least) }));
    return { file, page, ...reading, numbers };
  });
  return `${JSON.stringify(plain)}\n`;
}

function rows({ file, page, reading, error }, least) {
  const left = reading && { unread: reading.unread.length, no_numbers: reading.no_numbers?.code };
  if (!reading?.numbers.length) return [COLUMNS.map((name) => ({ file, page, error, ...left })[name] ?? "")];
  return reading.numbers.map((read, i) => [read, current(read), i]).map(([read, number, i]) => [
    file,
    page,
    i + 1,
    number.text,
    number.confidence.toFixed(4),
    Number(!doubtful(read, least)),
    ...number.box,
    number.reasons.map(({ code }) => code).join(" "),
    number.seen ?? "",
    "",
    number.status,
    number.rules_applied === null ? "" : Number(number.rules_applied),
    number.written,
    number.written_confidence.toFixed(4),
    number.value ?? "",
    number.no_value?.code ?? "",
    number.printed?.toFixed(4) ?? "",
    left.unread,
    left.no_numbers ?? "",
  ]);
}

/** A name such as =HYPERLINK(...) must stay a name in a spreadsheet: an apostrophe before it keeps it one. */
function cell(value) {
  const text = String(value);
  if (/^-[0-9]+(\.[0-9]+)?$/.test(text)) return text; // a negative number is no formula
  const plain = /^['=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]./s.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
