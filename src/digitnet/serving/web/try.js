// "Try it out": a form for each route that sends a real request to this server and shows what comes back.

import { make } from "./words.js";

const KEPT = "digitnet-token"; // as api.js keeps it, so that the token is given once

/** The field for the token, for servers that ask for one. */
export function tokenField() {
  const field = make("input", { id: "token", type: "password", autocomplete: "off", value: sessionStorage.getItem(KEPT) ?? "" });
  field.addEventListener("input", () => {
    if (field.value.trim()) sessionStorage.setItem(KEPT, field.value.trim());
    else sessionStorage.removeItem(KEPT);
  });
  return make("label", { className: "token" }, "Token ", field);
}

/** The form of one route. */
export function tryOut({ path, method, parameters = [], requestBody, security = [] }) {
  const bodies = requestBody?.content ?? {};
  const fields = parameters.map((parameter) => [parameter.name, field(parameter)]);
  const file = requestBody && make("input", { type: "file", multiple: "multipart/form-data" in bodies });
  const example = bodies["application/json"]?.example;
  const json = bodies["application/json"] && make("textarea", { rows: 4, spellcheck: false, value: example ? JSON.stringify(example) : "" });
  const send = make("button", { type: "submit", className: "primary", textContent: "Send" });
  const answer = make("div", { className: "answered", aria: { live: "polite" } });
  const form = make("form", { className: "try" },
    ...fields.map(([name, input]) => make("label", {}, `${name} `, input)),
    ...(file ? [make("label", {}, file.multiple ? "Files " : "File ", file)] : []),
    ...(json ? [make("label", { className: "wide" }, "or JSON ", json)] : []),
    send);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const headers = {};
    if (security.length && sessionStorage.getItem(KEPT)) headers.authorization = `Bearer ${sessionStorage.getItem(KEPT)}`;
    const given = fields.map(([name, input]) => [name, valueOf(input)]).filter(([, value]) => value !== "");
    const within = ([name]) => path.includes(`{${name}}`);
    const query = new URLSearchParams(given.filter((each) => !within(each)));
    const place = given.filter(within).reduce((url, [name, value]) => url.replace(`{${name}}`, encodeURIComponent(value)), path);
    const body = requestBody && content(file, json, headers);
    try {
      answer.replaceChildren(...(await ask(`.${place}${query.size ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body })));
    } catch {
      answer.replaceChildren(make("p", { className: "trouble", textContent: "The server does not respond. Is digitnet serve still running?" }));
    }
    send.disabled = false;
  });
  return make("details", { className: "trying" }, make("summary", { textContent: "Try it out" }), form, answer);
}

function field({ name, schema, required }) {
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  if (!choices) return make("input", { name, autocomplete: "off", placeholder: schema.default ?? "" });
  const options = choices.filter(Boolean).map((value) => make("option", { value, textContent: value }));
  return make("select", { name }, ...(required ? [] : [make("option", { value: "", textContent: "(default)" })]), ...options);
}

const valueOf = (input) => input.value.trim();

function content(file, json, headers) {
  if (file.files.length && file.multiple) {
    const form = new FormData();
    for (const each of file.files) form.append("file", each);
    return form; // the browser writes its content-type
  }
  headers["content-type"] = file.files.length ? file.files[0].type || "application/octet-stream" : "application/json";
  return file.files[0] ?? json?.value ?? "";
}

async function ask(url, request) {
  const began = performance.now();
  const response = await fetch(url, request);
  const binary = response.headers.get("content-type").includes("octet-stream");
  const text = binary ? `${(await response.arrayBuffer()).byteLength.toLocaleString("en")} bytes` : await response.text();
  const seconds = ((performance.now() - began) / 1000).toFixed(3);
  const words = `${response.status} ${response.statusText}, ${seconds} s, request ${response.headers.get("x-request-id")}`;
  const shown = response.headers.get("content-type").includes("json") ? pretty(JSON.parse(text)) : text;
  return [
    make("p", { className: response.ok ? "muted" : "trouble", textContent: words }),
    make("pre", { className: "example", tabIndex: 0, textContent: shown }),
  ];
}

/** JSON with its arrays of numbers on one line each. */
export const pretty = (value) => JSON.stringify(value, null, 1).replace(/\n\s+(?=[-\d\]])/g, " ");
