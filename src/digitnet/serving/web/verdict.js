// One scale for eleven answers: ten digits, and that there is no digit. What is said is always the highest bar.

import { grade } from "./words.js";

export const NO_DIGIT = 10; // the place of the eleventh bar

/** Eleven shares that sum to 1, of a network's ten probabilities and its digitness; threshold: below it is no digit. */
export function shares(probs, digitness, threshold = 0.5) {
  // Digitness is 0.5 for one digit in 500 and about 0.95 for most: its odds to the fourth power leave those at < 1%.
  const odds = (((1 - digitness) / Math.max(digitness, 1e-6)) * (threshold / (1 - threshold))) ** 4;
  const none = Math.min(odds, 1e9) / (1 + Math.min(odds, 1e9));
  return [...probs.map((p) => p * (1 - none)), none];
}

/** What shares say, eleven and those of signs: the place of the highest, how sure that is, and its grade for a pill. */
export function verdict(bars, signs = []) {
  const sure = Math.max(...bars);
  const best = bars.indexOf(sure);
  const said = best === NO_DIGIT ? { name: "guess", icon: "✕", word: "Not a digit" } : grade(sure);
  const big = best === NO_DIGIT ? "?" : (signs[best - NO_DIGIT - 1] ?? String(best));
  return { best, sure, grade: { ...said, sure }, big };
}
