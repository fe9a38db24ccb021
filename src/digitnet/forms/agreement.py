"""Relations inside the search: the fields that a relation names are read together, as the most probable whole.

Each field's texts are weighed by what the image says of them; of all combinations those count that keep the relation.
A share of sheets does not keep it, since people err: where what is seen speaks clearly against a relation, the fields
stay as they were read, and the sheet says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from heapq import heappop, heappush

from digitnet.forms.answers import Answer, Option
from digitnet.forms.relations import Relation

BROKEN_SHARE = 0.01
"""Share of sheets that are taken not to keep a relation."""

MAX_COMBINATIONS = 5_000
"""Combinations of values that are looked at, the most probable first."""

MIN_RELATIVE_PROBABILITY = 1e-3
"""Combinations less probable than this share of those that keep the relations end the search."""

MIN_SURE = 0.995
"""Confidence from which a field of a relation that holds need not be read again."""


def agreed(
    answers: Mapping[str, Answer], relations: Sequence[Relation], options: Callable[[str], Sequence[Option]]
) -> tuple[dict[str, Answer], list[str]]:
    """Return the answers with relations kept as far as what is seen allows, and the relations that are not.

    options: gives the values that a field may have, the most probable first; () where it was not read as a number.
    A relation of fields that are unreadable, ambiguous or hidden is left out, since it cannot be checked.
    """
    found, broken = dict(answers), []
    for group in _connected(relations):
        names = sorted(set().union(*(relation.names for relation in group)))
        if any(found[name].status not in ("read", "empty") for name in names):
            group = [one for one in group if all(found[name].status in ("read", "empty") for name in one.names)]
            names = sorted(set().union(*(relation.names for relation in group)))
        if not group:
            continue
        values = {name: found[name].value for name in names}
        holding = all(relation.holds(values) for relation in group)
        if holding and all(found[name].confidence >= MIN_SURE for name in names):
            continue
        doubtful = [name for name in names if not holding or found[name].confidence < MIN_SURE]
        may_be = {name: _may_be(found[name], options(name) if name in doubtful else ()) for name in names}
        for relation in group if len(group) > 1 else ():
            may_be |= _narrowed(relation, {name: may_be[name] for name in relation.names})
        found.update(_weighed(found, group, may_be))
        values = {name: found[name].value for name in names}
        broken += [relation.text for relation in group if not relation.holds(values)]
    return found, broken


def _connected(relations: Sequence[Relation]) -> list[list[Relation]]:
    """Return the relations in groups that share no field."""
    groups: list[list[Relation]] = []
    for relation in relations:
        mine = [group for group in groups if any(relation.names & other.names for other in group)]
        groups = [group for group in groups if group not in mine]
        groups.append([*(one for group in mine for one in group), relation])
    return groups


def _may_be(answer: Answer, options: Sequence[Option]) -> list[Option]:
    if answer.status == "empty" or not options:
        return [Option(answer.text, answer.value, 1.0)]
    return list(options)


def _narrowed(relation: Relation, may_be: Mapping[str, list[Option]]) -> dict[str, list[Option]]:
    """Return the options that occur where one relation of several holds; all of them where it rather does not."""
    names, kept = list(may_be), 0.0
    texts: dict[str, set[str]] = {name: set() for name in names}
    whole = math.prod(sum(option.probability for option in its) for its in may_be.values())
    for weight, combination in _combinations(list(may_be.values())):
        if relation.holds({name: one.value for name, one in zip(names, combination, strict=True)}):
            kept += weight
            for name, one in zip(names, combination, strict=True):
                texts[name].add(one.text)
        if weight < MIN_RELATIVE_PROBABILITY * kept:
            break
    if kept * (1 - BROKEN_SHARE) < BROKEN_SHARE * (whole - kept):
        return dict(may_be)
    return {name: [option for option in its if option.text in texts[name]] for name, its in may_be.items()}


def _weighed(
    answers: Mapping[str, Answer], relations: Sequence[Relation], may_be: Mapping[str, list[Option]]
) -> dict[str, Answer]:
    """Return the answers of the most probable combination, each with the probability of its value over all of them."""
    names = list(may_be)
    kept, masses = 0.0, {name: dict[str, float]() for name in names}
    best: tuple[Option, ...] | None = None
    whole = math.prod(sum(option.probability for option in its) for its in may_be.values())
    for weight, combination in _combinations([may_be[name] for name in names]):
        values: dict[str, Fraction | None] = {name: one.value for name, one in zip(names, combination, strict=True)}
        if not all(relation.holds(values) for relation in relations):
            continue
        best = best or combination
        kept += weight
        for name, one in zip(names, combination, strict=True):
            masses[name][one.text] = masses[name].get(one.text, 0.0) + weight
        if weight < MIN_RELATIVE_PROBABILITY * kept:
            break
    permitted = kept / whole
    holds = (1 - BROKEN_SHARE) * permitted
    holds = holds / (holds + BROKEN_SHARE * (1 - permitted)) if holds else 0.0
    if best is None or holds < 0.5:
        return {name: replace(answers[name], confidence=answers[name].confidence * (1 - holds)) for name in names}
    found = {}
    for name, one in zip(names, best, strict=True):
        before = answers[name]
        sure = holds * masses[name][one.text] / kept
        if one.text == before.text:
            # What made the field doubtful beside the choice between its texts stays.
            alone = next((option.probability for option in may_be[name] if option.text == one.text), 1.0)
            found[name] = replace(before, confidence=min(1.0, sure * min(1.0, before.confidence / max(alone, 1e-9))))
        else:
            found[name] = Answer(one.text, sure, before.status, one.value, None, before.seen or before.text)
    return found


def _combinations(lists: Sequence[list[Option]]) -> Iterator[tuple[float, tuple[Option, ...]]]:
    """Yield combinations of one option of each list, the most probable first, at most `MAX_COMBINATIONS`."""
    start = (0,) * len(lists)
    weight = math.prod(its[0].probability for its in lists)
    heap, known = [(-weight, start)], {start}
    for _ in range(MAX_COMBINATIONS):
        if not heap:
            return
        negative, places = heappop(heap)
        yield -negative, tuple(its[place] for its, place in zip(lists, places, strict=True))
        for index, (its, place) in enumerate(zip(lists, places, strict=True)):
            following = (*places[:index], place + 1, *places[index + 1 :])
            if place + 1 < len(its) and following not in known:
                known.add(following)
                ratio = its[place + 1].probability / max(its[place].probability, 1e-300)
                heappush(heap, (negative * ratio, following))
