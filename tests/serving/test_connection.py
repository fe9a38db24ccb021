"""What a client may do with connections, over real sockets: half a request, slow bodies, unread answers, too many."""

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")
uvicorn = pytest.importorskip("uvicorn")

from helpers import png  # noqa: E402

from digitnet.serving.app import create_app  # noqa: E402
from digitnet.serving.process import configure  # noqa: E402
from digitnet.serving.requests import Limits  # noqa: E402
from digitnet.serving.service import Settings  # noqa: E402
from digitnet.serving.shares import Shares, client_of  # noqa: E402

NEVER = 3600.0
"""Seconds of a time-out that a test does not want."""


class Served:
    """A service on a port of this machine, as `digitnet serve` runs it."""

    def __init__(self, **limits):
        times = {"headers": NEVER, "arrival": NEVER} | limits
        self.app = create_app(Settings(threads=1, limits=Limits(**times)))
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = self.listening.getsockname()
        config = configure(self.app)
        config.timeout_graceful_shutdown = 1
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)

    def __enter__(self):
        self.thread.start()
        while not self.server.started or b" 200 " not in ask(self, b"GET /health/ready HTTP/1.1\r\n"):
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join()

    @property
    def open(self):
        return len(self.server.server_state.connections)


def connect(served):
    return socket.create_connection(served.address, timeout=600)


def rest(connection):
    """Return all that arrives until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def ask(served, head, body=b""):
    """Send one request on a connection of its own; return the answer."""
    with connect(served) as connection:
        connection.sendall(head + b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n" + body)
        return rest(connection)


def post(served, path, body):
    return ask(served, f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n".encode(), body)


def problem(answer):
    """Return the status and the detail of a refusal as it came over the wire."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    told = json.loads(body)
    assert int(head.split()[1]) == told["status"]
    return told["status"], told["detail"]


