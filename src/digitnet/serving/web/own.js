// Your own digits and signs: kept from the paper, scored with the network that is looked into, saved, and taught.

import { Kept, face } from "./kept.js";
import { npz } from "./npz.js";
import { ENOUGH, Teacher } from "./teach.js";
import { download, make, percent } from "./words.js";

/**
 * Fill an element. current(): {network, image()}; image() frames the drawing and returns undefined if the paper is empty.
 * changed() is called when signs were taught or removed.
 * Returns the teacher, and retold(), to be called when the network is another.
 */
export function startOwn(root, current, changed) {
  const teacher = new Teacher();
  const label = make("input", { maxLength: 12, size: 5, autocomplete: "off", required: true, aria: { describedby: "own-help" } });
  const keep = make("button", { type: "submit", textContent: "Keep" });
  const status = make("p", { aria: { live: "polite" } });
  const faces = make("div", { className: "kept" });
  const save = make("button", { type: "button", textContent: "Save .npz" });
  const clear = make("button", { type: "button", textContent: "Remove all" });
  const buttons = make("div", { className: "buttons" }, save, clear);
  const form = make("form", { className: "keep" }, make("label", {}, "This is a ", label), keep);
  const help = make("p", { id: "own-help", textContent: `A digit is kept as a test; ${ENOUGH} drawings under any other name teach the network a sign.` });
  root.append(form, help, status, faces, buttons);

  const kept = new Kept(() => {
    tell();
    changed();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const image = current().image();
    if (!image) return void (status.textContent = "Draw it first.");
    kept.add(label.value.trim(), image);
  });
  save.addEventListener("click", () => {
    const digits = kept.digits;
    const content = npz(digits.map(({ image }) => image), digits.map(({ label: digit }) => Number(digit)));
    download("digits.npz", content, "application/zip");
  });
  clear.addEventListener("click", () => kept.clear());

  function tell() {
    const { network } = current();
    const [digits, signs] = [kept.digits, kept.signs];
    if (network?.explain) teacher.learn(network, digits, signs);
    buttons.hidden = !kept.all.length;
    save.disabled = !digits.length;
    const wrong = new Map();
    if (network?.explain) {
      for (const one of digits) {
        const { probs } = network.look(one.image);
        const said = String(probs.indexOf(Math.max(...probs)));
        if (said !== one.label) wrong.set(one, said);
      }
    }
    const right = digits.length - wrong.size;
    const words = [];
    if (digits.length)
      words.push(`${network?.name ?? "The network"} reads ${right} of your ${digits.length} digits right (${percent(right / digits.length)}).`);
    for (const [name, { length }] of signs)
      words.push(length < ENOUGH ? `${name}: ${length} of ${ENOUGH} drawings.` : `${name}: taught by ${length} drawings, try it.`);
    status.textContent = words.join(" ");
    faces.replaceChildren(...kept.all.slice(-24).map((one) => face(one, (gone) => kept.remove(gone), wrong.get(one))));
  }

  return { teacher, retold: tell };
}
