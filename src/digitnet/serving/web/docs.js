// What the service answers, made of its own openapi.json: no library, nothing from elsewhere.

import { pretty, tokenField, tryOut } from "./try.js";
import { make } from "./words.js";

const routes = document.getElementById("routes");

/** How each kind of body is sent by curl. */
const SENT = {
  "multipart/form-data": "-F file=@page.png -F file=@form.pdf",
  "image/png": "-H 'Content-Type: image/png' --data-binary @page.png",
  "application/pdf": "-H 'Content-Type: application/pdf' --data-binary @form.pdf",
  "application/json": "-H 'Content-Type: application/json' --data-binary @digits.json",
  "application/x-npy": "-H 'Content-Type: application/x-npy' --data-binary @digits.npy",
};

function route(operation) {
  const { path, method, summary, parameters = [], requestBody, responses } = operation;
  const bodies = requestBody?.content ?? {};
  const sent = bodies["application/json"]?.example;
  const answered = responses[200].content["application/json"]?.example;
  const curls = Object.keys(bodies).filter((kind) => kind in SENT).map((kind) => `curl ${SENT[kind]} '${location.origin}${path}'`);
  const refused = Object.entries(responses).filter(([status]) => status !== "200");
  const details = make("details", { className: "card", open: path === "/v1/read" },
    make("summary", {}, make("code", { textContent: `${method.toUpperCase()} ${path}` }), make("span", { className: "muted", textContent: summary })),
    ...(parameters.length ? [table(["Parameter", "Default", "Description"], parameters.map(parameter))] : []),
    label("Request"), code((curls.length ? curls : [`curl '${location.origin}${path}'`]).join("\n")),
    ...(sent ? [label("digits.json"), code(JSON.stringify(sent))] : []),
    ...(answered ? [label("Response"), code(pretty(answered))] : []),
    table(["Status", "Meaning"], refused.map(([status, { description }]) => [status, description])),
    tryOut(operation));
  return details;
}

const label = (textContent) => make("h3", { className: "label", textContent });
const code = (textContent) => make("pre", { className: "example", tabIndex: 0, textContent });

function parameter({ name, description, schema }) {
  const choices = schema.enum?.filter(Boolean);
  const more = choices?.length > 5 ? ` and ${choices.length - 4} more` : "";
  const some = choices?.slice(0, more ? 4 : 5).map((choice) => `"${choice}"`).join(", ");
  return [name, schema.default ?? "", description.replaceAll("`", "") + (some ? ` One of ${some}${more}.` : "")];
}

function table(heads, rows) {
  const cells = (tag, row) => make("tr", {}, ...row.map((textContent) => make(tag, { textContent })));
  return make("table", { className: "parameters" }, make("thead", {}, cells("th", heads)), make("tbody", {}, ...rows.map((row) => cells("td", row))));
}

try {
  const told = await (await fetch("openapi.json")).json();
  const all = Object.entries(told.paths).flatMap(([path, of]) => Object.entries(of).map(([method, operation]) => ({ path, method, ...operation })));
  const guarded = all.some(({ security = [] }) => security.length);
  routes.append(...(guarded ? [tokenField()] : []), ...all.map(route));
} catch {
  routes.append(make("p", { className: "trouble", textContent: "The server does not respond. Is digitnet serve still running?" }));
}
