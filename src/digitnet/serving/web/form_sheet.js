// The sheet of a form: its picture, and the boxes of its fields over it, drawn, moved and resized by pointer and keys.

import { make, svg } from "./words.js";

const STEP = 0.5; // millimetres that an arrow key moves or resizes a box
const NEAR = { mouse: 7, pen: 9, touch: 18 }; // pixels from an edge within which it is taken hold of
const LEAST = 2; // millimetres: what is drawn smaller was a click
const ZOOMS = [1, 1.5, 2, 3, 4];
const DEFAULT = [40, 10]; // millimetres of a field that is put on the sheet by key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GRADES = { read: "sure", empty: "none", written: "sure", unreadable: "guess", ambiguous: "guess", hidden: "guess" };

export class SheetView {
  #host;
  #form = null;
  #picture = make("img", { alt: "" });
  #svg = svg("svg", { "aria-hidden": "true" });
  #reach = make("div", { className: "reach", hidden: true }); // around what is selected: a touch there does not scroll
  #page;
  #zoom = 0;
  #drag = null; // {kind, from, box, edges}: what a pointer does, from where, with which box
  #answers = null; // of fields, by name, while a filled sheet is shown
  #doubtful;

  /** host: scrolls the sheet; doubtful(answer): whether an answer is marked; said: a text to be read out; asked: the name is asked for. */
  constructor(host, { doubtful, said, asked }) {
    Object.assign(this, { said, asked, armed: false, onarm: () => {} });
    this.#host = host;
    this.#doubtful = doubtful;
    this.#page = make("div", { className: "page form-page" }, this.#picture, this.#svg, this.#reach);
    host.append(this.#page);
    host.addEventListener("keydown", (event) => this.#press(event));
    this.#page.addEventListener("pointerdown", (event) => this.#down(event));
    this.#page.addEventListener("pointermove", (event) => this.#moved(event));
    for (const type of ["pointerup", "pointercancel"]) this.#page.addEventListener(type, (event) => this.#up(event));
    new ResizeObserver(() => this.draw()).observe(this.#page);
  }

  /** Show a form with the picture of its sheet, a data URL. */
  open(form, picture) {
    this.#form = form;
    this.#zoom = 0;
    this.show(picture);
    this.#host.scrollTo(0, 0);
    this.zoom(0);
  }

  /** Show a picture under the fields; answers: of a filled sheet, null for the blank one. */
  show(picture, answers = null) {
    this.#picture.src = picture;
    this.#answers = answers;
    this.draw();
  }

  /** Zoom in (1), out (-1), or to the whole width (0), around what is selected. */
  zoom(by) {
    this.#zoom = by ? Math.min(Math.max(this.#zoom + by, 0), ZOOMS.length - 1) : 0;
    this.#page.style.width = `${100 * ZOOMS[this.#zoom]}%`;
    this.draw();
    this.reveal();
  }

  /** Let the next drag draw a field, whatever it begins on. */
  arm(armed) {
    this.armed = armed;
    this.#page.classList.toggle("drawing", armed);
    this.onarm(armed);
  }

  /** Put a field into the middle of what is seen of the sheet. */
  place() {
    this.arm(false);
    const [wide, high] = this.#form.state.page;
    const { left, top, width, height } = this.#host.getBoundingClientRect();
    const [x, y] = this.#at({ clientX: left + width / 2, clientY: top + height / 2 });
    const [w, h] = [Math.min(DEFAULT[0], wide), Math.min(DEFAULT[1], high)];
    const [l, t] = [Math.min(Math.max(x - w / 2, 0), wide - w), Math.min(Math.max(y - h / 2, 0), high - h)];
    this.#form.add([l, t, l + w, t + h]);
    this.#host.focus();
    this.say();
  }

  /** Scroll to the box that is selected. */
  reveal() {
    const box = this.#form?.box;
    if (!box) return;
    const { clientWidth, clientHeight, scrollLeft, scrollTop } = this.#host;
    const [left, top, right, bottom] = box.map((edge) => edge * this.#scale);
    if (left < scrollLeft || right > scrollLeft + clientWidth) this.#host.scrollLeft = (left + right - clientWidth) / 2;
    if (top < scrollTop || bottom > scrollTop + clientHeight) this.#host.scrollTop = (top + bottom - clientHeight) / 2;
  }

  /** Tell a screen reader what is selected, and where it is. */
  say() {
    const { field, box, selected } = this.#form;
    if (!field) return;
    const [left, top, right, bottom] = box;
    const name = selected.option === null ? field.name : `${field.name}, option ${field.options[selected.option].value}`;
    const [wide, high] = [right - left, bottom - top].map((side) => Number(side.toFixed(1)));
    this.said(`${name}: ${left} from left, ${top} from top, ${wide} by ${high} millimetres`);
  }

  /** Draw the boxes again. */
  draw() {
    const form = this.#form;
    if (!form || !this.#page.clientWidth) return;
    const [wide, high] = form.state.page;
    this.#page.style.aspectRatio = `${wide} / ${high}`;
    this.#svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    const groups = form.fields.map((field, i) => this.#field(field, i));
    this.#svg.replaceChildren(...groups);
    const chosen = form.selected && groups[form.selected.field];
    this.#reach.hidden = !chosen;
    if (!chosen) return;
    this.#svg.append(chosen, this.#grips(form.box)); // above the others
    const [left, top, right, bottom] = form.box.map((edge) => edge * this.#scale);
    const place = { left: left - NEAR.touch, top: top - NEAR.touch, width: right - left + 2 * NEAR.touch, height: bottom - top + 2 * NEAR.touch };
    for (const [name, pixels] of Object.entries(place)) this.#reach.style[name] = `${pixels}px`;
  }

  get #scale() {
    return this.#page.clientWidth / this.#form.state.page[0]; // pixels to a millimetre
  }

  #field(field, place) {
    const { selected } = this.#form;
    const group = svg("g", { class: "form-field" });
    group.classList.toggle("chosen", selected?.field === place);
    const answer = this.#answers?.[field.name];
    if (answer) group.dataset.grade = this.#doubtful(answer) ? (answer.status === "read" ? "doubt" : "guess") : GRADES[answer.status];
    group.append(rect(field.box, "outer"));
    const [left, top, right, bottom] = field.box;
    for (let cell = 1; field.kind === "comb" && cell < Math.min(field.cells, 60); cell++) {
      const x = left + ((right - left) * cell) / field.cells;
      group.append(svg("line", { x1: x, x2: x, y1: bottom - (bottom - top) * 0.4, y2: bottom }));
    }
    if (field.kind === "choice")
      field.options.forEach(({ box, value }, i) => {
        const its = rect(box, "option");
        its.classList.toggle("chosen", selected?.field === place && selected.option === i);
        if (answer?.text === value) its.classList.add("taken");
        group.append(its);
      });
    const size = 12 / this.#scale;
    const text = answer ? answer.text || { empty: "–", written: "✎" }[answer.status] || "?" : field.name;
    const below = bottom + size * 1.1; // forms have their own words above or beside a field
    const y = below < this.#form.state.page[1] ? below : top - size * 0.35;
    group.append(Object.assign(svg("text", { x: left, y, "font-size": size }), { textContent: text }));
    return group;
  }

  #grips([left, top, right, bottom]) {
    const side = 7 / this.#scale;
    const group = svg("g", { class: "grips" });
    const points = [[left, top], [right, top], [right, bottom], [left, bottom]];
    if (right - left > 6 * side) points.push([(left + right) / 2, top], [(left + right) / 2, bottom]);
    if (bottom - top > 6 * side) points.push([left, (top + bottom) / 2], [right, (top + bottom) / 2]);
    for (const [cx, cy] of points)
      group.append(svg("rect", { x: cx - side / 2, y: cy - side / 2, width: side, height: side, class: "grip" }));
    return group;
  }

  #at({ clientX, clientY }) {
    const { left, top, width } = this.#page.getBoundingClientRect();
    const { page } = this.#form.state;
    const scale = width / page[0];
    return [(clientX - left) / scale, (clientY - top) / scale].map((value, i) => Math.min(Math.max(value, 0), page[i]));
  }

  /** The edges of the selected box that a point is at: names of left, top, right, bottom; none within or far away. */
  #edges([x, y], near) {
    const { box } = this.#form;
    if (!box) return [];
    const [left, top, right, bottom] = box;
    if (x < left - near || x > right + near || y < top - near || y > bottom + near) return [];
    const within = Math.min(near, (right - left) / 4, (bottom - top) / 4); // so that a small box can be moved, too
    const horizontal = x < left + within ? [0] : x > right - within ? [2] : [];
    const vertical = y < top + within ? [1] : y > bottom - within ? [3] : [];
    return [...horizontal, ...vertical];
  }

  /** What lies at a point: the smallest box, of a field or an option. */
  #hit([x, y], near) {
    let best = null;
    this.#form.fields.forEach((field, place) => {
      const boxes = [[field.box, null], ...(field.kind === "choice" ? field.options.map(({ box }, i) => [box, i]) : [])];
      for (const [[left, top, right, bottom], option] of boxes) {
        if (x < left - near || x > right + near || y < top - near || y > bottom + near) continue;
        const area = (right - left) * (bottom - top);
        if (!best || area < best.area) best = { area, field: place, option };
      }
    });
    return best;
  }

  #down(event) {
    if (event.button || this.#drag) return;
    const form = this.#form;
    const [from, touch] = [this.#at(event), event.pointerType === "touch"];
    const edges = this.#edges(from, NEAR[event.pointerType] / this.#scale);
    const hit = this.#hit(from, (touch ? 6 : 0) / this.#scale);
    const { selected } = form;
    const same = hit && selected?.field === hit.field && (selected.option ?? null) === hit.option;
    if (this.armed) this.#drag = { kind: "draw", from };
    else if (edges.length) this.#drag = { kind: "size", from, edges, box: [...form.box] };
    else if (hit) {
      form.select(hit.field, hit.option);
      if (!touch || same) this.#drag = { kind: "move", from, last: from };
    } else if (touch) form.select(null);
    else this.#drag = { kind: "draw", from };
    this.#host.focus({ preventScroll: true });
    if (!this.#drag) return;
    this.#drag.key = `drag ${event.timeStamp}`;
    this.#page.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  #moved(event) {
    const drag = this.#drag;
    if (!drag) return;
    const to = this.#at(event);
    const [x, y] = [to[0] - drag.from[0], to[1] - drag.from[1]];
    if (drag.kind === "draw") {
      drag.rect?.remove();
      drag.box = [Math.min(drag.from[0], to[0]), Math.min(drag.from[1], to[1]), Math.max(drag.from[0], to[0]), Math.max(drag.from[1], to[1])];
      drag.rect = rect(drag.box, "drawn");
      this.#svg.append(drag.rect);
    } else if (drag.kind === "size") {
      const box = drag.box.map((edge, i) => (drag.edges.includes(i) ? edge + (i % 2 ? y : x) : edge));
      for (const i of drag.edges) box[i] = i < 2 ? Math.min(box[i], box[i + 2] - 1) : Math.max(box[i], box[i - 2] + 1);
      this.#form.resize(box, drag.key);
    } else if (Math.hypot(x, y) * this.#scale > 2 || drag.moving) {
      drag.moving = true;
      drag.start ??= [...this.#form.box];
      const now = this.#form.box;
      this.#form.move(drag.start[0] + x - now[0], drag.start[1] + y - now[1], drag.key);
    }
  }

  #up({ type }) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.kind !== "draw") return this.say();
    drag.rect?.remove();
    this.arm(false);
    const { box } = drag;
    if (type === "pointerup" && box && box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST) this.#form.add(box);
    else this.#form.select(null);
  }

  #press(event) {
    const form = this.#form;
    const { key, shiftKey } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = { n: 1, p: -1 }[key.toLowerCase()];
    if (key in ARROWS && form.box) {
      const [x, y] = ARROWS[key].map((way) => way * STEP);
      const [left, top, right, bottom] = form.box;
      if (shiftKey) form.resize([left, top, right + x, bottom + y], "size by key");
      else form.move(x, y, "move by key");
    } else if (next && form.fields.length) {
      const from = form.selected?.field ?? (next > 0 ? -1 : 0);
      form.select((from + next + form.fields.length) % form.fields.length);
    } else if (["Delete", "Backspace"].includes(key) && form.field) form.remove();
    else if (key === "Enter" && form.field) this.asked();
    else if (key === "Escape") this.armed ? this.arm(false) : form.select(null);
    else if (["+", "="].includes(key)) this.zoom(1);
    else if (key === "-") this.zoom(-1);
    else return;
    event.preventDefault();
    this.reveal();
    this.say();
  }
}

const rect = ([left, top, right, bottom], name) =>
  svg("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), class: name });
