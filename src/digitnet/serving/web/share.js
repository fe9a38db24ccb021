// Sharing a drawing: a link that holds its strokes, and a picture.

import { make } from "./words.js";

const MOST = { letters: 60_000, strokes: 500, points: 20_000 }; // of a link: what is longer was not made here
const TALL = 640; // pixels of the whole paper in a saved picture

/** Strokes as text for an address: widths, numbers of points and steps between them, in units, from the middle. */
export function encode(strokes, middle) {
  const bytes = [];
  const put = (value) => {
    let rest = value < 0 ? -2 * value - 1 : 2 * value; // small numbers of either sign stay small
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  };
  for (const { points, width } of strokes) {
    put(Math.round(width));
    put(points.length);
    let last = [Math.round(middle), 0];
    for (const point of points) {
      const next = point.map(Math.round);
      put(next[0] - last[0]);
      put(next[1] - last[1]);
      last = next;
    }
  }
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The strokes of such a text; null where it is none. */
export function decode(text, middle) {
  if (!/^[\w-]+$/.test(text) || text.length > MOST.letters) return null;
  const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  let at = 0;
  const take = () => {
    let [value, times] = [0, 1];
    for (;;) {
      if (at >= bytes.length || times > 1e9) throw new RangeError("cut short");
      const byte = bytes.charCodeAt(at++);
      value += (byte % 128) * times;
      times *= 128;
      if (byte < 128) return value % 2 ? -(value + 1) / 2 : value / 2;
    }
  };
  try {
    const strokes = [];
    let left = MOST.points;
    while (at < bytes.length) {
      const [width, count] = [take(), take()];
      left -= count;
      if (!(width > 0 && width <= 200 && count > 0 && left >= 0) || strokes.length === MOST.strokes) return null;
      let [x, y] = [Math.round(middle), 0];
      const points = Array.from({ length: count }, () => [(x += take()), (y += take())]);
      strokes.push({ points, width });
    }
    return strokes;
  } catch {
    return null;
  }
}

/** A value in the address behind #/draw?, such as its strokes. */
export const inAddress = (name) => new URLSearchParams(location.hash.split("?")[1] ?? "").get(name);

/** Fill an element with what shares the drawing on a pad; answer(): what is said of it, in words. */
export function startShare(root, pad, answer) {
  const link = make("input", { readOnly: true, hidden: true, aria: { label: "Link to this drawing" } });
  const copy = make("button", { type: "button", textContent: "Copy link" });
  const save = make("button", { type: "button", textContent: "Save picture" });
  const done = make("span", { className: "muted", aria: { live: "polite" } });
  root.append(make("div", { className: "buttons" }, copy, save), link, done);
  copy.addEventListener("click", async () => {
    link.value = `${location.href.split("#")[0]}#/draw?strokes=${encode(pad.strokes, pad.width / 2)}`;
    link.hidden = false;
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      done.textContent = "Copied.";
    } catch {
      done.textContent = "Copy the selected link."; // browsers allow pages of plain http or of a disk nothing more
    }
  });
  save.addEventListener("click", () => {
    if (!pad.strokes.length) return void (done.textContent = "There is no drawing yet.");
    const paper = pad.copy(document.createElement("canvas"), TALL);
    const picture = Object.assign(document.createElement("canvas"), { width: Math.max(paper.width, 360), height: paper.height + 48 });
    const context = picture.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(paper, (picture.width - paper.width) / 2, 0);
    Object.assign(context, { fillStyle: "#1c2230", font: "20px sans-serif", textAlign: "center" });
    context.fillText(`digitnet: ${answer()}`, picture.width / 2, picture.height - 18, picture.width - 16);
    make("a", { href: picture.toDataURL("image/png"), download: "digitnet.png" }).click();
    done.textContent = "Saved as digitnet.png.";
  });
  show();
  addEventListener("hashchange", show);

  function show() {
    const text = inAddress("strokes");
    if (text === null) return;
    pad.fit(); // so that the paper's width is known
    const strokes = decode(text, pad.width / 2);
    if (strokes?.length) pad.put(strokes);
    else done.textContent = "The link does not hold a drawing.";
  }
}
