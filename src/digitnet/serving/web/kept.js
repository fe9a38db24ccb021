// Digits and signs that are kept in this browser: as frames, each with its label.

import { make, pixels } from "./words.js";

const PLACE = "digitnet-own";
const MOST = 2000; // browsers keep some five million letters of a page; a frame takes a thousand

const toText = (image) => btoa(String.fromCharCode(...image));
const toImage = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));

export class Kept {
  /** {label: "0" to "9" or a sign's name, image}, the oldest first. */
  all = [];
  #tell;

  /** tell: called whenever something is kept or forgotten. */
  constructor(tell) {
    this.#tell = tell;
    try {
      const found = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
      this.all = found.map(({ label, image }) => ({ label: String(label), image: toImage(image) })).filter(({ image }) => image.length === 784);
    } catch {
      this.all = []; // damaged by hand
    }
  }

  get digits() {
    return this.all.filter(({ label }) => /^[0-9]$/.test(label));
  }

  /** The frames of each sign by its name. */
  get signs() {
    return Map.groupBy
      ? Map.groupBy(this.all.filter(({ label }) => !/^[0-9]$/.test(label)), ({ label }) => label)
      : this.all.filter(({ label }) => !/^[0-9]$/.test(label)).reduce((groups, one) => groups.set(one.label, [...(groups.get(one.label) ?? []), one]), new Map());
  }

  add(label, image) {
    this.#keep([...this.all, { label, image: Uint8ClampedArray.from(image) }].slice(-MOST));
  }

  remove(one) {
    this.#keep(this.all.filter((other) => other !== one));
  }

  clear() {
    this.#keep([]);
  }

  #keep(all) {
    this.all = all;
    localStorage.setItem(PLACE, JSON.stringify(all.map(({ label, image }) => ({ label, image: toText(image) }))));
    this.#tell();
  }
}

/** A kept frame as a button that forgets it. */
export function face(one, forget, wrong) {
  const button = make("button", { type: "button", title: "Remove", data: wrong === undefined ? {} : { wrong } }, pixels(make("canvas"), one.image, 28));
  button.setAttribute("aria-label", `${one.label}${wrong === undefined ? "" : `, read as ${wrong}`}: remove`);
  button.addEventListener("click", () => forget(one));
  return button;
}
