import asyncio

from digitnet.serving import cache
from digitnet.serving.cache import Answers


def run(*asked, answers=None):
    """Ask one question after the other; return the answers, what was made, and whether each was known."""
    made, known = [], []
    answers = answers or Answers(known.append)

    async def whole():
        got = []
        for parts in asked:

            async def make(parts=parts):
                made.append(parts)
                return f"answer to {parts}"

            got.append(await answers.answer(parts, make))
        return got

    return asyncio.run(whole()), made, known


def test_the_same_request_is_answered_once_and_then_from_memory():
    got, made, known = run((b"a", b"b"), (b"a", b"b"))
    assert got[0] == got[1]
    assert (len(made), known) == (1, [False, True])


def test_what_differs_in_one_byte_or_in_where_a_part_ends_is_another_request():
    asked = [(b"a", b"b"), (b"a", b"c"), (b"ab", b""), (b"ab",), (b"", b"ab")]
    got, made, _ = run(*asked)
    assert made == asked
    assert len(set(got)) == len(asked)


def test_the_answers_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(cache, "MAX_ANSWERS", 2)
    _, _, known = run((b"a",), (b"b",), (b"a",), (b"c",), (b"a",), (b"b",))
    assert known == [False, False, True, False, True, False]


def test_answers_and_requests_that_are_too_long_are_not_kept(monkeypatch):
    monkeypatch.setattr(cache, "MAX_BODY_BYTES", 10)
    _, made, known = run((b"a" * 11,), (b"a" * 11,))
    assert (len(made), known) == (2, [])
    monkeypatch.setattr(cache, "MAX_ANSWER_BYTES", 8)
    _, made, known = run((b"a",), (b"a",))
    assert (len(made), known) == (2, [False, False])


def test_all_answers_together_stay_within_their_bound(monkeypatch):
    monkeypatch.setattr(cache, "MAX_ANSWER_BYTES", 200)
    answers = Answers()
    run(*[(b"%d" % number,) for number in range(50)], answers=answers)
    assert sum(map(len, answers._kept.values())) == answers._length <= 200
    assert len(answers._kept) > 1


def test_what_fails_is_not_kept():
    answers, tries = Answers(), []

    async def fail():
        tries.append(1)
        raise ValueError("no")

    async def whole():
        return [await asyncio.gather(answers.answer((b"a",), fail), return_exceptions=True) for _ in range(2)]

    assert [str(error) for (error,) in asyncio.run(whole())] == ["no", "no"]
    assert len(tries) == 2
