import asyncio
import threading

import pytest

from digitnet.serving.batching import Batcher, BusyError, LateError


def run(scenario, **settings):
    """Run a coroutine with a batcher, and let its threads go afterwards."""

    async def whole():
        batcher = Batcher(**{"threads": 1, "places": 10, "standing": 10} | settings)
        try:
            return await scenario(batcher)
        finally:
            batcher.close()

    return asyncio.run(whole())


def doubled(items):
    return [2 * item for item in items]


class Held:
    """A function that waits until it is let go, and remembers what it was given."""

    def __init__(self):
        self.begun, self.go, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, items):
        self.batches.append(items)
        self.begun.set()
        self.go.wait()
        return items


async def until(true):
    while not true():
        await asyncio.sleep(0.001)


def test_everybody_gets_the_answer_to_what_they_asked():
    async def scenario(batcher):
        return await asyncio.gather(*(batcher.join(doubled, number) for number in range(300)))

    assert run(scenario, threads=3) == [2 * number for number in range(300)]


def test_an_idle_server_begins_at_once_and_makes_nobody_wait_for_company():
    async def scenario(batcher):
        held = Held()
        asked = asyncio.ensure_future(batcher.join(held, 1))
        await asyncio.sleep(0)
        assert batcher.waiting == 0
        held.go.set()
        assert await asked == 1
        return held.batches

    assert run(scenario) == [[1]]


def test_what_waits_for_the_same_function_is_joined_up_to_the_limit():
    sizes = []

    async def scenario(batcher):
        held = Held()
        asked = [asyncio.ensure_future(batcher.join(held, item, size)) for item, size in (("a", 1), ("b", 2), ("c", 2))]
        asked.append(asyncio.ensure_future(batcher.join(held, "d", 1)))
        await until(held.begun.is_set)
        held.go.set()
        assert await asyncio.gather(*asked) == ["a", "b", "c", "d"]
        return held.batches

    assert run(scenario, together=3, seen=sizes.append) == [["a"], ["b", "d"], ["c"]]
    assert sizes == [1, 3, 2]


def test_calls_of_ones_own_are_never_joined():
    async def scenario(batcher):
        return await asyncio.gather(*(batcher.run(lambda n=n: (n, threading.get_ident())) for n in range(5)))

    sizes = []
    found = run(scenario, seen=sizes.append)
    assert [number for number, _ in found] == [0, 1, 2, 3, 4]
    assert threading.get_ident() not in {thread for _, thread in found}
    assert sizes == [1] * 5


def test_an_error_reaches_those_of_its_batch_and_nobody_else():
    def fails(items):
        raise ValueError("no")

    async def scenario(batcher):
        asked = [batcher.join(fails, 1), batcher.join(doubled, 2), batcher.join(fails, 3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = run(scenario)
    assert (str(first), second, str(third)) == ("no", 4, "no")


def test_without_a_free_place_one_is_refused_at_once():
    async def scenario(batcher):
        # Before a place is given back: nobody waits for one.
        with batcher.place(), batcher.place(), pytest.raises(BusyError), batcher.place():
            raise AssertionError
        with batcher.place():
            return "free again"

    assert run(scenario, places=2) == "free again"


def test_who_waits_longer_than_the_deadline_is_given_up_and_costs_no_work():
    async def scenario(batcher):
        held, done = Held(), []
        first = asyncio.ensure_future(batcher.join(held, 1))
        await until(held.begun.is_set)
        batcher.deadline = 0.0
        with pytest.raises(LateError):
            await batcher.run(lambda: done.append("late"))
        assert batcher.waiting == 0
        batcher.deadline = 1000.0
        held.go.set()
        assert await first == 1, "what had begun is finished, however long it takes"
        await batcher.run(lambda: done.append("next"))
        return done

    assert run(scenario) == ["next"]


def test_who_goes_away_while_waiting_costs_no_work():
    async def scenario(batcher):
        held, done = Held(), []
        first = asyncio.ensure_future(batcher.join(held, 1))
        await until(held.begun.is_set)
        gone = asyncio.ensure_future(batcher.run(lambda: done.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        held.go.set()
        await first
        await batcher.run(lambda: done.append("next"))
        return done

    assert run(scenario) == ["next"]


def test_no_more_is_worked_on_at_a_time_than_there_are_threads():
    three, go, begun = threading.Barrier(4), threading.Event(), []

    def work():
        begun.append(1)
        if not go.is_set():
            three.wait()
            go.wait()

    async def scenario(batcher):
        asked = [asyncio.ensure_future(batcher.run(work)) for _ in range(20)]
        await asyncio.to_thread(three.wait)  # three work at the same time
        assert (len(begun), batcher.waiting) == (3, 17)
        go.set()
        await asyncio.gather(*asked)

    run(scenario, threads=3)
    assert len(begun) == 20


def crowd(batcher, count):
    """Ask for places, and return those that were given."""
    given = []
    for _ in range(count):
        place = batcher.place()
        try:
            place.__enter__()
        except BusyError:
            break
        given.append(place)
    return given


def leave(places):
    for place in places:
        place.__exit__(None, None, None)


def test_a_burst_is_let_in_whole_and_a_crowd_that_stays_is_not(monkeypatch):
    now = [10.0]
    monkeypatch.setattr("digitnet.serving.batching.time.monotonic", lambda: now[0])

    async def scenario(batcher):
        burst = crowd(batcher, 9)
        assert len(burst) == 8
        now[0] += 0.1
        leave(burst[:3])
        more = crowd(batcher, 9)
        assert len(more) == 3, "still a burst"
        now[0] += 0.5
        leave(more)
        assert not crowd(batcher, 1), "five are inside, of which four may stand"
        leave(burst[3:6])
        few = crowd(batcher, 9)
        assert len(few) == 2, "as many as may stand"
        leave(burst[6:] + few)
        leave(crowd(batcher, 1))
        few = crowd(batcher, 9)
        assert len(few) == 4, "as many came a moment ago"
        leave(few)
        leave(crowd(batcher, 1))
        now[0] += 0.5
        assert len(crowd(batcher, 9)) == 8, "that is over: the next burst is let in"

    run(scenario, threads=1, places=8, standing=4)


def test_few_who_come_again_and_again_are_never_refused(monkeypatch):
    seconds = iter(range(1000))
    monkeypatch.setattr("digitnet.serving.batching.time.monotonic", lambda: float(next(seconds)))

    async def scenario(batcher):
        stays = crowd(batcher, 3)
        for _ in range(100):
            leave(one := crowd(batcher, 1))
            assert len(one) == 1
        leave(stays)

    run(scenario, threads=1, places=8, standing=4)