@contextmanager
def opened(served, count, sent):
    """Open connections and send the beginning of a request on each."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(served)) for _ in range(count)]
        for connection in connections:
            connection.sendall(sent)
        yield connections


THREE_BYTES = b"POST /v1/read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nabc"


def test_bodies_that_do_not_arrive_keep_nobody_from_being_read():
    with Served(waiting=0) as served, opened(served, 36, THREE_BYTES):
        while served.open < 36:
            time.sleep(0.01)
        answer = post(served, "/v1/read", png("30"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"text": "30"' in answer


def test_a_body_that_pauses_is_refused_and_its_connection_used_no_longer():
    with Served(arrival=0.2, headers=0.4) as served, connect(served) as connection:
        connection.sendall(THREE_BYTES)
        status, detail = problem(rest(connection))
    assert status == 408
    assert detail == "the body paused for 0.2 s or arrived at less than 10,000 bytes per second; send it again"


def test_a_body_that_trickles_is_refused_though_it_never_pauses_for_long():
    with Served(arrival=1, headers=1, rate=1_000_000) as served, connect(served) as connection:
        connection.settimeout(0.05)
        connection.sendall(THREE_BYTES)
        got = b""
        for _ in range(400):
            try:
                connection.sendall(b"x")
                got += connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if got:
                break
    assert got.startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_that_makes_progress_may_take_longer_than_any_pause():
    body, pause = png("30"), 3.0
    with Served(arrival=pause, rate=1) as served, connect(served) as connection:
        connection.sendall(
            f"POST /v1/read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        for part in np.array_split(np.frombuffer(body, np.uint8), 5):
            time.sleep(pause / 4)  # in all longer than a pause may be
            connection.sendall(part.tobytes())
        assert b'"text": "30"' in rest(connection)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: 127.0", b"P", b"\r\n", b"GET / HTTP/1.1\r\nA: b\r\n"])
def test_half_sent_headers_are_given_up(sent):
    with Served(headers=0.3) as served, opened(served, 20, sent) as connections:
        for connection in connections:
            status, detail = problem(rest(connection))
            assert (status, detail) == (408, "the headers were not complete after 0.3 s; send them again")
        while served.open:
            time.sleep(0.01)


def test_bytes_that_keep_trickling_buy_headers_no_time():
    with Served(headers=0.3) as served, connect(served) as connection:
        connection.settimeout(0.05)
        got = b""
        for _ in range(400):
            try:
                connection.sendall(b"\r\n")
                got += connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if got:
                break
        assert b" 408 " in got


def test_a_connection_that_sends_nothing_is_closed_without_a_word():
    with Served(headers=0.2) as served, connect(served) as connection:
        assert rest(connection) == b""


def test_the_next_request_of_a_kept_connection_has_the_same_time():
    with Served(headers=0.5) as served, connect(served) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /health")
        assert problem(rest(connection))[0] == 408


def test_headers_of_any_size_are_refused_before_they_are_complete():
    with Served() as served, connect(served) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: ")
        try:
            for _ in range(100):
                connection.sendall(b"x" * 10_000)
        except ConnectionError:
            pass
        answer = rest(connection)
    assert answer == b"" or problem(answer) == (431, "the headers have more than 65,536 bytes; send fewer")


def test_trailers_of_any_size_are_cut_off():
    with Served() as served, connect(served) as connection:
        connection.sendall(b"POST /v1/read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: ")
        with pytest.raises(ConnectionError):
            connection.sendall(bytes(100_000_000).replace(b"\0", b"x"))


def test_a_body_in_small_chunks_is_read():
    body = png("30")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 16]), body[i : i + 16]) for i in range(0, len(body), 16))
    with Served() as served:
        answer = ask(served, b"POST /v1/read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", chunks + b"0\r\n\r\n")
    assert b'"text": "30"' in answer


def test_one_client_has_only_so_many_connections_and_gets_them_back():
    with Served(per_client=5) as served:
        while served.open:
            time.sleep(0.01)
        with opened(served, 5, b"") as connections:
            for _ in range(3):
                with connect(served) as more:
                    assert problem(rest(more)) == (429, "more than 5 connections from your address; close some")
            connections[0].close()
            while served.open > 4:
                time.sleep(0.01)
            assert b" 200 " in ask(served, b"GET /health/live HTTP/1.1\r\n")
        while served.open:
            time.sleep(0.01)
        assert b'reason="busy"} 3' in ask(served, b"GET /metrics HTTP/1.1\r\n")


def test_all_clients_together_have_only_so_many_connections():
    with Served(connections=4) as served:
        while served.open:
            time.sleep(0.01)
        with opened(served, 4, b""), connect(served) as more:
            assert problem(rest(more)) == (503, "too many connections; try again in a second")


def test_an_answer_that_nobody_reads_is_dropped():
    with Served(arrival=0.3, rate=10_000_000) as served, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(served.address)
        connection.settimeout(600)
        # More than the system keeps for a connection.
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000)
        while not served.open:
            time.sleep(0.01)
        while served.open:
            time.sleep(0.01)


def test_the_memory_of_arriving_bodies_is_bounded_and_one_client_has_half_of_it():
    with Served(body=100_000, memory=400_000) as served:
        begun = b"POST /v1/read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99000\r\n\r\n" + bytes(98_000)
        with opened(served, 2, begun):
            while served.open < 2:
                time.sleep(0.01)
            detail = ""
            for _ in range(200):  # until both bodies are here
                status, detail = problem(post(served, "/v1/read", bytes(99_000)))
                if status == 429:
                    break
            assert detail == "busy: the bodies of other requests fill the memory; try again in a second"
        while served.open:
            time.sleep(0.01)
        assert b" 200 " in post(served, "/v1/read", png("30"))


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"no\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_is_not_http_is_a_problem_too(sent, capfd):
    with Served() as served, connect(served) as connection:
        connection.sendall(sent)
        told = problem(rest(connection))
        assert capfd.readouterr().err == ""
    assert told == (400, "not an HTTP/1.1 request; for HTTPS, use the proxy in front of the service")


def test_shares_are_taken_whole_or_not_at_all_and_given_back():
    shares = Shares(10, 6)
    assert shares.take("a", 6)
    assert not shares.take("a")
    assert shares.take("b", 4)
    assert shares.full()
    assert not shares.take("c")
    shares.give("a", 6)
    assert shares.take("c", 6)
    shares.give("b", 4)
    shares.give("c", 6)
    assert (shares._taken, dict(shares._held)) == (0, {})


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("10.0.0.1", 1), "10.0.0.1"),
        (("::ffff:10.0.0.1", 1), "10.0.0.1"),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (None, ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address, client):
    assert client_of(address) == client
