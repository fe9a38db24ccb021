// The most probable texts of a line reader's columns, as `digitnet.reading.ctc.decode` finds them without rules.

const DIGITS = 10; // and the place of the blank, which stands for anything that is no digit
const [BEAM_WIDTH, BEAM_STEPS] = [16, 1_000]; // prefixes of each length that are followed at least; times columns
const [PREFIXES, STEPS] = [400, 20_000]; // prefixes that are followed at this width; times columns
const FAINT = 1e-9; // texts less probable than this share of the best are left out

/** logProbs: for each column eleven natural logarithms. Returns up to `count` of {text, probability}, the best first. */
export function decode(logProbs, count = 5) {
  const probs = logProbs.map((column) => {
    const all = column.map(Math.exp);
    const sum = all.reduce((total, value) => total + value, 0);
    return all.map((value) => value / sum);
  });
  const [width, most] = [Math.max(BEAM_WIDTH, Math.floor(BEAM_STEPS / probs.length), count), Math.max(PREFIXES, Math.floor(STEPS / probs.length))];
  const [found, followed] = [[], []];
  let [least, steps] = [0, 0];
  const prefixes = [{ bound: Infinity, text: "", enter: null }];
  while (prefixes.length) {
    const { bound, text, enter } = pop(prefixes);
    if (bound <= least) break;
    const times = followed[text.length] ?? 0;
    if (times >= (steps < most ? width : 1)) continue;
    [followed[text.length], steps] = [times + 1, steps + 1];
    const last = text ? Number(text.at(-1)) : -1;
    const { spelt, closed } = text ? extended(probs, last, enter) : empty(probs);
    const probability = spelt.at(-1);
    if (probability > least) {
      found.push({ text, probability: Math.min(probability, 1) });
      found.sort((one, other) => other.probability - one.probability);
      found.splice(count);
      least = Math.max(least, FAINT * probability, found.length === count ? found.at(-1).probability : 0);
    }
    for (let digit = 0; digit < DIGITS; digit++) {
      const grown = digit === last ? closed : spelt;
      const behind = probs.reduce((sum, column, at) => sum + grown[at] * column[digit], 0);
      if (behind > least) prefixes.push({ bound: behind, text: text + digit, enter: grown });
    }
  }
  return found.filter(({ probability }) => probability > FAINT * found[0].probability);
}

/** Take the prefix that most probability lies behind. */
function pop(prefixes) {
  let best = 0;
  prefixes.forEach(({ bound }, place) => (best = bound > prefixes[best].bound ? place : best));
  const [taken] = prefixes.splice(best, 1);
  return taken;
}

/** How probable it is that the first columns spell a text: of all alignments, and of those that end in a blank. */
function extended(probs, digit, enter) {
  const [spelt, closed] = [[0], [0]];
  let [inside, after] = [0, 0];
  probs.forEach((column, at) => {
    [inside, after] = [column[digit] * (inside + enter[at]), column[DIGITS] * (after + inside)];
    spelt.push(inside + after);
    closed.push(after);
  });
  return { spelt, closed };
}

function empty(probs) {
  const blanks = [1];
  for (const column of probs) blanks.push(blanks.at(-1) * column[DIGITS]);
  return { spelt: blanks, closed: blanks };
}
