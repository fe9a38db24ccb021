// The service, call by call. Every failure becomes a Problem whose message can be shown as it is.

const KEPT = "digitnet-token";
const PATIENCE = 5; // times that a busy server is asked again, a second apart

/** What went wrong, in the server's words where it has some. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Read an image or PDF: {pages: [...]}. `rules` are query parameters; empty ones are left out. */
export async function read(file, rules = {}, signal) {
  let body = file;
  if (file instanceof File) {
    body = new FormData(); // so that errors name the file
    body.append("file", file);
  }
  const [result] = (await ask("v1/read", { body, query: rules, signal })).results;
  if (result.error) throw new Problem(result.error.detail, result.error.status);
  return result;
}

/** Look at a picture of one digit as a network does. */
export const inside = (body, model) => ask("v1/inside", { body, query: { model } });

/** A network itself, as a model file's bytes. */
export const network = async (model) => new Uint8Array(await (await answered("v1/network", { query: { model } })).arrayBuffer());

/** The networks that can be asked. */
export const models = () => ask("v1/models");

/** The address of the service in its local network, {url, svg}: 404 where it listens to this machine alone. */
export const address = () => ask("v1/share");

/** The trainings that the page started; start one, stop it. */
export const trainings = () => ask("v1/train");
export const startTraining = (query) => ask("v1/train", { method: "POST", query });
export const stopTraining = () => ask("v1/train/stop", { method: "POST" });

/** Take the token out of an address that holds one, as a QR code's does. */
export function takeToken() {
  const [place, query] = location.hash.split("?");
  const values = new URLSearchParams(query);
  if (!values.has("token")) return;
  sessionStorage.setItem(KEPT, values.get("token"));
  values.delete("token");
  history.replaceState(null, "", values.size ? `${place}?${values}` : place);
}

/** The report of a trained model. */
export const report = () => ask("v1/report");

/** The kinds of fields of forms with their settings, and the examples; one of these, as `openForm` gives it. */
export const formKinds = () => ask("v1/forms");
export const formExample = (name) => ask(`v1/forms/examples/${name}`);

/** A form of a page of a scan, or of a template and its picture: {template, picture, assumed, page, pages}. */
export const openForm = (files, page) => ask("v1/forms/open", { body: together(files), query: { page } });

/** What is wrong with a template, {problem, field}, or its {file}; picture: whether its sheet is to be drawn, too. */
export const checkForm = (text, picture) =>
  ask("v1/forms/check", { body: new Blob([text], { type: "application/json" }), query: { picture } });

/** The pages of a filled sheet; files: the template, its picture where it has one, then the sheet. */
export async function readSheets(files, signal) {
  const [{ pages, error }] = (await ask("v1/forms/read", { body: together(files), query: { picture: true }, signal })).results;
  if (error) throw new Problem(error.detail, error.status);
  return pages;
}

function together(files) {
  const body = new FormData();
  for (const file of files) body.append("file", file);
  return body;
}

/** How far the job is; which fields a clerk is to look at; what the clerk decided, or takes back. */
export const overview = () => ask("v1/review");
export const next = (plain) => ask("v1/review/next", { body: json(plain) });
export const decide = (plain) => ask("v1/review/decide", { body: json(plain) });
export const undo = (plain) => ask("v1/review/undo", { body: json(plain) });

/** The pictures of a field: its page as a bitmap, the scale of that, and the address of the field alone. */
export async function picture(field) {
  const [page, its] = await Promise.all(["page", "field"].map((what) => answered(`v1/review/fields/${field}/${what}`)));
  return {
    page: await createImageBitmap(await page.blob()),
    scale: Number(page.headers.get("x-scale")),
    field: URL.createObjectURL(await its.blob()),
  };
}

const json = (plain) => new Blob([JSON.stringify(plain)], { type: "application/json" });

const ask = async (...asked) => (await answered(...asked)).json();

async function answered(path, { body, method = body ? "POST" : "GET", query = {}, signal } = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== false));
  const url = `${path}${asked.size ? `?${asked}` : ""}`;
  let response = await send(url, method, body, signal);
  if (response.status === 401 && !declined) {
    await newToken();
    response = await send(url, method, body, signal);
    if (response.status === 401) sessionStorage.removeItem(KEPT);
  }
  for (let again = 0; response.status === 429 && again < PATIENCE; again++) {
    await new Promise((done) => setTimeout(done, 1000));
    response = await send(url, method, body, signal);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

async function send(url, method, body, signal) {
  const headers = {};
  if (sessionStorage.getItem(KEPT)) headers.authorization = `Bearer ${sessionStorage.getItem(KEPT)}`;
  if (body instanceof Blob) headers["content-type"] = body.type || "application/octet-stream";
  try {
    return await fetch(url, { method, body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not respond. Is digitnet still running? Nothing is lost; try again.");
  }
}

async function problem(response) {
  const said = await response.json().catch(() => ({}));
  const words = typeof said.detail === "string" ? said.detail : said.title;
  return new Problem(words || `The server responded ${response.status} ${response.statusText}.`, response.status);
}

let asking = null; // the dialog in the air: calls that fail meanwhile wait for the same answer
let declined = false; // whoever cancels is not asked again at every stroke, but after a reload

function newToken() {
  asking ??= new Promise((done) => {
    const dialog = document.getElementById("token");
    const field = document.getElementById("token-value");
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        declined = dialog.returnValue !== "ok";
        if (!declined) sessionStorage.setItem(KEPT, field.value.trim());
        asking = null;
        done();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}
