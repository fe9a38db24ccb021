// The page's frame: its tabs. Each panel starts when it is first shown.

import { models, takeToken } from "./api.js";
import { startDraw } from "./draw.js";
import { startForms, takeForms } from "./forms.js";
import { startRead, take } from "./read.js";
import { startReport } from "./report.js";
import { startReview } from "./review.js";
import { startTheme } from "./theme.js";
import { startTrain } from "./train.js";

takeToken();
const panel = () => location.hash.slice(2).split("?")[0];
const reviewing = "review" in document.documentElement.dataset; // digitnet review has a job open
document.getElementById("tab-review").hidden = !reviewing;
document.getElementById("kept").hidden = reviewing;
const tabs = [...document.querySelectorAll("[role=tab]")];
const start = { draw: startDraw, forms: startForms, read: startRead, report: startReport, review: startReview, train: startTrain };

function show(tab, focus = false) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  const name = tab.getAttribute("aria-controls");
  if (focus) tab.focus();
  if (panel() !== name) history.replaceState(null, "", `#/${name}`); // #name would scroll to it
  start[name]?.();
  delete start[name];
}

const named = () => tabs.find((tab) => tab.getAttribute("aria-controls") === panel() && !tab.hidden);

for (const tab of tabs) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const shown = tabs.filter(({ hidden }) => !hidden);
    const at = shown.indexOf(tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + shown.length, Home: 0, End: shown.length - 1 }[key];
    if (next !== undefined) show(shown[next % shown.length], true);
  });
}
addEventListener("hashchange", () => named() && show(named()));
const asked = panel(); // perhaps for a panel that is not known to be there yet
show(named() ?? (reviewing ? document.getElementById("tab-review") : tabs[0]));
models().then(({ features }) => {
  document.getElementById("tab-train").hidden = !features.train;
  if (features.train && asked === "train") show(document.getElementById("tab-train"));
}, () => {}); // the panel that is shown has told what is wrong

// A picture may be dropped or pasted anywhere; a miss must not make the browser leave the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  give(event.dataTransfer.files);
});
addEventListener("paste", (event) => give(event.clipboardData.files));

function give(files) {
  if (!files.length) return;
  if (panel() === "forms") return takeForms(files);
  show(document.getElementById("tab-read"));
  take(files);
}

startTheme(document.getElementById("theme"));
