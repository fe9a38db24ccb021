// The page's frame: its tabs, light and dark. Each panel starts when it is first shown.

import { startDraw } from "./draw.js";
import { startRead, take } from "./read.js";
import { startReport } from "./report.js";
import { startReview } from "./review.js";

const reviewing = "review" in document.documentElement.dataset; // digitnet review has a job open
document.getElementById("tab-review").hidden = !reviewing;
document.getElementById("kept").hidden = reviewing;
const tabs = [...document.querySelectorAll("[role=tab]:not([hidden])")];
const start = { draw: startDraw, read: startRead, report: startReport, review: startReview };

function show(tab, focus = false) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  const name = tab.getAttribute("aria-controls");
  if (focus) tab.focus();
  if (location.hash.slice(2) !== name) history.replaceState(null, "", `#/${name}`); // #name would scroll to it
  start[name]?.();
  delete start[name];
}

const named = () => tabs.find((tab) => tab.getAttribute("aria-controls") === location.hash.slice(2));

tabs.forEach((tab, place) => {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[key];
    if (next !== undefined) show(tabs[next % tabs.length], true);
  });
});
addEventListener("hashchange", () => named() && show(named()));
show(named() ?? (reviewing ? document.getElementById("tab-review") : tabs[0]));

// A picture may be dropped or pasted anywhere; a miss must not make the browser leave the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  give(event.dataTransfer.files);
});
addEventListener("paste", (event) => give(event.clipboardData.files));

function give(files) {
  if (!files.length) return;
  show(document.getElementById("tab-read"));
  take(files);
}

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const kept = localStorage.getItem("digitnet-theme");
if (kept) document.documentElement.dataset.theme = kept;

function labelTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  dispatchEvent(new Event("themechange"));
}
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("digitnet-theme", document.documentElement.dataset.theme);
  labelTheme();
});
dark.addEventListener("change", labelTheme);
labelTheme();
