"""What the HTTP service holds under load: throughput beside an endpoint that does nothing, latency, overload, memory.

python benchmarks/serve_load.py >> benchmarks/RESULTS.md
python benchmarks/serve_load.py --only share --seconds 3

The service runs in a process of its own, as `digitnet serve` starts it; this one is the load.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
from rows import note, row
from scenes import Gray

from digitnet.data.synthesis.strokes import hands

CLIENTS, LIMIT = 32, 0.040
"""Connections that ask one request after the other; seconds that 99 of 100 may take at half of what they get."""

NEW, NUMBERS = b"min_confidence=0.0000000", count(1)
"""A parameter of requests that is another number in each, so that none is answered from memory."""

LAST = b"Connection: close\r\n"
"""The header of a request that is its connection's last."""

NOTHING = """
import socket, sys
from fastapi import FastAPI, File, UploadFile
from digitnet.serving.process import serve_app
app = FastAPI()
@app.post("/v1/read")
async def read(file: list[UploadFile] = File()):
    return {}
@app.get("/health/ready")
async def ready():
    return {}
listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
serve_app(app, listening, lambda it: print(f"Open http://127.0.0.1:{it.getsockname()[1]} ", flush=True))
"""
"""FastAPI taking the same upload with the same settings of the server, and doing nothing with it."""


class Client(asyncio.Protocol):
    """A connection that sends whole requests as they are and waits for the status of the answer; no HTTP library."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.got = bytearray()
        self.answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        end = self.got.find(b"\r\n\r\n")
        if end < 0 or self.answer is None or self.answer.done():
            return
        head = bytes(self.got[:end]).lower()
        length = head.find(b"content-length: ")
        stop = head.find(b"\r\n", length)
        if len(self.got) >= end + 4 + int(head[length + 16 : stop if stop > 0 else None]):
            self.got.clear()
            self.answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionResetError())
        self.transport = None

    async def ask(self, port: int, request: bytes) -> int:
        """Send a request and return the status; 0 where the connection broke."""
        request = request.replace(NEW, b"min_confidence=0.%07d" % next(NUMBERS), 1)
        loop = asyncio.get_running_loop()
        try:
            if self.transport is None or self.transport.is_closing():
                self.got.clear()
                await loop.create_connection(lambda: self, "127.0.0.1", port)
            assert self.transport is not None
            self.answer = loop.create_future()
            self.transport.write(request)
            status = await asyncio.wait_for(self.answer, 30)
            if LAST in request[:500] and self.transport is not None:
                self.transport.close()
            return status
        except (OSError, TimeoutError):
            if self.transport is not None:
                self.transport.abort()
                self.transport = None
            return 0


Asked = tuple[float, int, float]  # when it was sent or should have been, the status, the seconds until the answer


async def closed(port: int, requests: Iterator[bytes], clients: int) -> list[Asked]:
    """Let clients ask one request after the other until there are no more."""
    asked: list[Asked] = []

    async def one() -> None:
        client = Client()
        for request in requests:
            began = time.perf_counter()
            status = await client.ask(port, request)
            asked.append((began, status, time.perf_counter() - began))
            if status == 429:
                await asyncio.sleep(1)  # as Retry-After says
        if client.transport is not None:
            client.transport.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return asked


async def at_rate(port: int, request: bytes, rate: float, seconds: float) -> list[Asked]:
    """Send requests at fixed times, whatever became of those before; times count from when each should be sent."""
    asked: list[Asked] = []
    free: list[Client] = []
    running: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        client = free.pop() if free else Client()
        status = await client.ask(port, request)
        asked.append((due, status, time.perf_counter() - due))
        free.append(client)

    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        if len(running) < 2000:  # else this process is what is too slow
            task = asyncio.create_task(one(due))
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for client in free:
        if client.transport is not None:
            client.transport.close()
    return asked


def during(request: bytes, seconds: float) -> Iterator[bytes]:
    """Yield a request again and again until the time is over."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield request


def p99(asked: list[Asked]) -> float:
    """Return the seconds in which 99 of 100 good answers came."""
    good = [seconds for _, status, seconds in asked if status == 200]
    return float(np.quantile(good, 0.99)) if good else float("inf")


