// The paper: strokes by mouse, finger, pen or keys, shown as they are drawn.

import { HEIGHT, WHOLE, bounds, paint, unturned } from "./picture.js";
import { sample } from "./samples.js";

const STEP = 10; // units that an arrow key moves the pen; five times as far with Shift
const ROOM = 35; // units of paper kept around the ink, at least
const WRITING = 420; // milliseconds that a digit takes to be written

export class Pad {
  strokes = [];
  broken = { ...WHOLE };
  pen = 20;
  width = 600; // units; the height is always HEIGHT
  version = 0; // grows with every change
  changed = 0; // when the last one was made, on the clock of performance.now()
  #canvas;
  #tell;
  #stroke = null; // the one being drawn
  #cursor = null; // where the keyboard's pen is: {at: [x, y], down}
  #writing = 0;
  #shown = false; // whether what is on the paper was written to be seen: a hand begins on an empty one

  /** tell: called whenever the drawing changes. */
  constructor(canvas, tell) {
    this.#canvas = canvas;
    this.#tell = tell;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#end());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#lift());
    new ResizeObserver(() => this.fit()).observe(canvas);
    addEventListener("themechange", () => this.show());
  }

  /** Whether a stroke goes on: of the hand, or of a digit that is being written. */
  get drawing() {
    return this.#stroke !== null || this.#writing !== 0;
  }

  undo() {
    this.#stop();
    this.strokes.pop();
    this.#change();
  }

  clear() {
    this.#stop();
    this.strokes = [];
    this.#change();
  }

  /** Break the drawing, or mend it: what is not named stays. */
  break(how) {
    const box = bounds(this.strokes) ?? [0, 0, this.width, HEIGHT];
    this.broken = { ...this.broken, ...how, pivot: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] };
    this.#change();
  }

  /** Put strokes in place of the drawing. */
  put(strokes) {
    this.fit();
    this.#stop();
    this.strokes = strokes;
    this.#change();
  }

  /** Write a digit to be looked at: the first stroke of a hand takes its place. */
  demonstrate(digit) {
    this.write(digit);
    this.#shown = true;
  }

  /** Write a digit in place of the drawing, as a hand would: the answer can be watched while it comes. */
  write(digit) {
    this.fit(); // before the first observation, so that the middle is the paper's
    this.#stop();
    const strokes = sample(digit, [this.width / 2, HEIGHT / 2], 0.62 * HEIGHT);
    const all = strokes.reduce((sum, stroke) => sum + stroke.length, 0);
    const began = performance.now();
    const quick = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const go = () => {
      let left = quick ? all : Math.ceil((all * (performance.now() - began)) / WRITING);
      const done = left >= all;
      this.strokes = [];
      for (const points of strokes) {
        if (left > 0) this.strokes.push({ points: points.slice(0, left), width: this.pen });
        left -= points.length;
      }
      this.#writing = done ? 0 : requestAnimationFrame(go);
      this.#change();
    };
    go();
  }

  /** The ink as it is seen, with some paper around, on another canvas, dark on light: `tall` pixels were the paper. */
  copy(canvas, tall) {
    const scale = tall / HEIGHT;
    const [left, top, right, bottom] = bounds(this.strokes, this.broken);
    const room = Math.max(0.25 * (bottom - top), ROOM);
    const box = [left - room, top - room, right + room, bottom + room];
    Object.assign(canvas, {
      width: Math.ceil((box[2] - box[0]) * scale),
      height: Math.ceil((box[3] - box[1]) * scale),
    });
    paint(canvas, this.strokes, { box, scale, ink: "#000", paper: "#fff", broken: this.broken, often: true });
    return canvas;
  }

  show() {
    const style = getComputedStyle(this.#canvas);
    const scale = this.#canvas.height / HEIGHT;
    const box = [0, 0, this.width, HEIGHT];
    paint(this.#canvas, this.strokes, {
      box,
      scale,
      ink: style.color,
      paper: style.backgroundColor,
      broken: this.broken,
    });
    if (this.#cursor) this.#cross(scale, style.getPropertyValue("outline-color"));
  }

  /** Take the size of the canvas on the screen. */
  fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (!clientHeight) return; // hidden with its tab
    const dense = Math.min(devicePixelRatio, 2);
    Object.assign(this.#canvas, { width: clientWidth * dense, height: clientHeight * dense });
    this.width = (HEIGHT * clientWidth) / clientHeight;
    this.show();
  }

  #change(when = performance.now()) {
    this.version += 1;
    this.changed = when;
    this.show();
    this.#tell();
  }

  #stop() {
    cancelAnimationFrame(this.#writing);
    this.#writing = 0;
    this.#stroke = null;
    this.#shown = false;
    this.#lift();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = HEIGHT / box.height;
    return unturned([(event.clientX - box.left) * scale, (event.clientY - box.top) * scale], this.broken);
  }

  #down(event) {
    if (event.button || !event.isPrimary) return;
    if (this.#shown) this.strokes = [];
    this.#stop();
    this.#cursor = null;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#stroke = { points: [this.#place(event)], width: this.pen };
    this.strokes.push(this.#stroke);
    this.#change(event.timeStamp);
  }

  #move(event) {
    if (!this.#stroke) return;
    // Browsers fold a fast hand's points into one event; all of them make the curve. Firefox may give none.
    const all = event.getCoalescedEvents?.() ?? [];
    this.#stroke.points.push(...(all.length ? all : [event]).map((each) => this.#place(each)));
    this.#change(event.timeStamp);
  }

  #end() {
    if (!this.#stroke) return;
    this.#stroke = null;
    this.#tell();
  }

  #key(event) {
    if (event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z")) return;
    const far = event.shiftKey ? 5 * STEP : STEP;
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    if (moves[event.key]) this.#steer(moves[event.key]);
    else if (event.key === " ") this.#toggle();
    else if (event.key === "Backspace" || event.key === "z") this.undo();
    else if (event.key === "Escape" || event.key === "Delete") this.clear();
    else if (/^[0-9]$/.test(event.key)) this.write(Number(event.key));
    else return;
    event.preventDefault();
  }

  #steer([dx, dy]) {
    const { at = [this.width / 2, HEIGHT / 2], down = false } = this.#cursor ?? {};
    const to = [Math.min(Math.max(at[0] + dx, 0), this.width), Math.min(Math.max(at[1] + dy, 0), HEIGHT)];
    this.#cursor = { at: to, down };
    if (!down) return this.show();
    this.strokes.at(-1).points.push(unturned(to, this.broken));
    this.#change();
  }

  #toggle() {
    const { at = [this.width / 2, HEIGHT / 2], down = false } = this.#cursor ?? {};
    if (down) {
      this.#lift();
      return this.show();
    }
    if (this.#shown) this.strokes = [];
    this.#stop();
    this.#cursor = { at, down: true };
    this.strokes.push({ points: [unturned(at, this.broken)], width: this.pen });
    this.#change();
  }

  #lift() {
    if (this.#cursor) this.#cursor.down = false;
  }

  #cross(scale, colour) {
    const context = this.#canvas.getContext("2d");
    const {
      at: [x, y],
      down,
    } = this.#cursor;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 2.5 });
    context.beginPath();
    context.arc(x, y, this.pen / 2 + 3, 0, 7);
    for (const [dx, dy] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ]) {
      context.moveTo(x + dx * (this.pen / 2 + 3), y + dy * (this.pen / 2 + 3));
      context.lineTo(x + dx * (this.pen / 2 + 12), y + dy * (this.pen / 2 + 12));
    }
    context.stroke();
    if (down) context.fill();
  }
}
