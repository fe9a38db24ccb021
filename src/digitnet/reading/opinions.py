"""More opinions on a number beside the line reader's: the classifier's, a closer look's, another reader's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitnet.core.digits import DIGITS, IMAGE_SIZE
from digitnet.imaging.normalization import frame, strip
from digitnet.imaging.thinning import thinner
from digitnet.models.onnx_models import Columns, LineReader, OnnxClassifier, only_digits
from digitnet.models.rapidocr import Recogniser
from digitnet.reading.candidates import ALTERNATIVES, Draft, draft_of, glyphs_of, located
from digitnet.reading.constraints import Rules
from digitnet.reading.ctc import Hypothesis, align, decode, digit_probs, text_probability
from digitnet.reading.effort import WIDEST
from digitnet.reading.likeness import Opinion
from digitnet.reading.spelling import spelt

LINE_WEIGHT, DIGIT_WEIGHT = 0.85, 0.3
"""Of the logarithms of probabilities by the line reader, which sees digits beside each other, and by the classifier;
together more than 1, since the two agree by chance less often than one with itself."""

LOOK_WEIGHT, FIELD_WEIGHT = 0.5, 0.25
"""The same for fields of forms, of each of two looks of the line reader, and of the classifier's."""

OTHER_WEIGHT = 0.5
"""Of the logarithms of the line reader's probabilities and of another reader's, of which neither is better."""

MIN_PROBABILITY = 1e-3
"""Least probability that an opinion can give a digit: it is surer than it is right where a digit is cut badly."""

SETTLED = 0.97
"""Probability from which a number needs no other opinion."""

SMALL, ROOM = 0.45, 0.2
"""Height of digits, in heights of a picture, below which a doubtful number is looked at closer, as between tall
brackets and slashes; and the paper left above and below its digits, in their heights."""

UNSEEN_ROWS, UNSEEN_HEIGHT = 0.15, 0.6
"""Where no digit was seen: share of a picture's height left out at top and bottom for a closer look, and the assumed
height of the digits."""

TRIMMED = 0.1
"""Share of a picture's height that is left out at top and bottom for a closer look: paper, or the ends of the ink."""


