// The paper with its tools: the pen, undo and clear, and samples that write themselves.

import { Pad } from "./pad.js";

const element = (id) => document.getElementById(id);

/** Start the pad; changed: called whenever the drawing changes. Returns the pad. */
export function startPaper(changed) {
  const pad = new Pad(element("pad"), () => {
    element("undo").disabled = element("clear").disabled = !pad.strokes.length;
    element("pad-hint").hidden = pad.strokes.length > 0;
    changed();
  });
  pad.pen = Number(element("pen").value);
  element("undo").addEventListener("click", () => pad.undo());
  element("clear").addEventListener("click", () => {
    pad.clear();
    element("pad").focus();
  });
  element("pen").addEventListener("input", ({ target }) => (pad.pen = Number(target.value)));
  for (let digit = 0; digit < 10; digit++) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
    button.setAttribute("aria-label", `Write a ${digit}`);
    button.addEventListener("click", () => pad.write(digit));
    element("samples").append(button);
  }
  return pad;
}