@contextmanager
def serving(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server; give it and its port once it is ready."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().split()[1].rpartition(":")[2])
        while asyncio.run(Client().ask(port, post("/health/ready", "", b"", "GET"))) != 200:
            time.sleep(0.05)
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


OURS = ("-m", "digitnet", "serve", "--port", "0")


def post(path: str, media_type: str, body: bytes, method: str = "POST", length: int | None = None) -> bytes:
    """Return a request as its bytes."""
    size = len(body) if length is None else length
    more = "" if length is None else LAST.decode()  # after a lie about its length it cannot go on
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\nContent-Length: {size}\r\n"
    return f"{head}{more}\r\n".encode() + body


def form(*files: bytes) -> bytes:
    """Return a request that uploads files as a browser does."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="page.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + file + b"\r\n"
        for file in files
    ]
    path = f"/v1/read?{NEW.decode()}"
    return post(path, "multipart/form-data; boundary=edge", b"".join(parts) + b"--edge--\r\n")


def png(page: Gray) -> bytes:
    """Return a page as a PNG file."""
    return cv2.imencode(".png", page)[1].tobytes()


def drawn() -> bytes:
    """Return the picture that most parts send: a digit drawn on a canvas of 280x280."""
    return png(cv2.resize(255 - hands(10, 1).images[7], (280, 280), interpolation=cv2.INTER_CUBIC))


def share(asked: argparse.Namespace) -> bool:
    """Compare requests a second with those of the endpoint that does nothing, turn by turn."""
    request, found = form(drawn()), Counter[str]()
    with serving(*OURS) as (_, ours), serving("-c", NOTHING) as (_, nothing):
        for port in (ours, nothing):  # warm
            asyncio.run(closed(port, during(request, 0.5), CLIENTS))
        for _ in range(3):
            for name, port in (("ours", ours), ("nothing", nothing)):
                answers = asyncio.run(closed(port, during(request, asked.seconds / 3), CLIENTS))
                found[name] += sum(status == 200 for _, status, _ in answers)
                found["refused"] += sum(status == 429 for _, status, _ in answers)
                found["other"] += sum(status not in (200, 429) for _, status, _ in answers)
    part = found["ours"] / found["nothing"]
    measured = f"{part:.3f}: {found['ours'] / asked.seconds:.0f} of {found['nothing'] / asked.seconds:.0f} /s"
    measured += f"; {found['refused']} told to come back a second later"
    what = f"serving: reading a drawn digit, {CLIENTS} clients, beside an endpoint that does nothing"
    return row(what, ">= 0.35", measured, found["ours"], part >= 0.35 and not found["other"])


def cost(asked: argparse.Namespace) -> bool:
    """Take the processor time of the service for a drawn digit, read and answered from memory."""
    request, times = form(drawn()), {}
    with serving(*OURS) as (process, port):
        for what, sent in (("read", request), ("from memory", request.replace(NEW, b"min_confidence=0.5"))):
            requests = islice(during(sent, 1e9), 110)
            asyncio.run(closed(port, islice(requests, 10), 1))
            began = processor(process)
            answers = asyncio.run(closed(port, requests, 1))
            times[what] = 1000 * (processor(process) - began) / len(answers)
    measured = ", ".join(f"{what} {its:.1f} ms" for what, its in times.items())
    return row("serving: processor time of a drawn digit", "report", measured, 100, True)


def processor(process: subprocess.Popen[str]) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def capacity(port: int, request: bytes, seconds: float) -> float:
    """Return the requests a second that `CLIENTS` get."""
    answers = asyncio.run(closed(port, during(request, seconds), CLIENTS))
    return sum(status == 200 for _, status, _ in answers) / seconds


def half(asked: argparse.Namespace) -> bool:
    """Take the time of 99 of 100 requests at half the load."""
    request = form(drawn())
    with serving(*OURS) as (_, port):
        rate = capacity(port, request, max(2, asked.seconds / 4)) / 2
        answers = asyncio.run(at_rate(port, request, rate, asked.seconds))
    good = all(status == 200 for _, status, _ in answers)
    slow = p99(answers)
    what = f"serving: p99 at half the load, {rate:.0f} /s"
    return row(what, f"<= {1000 * LIMIT:.0f} ms", f"{1000 * slow:.1f} ms", len(answers), slow <= LIMIT and good)


def overload(asked: argparse.Namespace) -> bool:
    """Send four times what it can do: refusals come at once, good answers not too late, and then all is well again."""
    request, seconds = form(drawn()), asked.seconds * 6
    with serving(*OURS) as (_, port):
        rate = 4 * capacity(port, request, max(2, asked.seconds / 4))
        answers = asyncio.run(at_rate(port, request, rate, seconds))
        time.sleep(2)
        after = asyncio.run(at_rate(port, request, rate / 8, max(2, asked.seconds / 4)))
    kinds = Counter(status for _, status, _ in answers)
    slow, again = p99(answers), p99(after)
    refused = float(np.quantile([s for _, status, s in answers if status == 429] or [0], 0.99))
    well = all(status == 200 for _, status, _ in after) and again <= LIMIT
    met = set(kinds) <= {200, 429} and slow <= 3 * LIMIT and well
    measured = (
        f"{', '.join(f'{count} x {kind}' for kind, count in sorted(kinds.items()))}; p99 {1000 * slow:.0f} ms, of "
        f"refusals {1000 * refused:.0f} ms; 2 s later {1000 * again:.0f} ms"
    )
    target = f"200 and 429 alone, p99 <= {3000 * LIMIT:.0f} ms, after 2 s <= {1000 * LIMIT:.0f} ms"
    return row(f"serving: four times the load, {rate:.0f} /s for {seconds:.0f} s", target, measured, len(answers), met)


def mixed(count: int) -> Iterator[bytes]:
    """Yield requests of all sizes and kinds; one in ten is hostile."""
    rng = np.random.default_rng(5)
    digits = hands(100, 2).images
    images = io.BytesIO()
    np.save(images, digits)
    files = [png(_page(rng, 60 << i)) for i in range(5)]
    good: list[Callable[[], bytes]] = [
        lambda: form(files[rng.integers(5)]),
        lambda: post("/v1/read?single=true&lengths=1-3", "image/png", files[rng.integers(3)]),
        lambda: form(*(files[i] for i in rng.integers(3, size=3))),
        lambda: post("/v1/classify", "application/x-npy", images.getvalue()),
        lambda: post("/v1/classify", "application/json", json.dumps({"images": digits[:2].tolist()}).encode()),
        lambda: post("/v1/inside?model=digitnet", "image/png", files[rng.integers(3)]),
    ]
    for number in range(count):
        yield _hostile(rng, files) if number % 10 == 9 else good[rng.integers(len(good))]()


def _page(rng: np.random.Generator, side: int) -> Gray:
    page = np.full((side, side), 255, np.uint8)
    glyph = cv2.resize(255 - hands(10, 1).images[int(rng.integers(10))], (56, 56))
    for place in range(0, side - 56, 80):
        page[place : place + 56, place : place + 56] = glyph
    return page


def _hostile(rng: np.random.Generator, files: list[bytes]) -> bytes:
    """Return a request that is damaged, absurd or a lie."""
    file = files[rng.integers(len(files))]
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + b"\x08\0\0\0\0" + bytes(20)
    spoilt = bytearray(file)
    for place in rng.integers(len(spoilt), size=20):
        spoilt[place] = rng.integers(256)
    npy = b"\x93NUMPY\x01\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (9000, 28, 28)}"
    kinds = [
        form(bytes(spoilt)),
        form(file[: len(file) // 2]),
        form(bomb),
        form(rng.bytes(int(rng.integers(1, 100_000)))),
        form(*[file[:200]] * 60),
        post("/v1/read", "multipart/form-data; boundary=edge", rng.bytes(2000)),
        post("/v1/read?length=0&range=zz&checksum=no", "image/png", file),
        post("/v1/read", "image/png", b""),
        post("/v1/classify", "application/x-npy", npy.ljust(128) + bytes(784)),
        post("/v1/classify", "application/json", b"[" * 100_000),
        post("/v1/inside?model=../../etc/passwd", "image/png", file),
        post("/v1/read", "image/png", b"", length=900_000_000),
    ]
    return kinds[rng.integers(len(kinds))]


def resident(process: subprocess.Popen[str]) -> int:
    """Return the memory that a process holds, kB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def memory(asked: argparse.Namespace) -> bool:
    """Send good and hostile requests, and see that memory stays and nothing fails."""
    requests = mixed(asked.requests)
    first = asked.requests // 10
    with serving(*OURS) as (process, port):
        answers = asyncio.run(closed(port, islice(requests, first), 16))
        before = resident(process)
        answers += asyncio.run(closed(port, requests, 16))
        after = resident(process)
    kinds = Counter(status // 100 for _, status, _ in answers)
    growth = after / before - 1
    measured = f"{growth:+.1%}, {before / 1000:.0f} to {after / 1000:.0f} MB; " + ", ".join(
        f"{count} x {kind}xx" for kind, count in sorted(kinds.items())
    )
    what = f"serving: memory from request {first:,} on, one in ten hostile"
    return row(what, "< 5%, no 5xx", measured, len(answers), growth < 0.05 and not kinds[5] and not kinds[0])


def slow(asked: argparse.Namespace) -> bool:
    """Hold connections with half of a request each, and see how soon others are answered, and when it ends."""
    request = form(drawn())
    half = [post("/v1/read", "image/png", b"abc", length=5000)] * 36 + [b"GET / HTTP/1.1\r\nHost: 127.0"] * 150

    async def attacked(port: int) -> tuple[list[Asked], float]:
        began = time.perf_counter()
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in half]
        for (_, writer), sent in zip(held, half, strict=True):
            writer.write(sent)
        answers = await at_rate(port, request, 10, asked.seconds)
        await asyncio.gather(*(reader.read() for reader, _ in held))  # until the server closes them
        for _, writer in held:
            writer.close()
        return answers, time.perf_counter() - began

    with serving(*OURS) as (_, port):
        answers, seconds = asyncio.run(asyncio.wait_for(attacked(port), 120))
    late, good = p99(answers), all(status == 200 for _, status, _ in answers)
    what = "serving: 10 requests/s beside 36 bodies and 150 headers that do not arrive"
    measured = f"p99 {1000 * late:.0f} ms; all of these closed after {seconds:.0f} s"
    met = good and late <= LIMIT and seconds <= 30
    return row(what, f"p99 <= {1000 * LIMIT:.0f} ms, <= 30 s", measured, len(answers), met)


def stop(asked: argparse.Namespace) -> bool:
    """Send SIGTERM under load: what was sent before it is answered."""
    request = form(drawn())

    async def under_load(process: subprocess.Popen[str], port: int) -> tuple[list[Asked], float]:
        stopped = 0.0

        def requests() -> Iterator[bytes]:
            while not stopped:
                yield request

        load = asyncio.create_task(closed(port, requests(), CLIENTS))
        await asyncio.sleep(min(2, asked.seconds))
        process.send_signal(signal.SIGTERM)
        stopped = time.perf_counter()
        return await load, stopped

    with serving(*OURS) as (process, port):
        answers, stopped = asyncio.run(under_load(process, port))
        process.wait(60)
        with socket.socket() as again:
            gone = again.connect_ex(("127.0.0.1", port)) != 0
    inside = [status for began, status, seconds in answers if began <= stopped <= began + seconds]
    lost = sum(status != 200 for status in inside)
    measured = f"{lost} of {len(inside)} in flight lost, {len(answers)} answered in all"
    return row("serving: SIGTERM under load", "no accepted request lost", measured, len(answers), gone and not lost)


PARTS = {"cost": cost, "share": share, "half": half, "overload": overload, "memory": memory, "slow": slow, "stop": stop}


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=[*PARTS])
    parser.add_argument("--seconds", type=float, default=10, help="of each part; overload takes six times as long")
    parser.add_argument("--requests", type=int, default=20_000, help="of the part memory")
    asked = parser.parse_args()
    met = []
    for name in asked.only:
        note(name)
        met.append(PARTS[name](asked))
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