def closer(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (h, w) of a number cut closer to it."""
    less = int(TRIMMED * len(picture))
    return picture[less : len(picture) - less]


def opinions_of(classifier: OnnxClassifier, drafts: Sequence[Draft]) -> dict[int, Opinion]:
    """Ask a classifier about the digits of all drafts at once; return its opinion of each draft by the draft's id."""
    if not drafts:
        return {}
    glyphs = [frame(glyph) for draft in drafts for glyph in glyphs_of(draft)]
    probs, digitness = classifier.classify(np.array(glyphs, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE))
    ends = np.cumsum([len(draft.boxes) for draft in drafts])[:-1]
    said = zip(drafts, np.split(probs, ends), np.split(digitness, ends), strict=True)
    return {id(draft): Opinion(its_probs, its_digitness) for draft, its_probs, its_digitness in said}


def digit_height(draft: Draft, picture: NDArray[np.uint8]) -> float:
    """Return the median height of a number's digits in pixels of its picture (h, w), or a guess if none was seen."""
    if not draft.boxes:
        return UNSEEN_HEIGHT * len(picture)
    boxes = np.array(draft.boxes) * (len(picture) / draft.region.ink.shape[0])
    return float(np.median(boxes[:, 3] - boxes[:, 1]))


def close_up(draft: Draft, picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the rows of a number's picture (h, w) that its digits are in; None if they fill it, or are not in doubt.

    draft: what was read in the picture.
    """
    if draft.sure >= SETTLED:
        return None
    height, tall = len(picture), digit_height(draft, picture)
    if not draft.boxes:
        return picture[int(UNSEEN_ROWS * height) : height - int(UNSEEN_ROWS * height)]
    boxes = np.array(draft.boxes) * (height / draft.region.ink.shape[0])
    if tall >= SMALL * height:
        return None
    room = ROOM * max(tall, 0.3 * height)
    return picture[max(0, int(boxes[:, 1].min() - room)) : int(boxes[:, 3].max() + room) + 1]


def thinned(draft: Draft, picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return a number's picture (h, w) with thinner strokes; None if they are not heavy, or it is not in doubt."""
    if draft.sure >= SETTLED:
        return None
    closest = close_up(draft, picture)
    return thinner(picture if closest is None else closest, digit_height(draft, picture))


def looked_again(
    drafts: Sequence[Draft], pictures: Sequence[NDArray[np.uint8]], rules: Rules | None, line: LineReader, alone: bool
) -> list[Draft]:
    """Return what regions contain after the line reader has read doubtful numbers again: closer, and with thin strokes.

    pictures: as for `close_up`. alone: whether there is no second reader. With one, thin strokes hardly help, and they
    raise the confidence of errors.
    """
    drafts = list(drafts)
    for view in (close_up, thinned) if alone else (close_up,):
        parts = [view(draft, picture) for draft, picture in zip(drafts, pictures, strict=True)]
        looks = iter(line([strip(part, WIDEST) for part in parts if part is not None]))
        drafts = [
            draft if part is None else _compared(draft, spelt(next(looks), rules).log_probs, rules)
            for draft, part in zip(drafts, parts, strict=True)
        ]
    return drafts


def weighed(columns: Columns, text: str, own: float, said: Sequence[tuple[float, NDArray[np.float32]]]) -> Columns:
    """Return columns in which the digits at each place of a text share what digits have there by all opinions.

    text: of digits, as it was read. own: the weight of the columns' logarithms. said: of each other opinion its weight
    and its probabilities (n, 10) of the digits at each place.
    """
    spans = align(columns.log_probs, text)
    middles = [(one[1] + other[0]) // 2 for one, other in pairwise(spans)]
    others = np.sum([weight * np.log(np.maximum(probs, MIN_PROBABILITY)) for weight, probs in said], axis=0)
    characters = columns.characters.copy()
    for start, stop, its in zip([0, *middles], [*middles, len(characters)], others, strict=True):
        part = characters[start:stop, : len(DIGITS)]
        every = own * part + its
        every += np.logaddexp.reduce(part, axis=1, keepdims=True) - np.logaddexp.reduce(every, axis=1, keepdims=True)
        characters[start:stop, : len(DIGITS)] = every
    return replace(columns, characters=characters, log_probs=only_digits(characters, columns.alphabet))


def seconded(draft: Draft, probs: NDArray[np.float32], rules: Rules | None, single: bool) -> Draft:
    """Return what a region says if the classifier has a say in each of its digits, where they are several and doubtful.

    probs: (n, 10), what the classifier says of each digit. rules, single: as for `draft_of`.
    """
    if len(draft.text) < 2 or draft.sure >= SETTLED:
        return draft
    columns = weighed(draft.columns, draft.text, LINE_WEIGHT, [(DIGIT_WEIGHT, probs)])
    other = draft_of(draft.region, columns, rules, single)
    return other if len(other.text) == len(draft.text) else draft


def compared(drafts: Sequence[Draft], said: Sequence[NDArray[np.float32]], rules: Rules | None) -> list[Draft]:
    """Return what regions say by the geometric mean of the line reader and another reader, of whole texts.

    said: for each region the (t, 11) log-probabilities of the other reader's columns. rules: as for `draft_of`; what
    they permit stays.
    """
    return [_compared(draft, other, rules) for draft, other in zip(drafts, said, strict=True)]


def _compared(draft: Draft, other: NDArray[np.float32], rules: Rules | None) -> Draft:
    log_probs = draft.columns.log_probs
    kind = draft.ruled and rules is not None and rules.kind  # its signs are known to the line reader alone
    theirs = [] if kind else decode(other, rules if draft.ruled else None, ALTERNATIVES)
    both = {
        text: (text_probability(log_probs, text) * text_probability(other, text)) ** OTHER_WEIGHT
        for text in dict.fromkeys(each.text for each in (*draft.hypotheses, *theirs))
    }
    every = sum(both.values())
    found = [Hypothesis(text, share / every, share) for text, share in both.items() if share]
    found.sort(key=lambda each: (-each.probability, each.text))
    if not found:
        return draft
    text, columns = found[0].text, draft.columns
    if text:
        columns = weighed(columns, text, OTHER_WEIGHT, [(OTHER_WEIGHT, digit_probs(other, text))])
    boxes, presence = located(draft.region, columns, text)
    kept = draft.sure / draft.hypotheses[0].probability if draft.hypotheses else 1.0
    alone = draft.alone if draft.ruled else found[0]
    found = found[:ALTERNATIVES]
    return Draft(draft.region, columns, found, alone, boxes, presence, draft.ruled, kept * found[0].probability)


def reconsidered(
    draft: Draft,
    picture: NDArray[np.uint8],
    rules: Rules | None,
    apart: bool,
    models: tuple[LineReader, OnnxClassifier, Recogniser | None],
) -> tuple[Draft, Opinion | None]:
    """Return what a picture (h, w) that contains one number says by all opinions, and the classifier's on its digits.

    draft: what the line reader says. apart: whether the digits do not touch each other, as on forms; then the line
    reader looks at them a second time if they are doubtful. models: with the second reader, if there is one.
    """
    line, digits, other = models
    doubtful = bool(draft.text) and draft.sure < SETTLED
    opinion = opinions_of(digits, [draft])[id(draft)] if doubtful or len(draft.text) == 1 else None

    if opinion and doubtful and apart:
        look = spelt(line([strip(closer(picture), WIDEST)])[0], rules)
        said = [(LOOK_WEIGHT, digit_probs(look.log_probs, draft.text)), (FIELD_WEIGHT, opinion.probs)]
        draft = draft_of(draft.region, weighed(draft.columns, draft.text, LOOK_WEIGHT, said), rules, True)
    elif opinion and doubtful:
        draft = seconded(draft, opinion.probs, rules, True)
    if not apart:
        (draft,) = looked_again([draft], [picture], rules, line, other is None)
    if other:
        (draft,) = compared([draft], other([picture]), rules)
    return draft, opinion


def lone_digit(
    shares: NDArray[np.float32], probs: NDArray[np.float32], sure: float, others: Sequence[tuple[str, float]]
) -> tuple[str, float, NDArray[np.float32], tuple[tuple[str, float], ...]]:
    """Return the value of a lone digit by two opinions, which are better than either: text, its probability, shares.

    shares, probs: (1, 10), what the line reader and the classifier say of it. sure: probability of the line reader's
    text. With them come all other texts, the most probable first. others: those of the line reader.
    """
    lone = sure / max(float(shares.max()), sure)  # that it is one digit at all
    shares = np.sqrt(shares * probs)
    shares /= shares.sum(axis=1, keepdims=True)
    text = str(shares[0].argmax())
    values = ((str(value), lone * float(shares[0, value])) for value in range(10) if str(value) != text)
    longer = ((other, p) for other, p in others if len(other) != 1)
    alternatives = sorted((*values, *longer), key=lambda each: -each[1])[: ALTERNATIVES - 1]
    return text, lone * float(shares.max()), shares, tuple(alternatives)
