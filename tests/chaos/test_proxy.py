"""The proxy does what it says, on plain sockets: what comes out, in which pieces, and how lines end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from time import monotonic

import pytest

from .owners import owner_of
from .proxy import Line, Proxy, Weather


class Echo:
    """A server that sends back what comes, and remembers how each connection ended."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.ended: list[str] = []
        self.news = threading.Condition()
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self.threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        how = "end"
        try:
            while data := connection.recv(1 << 16):
                connection.sendall(data)
        except OSError as error:
            how = type(error).__name__
        with self.news:
            self.ended.append(how)
            self.news.notify_all()

    def wait(self, count: int) -> list[str]:
        """How they ended, once so many have."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.ended) >= count, 20)
            return list(self.ended)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.connections:
            with closing(connection):
                connection_is_over(connection)
        for thread in self.threads:
            thread.join(20)


def connection_is_over(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was over before


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port, seed=1) as made:
        yield made


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as made:
        made.sendall(b"hello")
        assert received(made, 5) == b"hello"
        yield made


def talk(client: socket.socket, data: bytes) -> bytes:
    """What comes back."""
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    found = received(client, len(data))
    sender.join()
    return found


def received(client: socket.socket, count: int) -> bytes:
    """The next so many bytes; fewer, if it ends before."""
    found = b""
    while len(found) < count and (data := client.recv(count - len(found))):
        found += data
    return found


def silent(client: socket.socket, within_s: float = 0.2) -> bool:
    """Whether nothing comes, not even an end."""
    client.settimeout(within_s)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(20)
    return False


def noise(count: int) -> bytes:
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def test_in_fair_weather_all_bytes_pass_both_ways(client: socket.socket) -> None:
    assert talk(client, noise(3 << 20)) == noise(3 << 20)


def test_latency_delays_and_changes_no_order(proxy: Proxy, client: socket.socket) -> None:
    proxy.change(Weather(latency_s=0.1, jitter_s=0.05), "up")
    began = monotonic()
    assert talk(client, noise(100_000)) == noise(100_000)
    assert monotonic() - began >= 0.1


def test_a_narrow_way_takes_its_time(proxy: Proxy, client: socket.socket) -> None:
    proxy.change(Weather(bytes_per_s=10_000, packet=100), "down")
    began = monotonic()
    assert talk(client, noise(2_000)) == noise(2_000)
    assert monotonic() - began >= 0.19


def test_slices_of_one_byte_are_all_of_the_same_stream(proxy: Proxy, client: socket.socket) -> None:
    proxy.change(Weather(packet=1))
    assert talk(client, noise(20_000)) == noise(20_000)
    assert all(way.weather.packet == 1 for line in proxy.lines for way in line.ways.values())


def test_a_stalled_line_goes_on_where_it_was(proxy: Proxy, client: socket.socket) -> None:
    proxy.change(Weather(stalled=True))
    client.sendall(b"later")
    assert silent(client)
    proxy.heal()
    assert received(client, 5) == b"later"


def test_a_black_hole_swallows_and_tells_nobody(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    proxy.change(Weather(lost=True))
    client.sendall(b"lost")
    assert silent(client)
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as other:
        other.sendall(b"lost as well")
        assert silent(other)
    assert len(echo.connections) == 1, "who comes into a black hole reaches nobody"
    proxy.heal()
    client.sendall(b"of a line that has a hole")
    assert silent(client)
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as fresh:
        assert talk(fresh, b"anew") == b"anew"
        client.close()
        fresh.close()
        assert echo.wait(1) == ["end"]
        assert owner_of(proxy.lines[0].port) is None
        assert echo.ended == ["end"], "the end of the first is lost, too"


def test_a_reset_is_one_at_both_ends(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    assert proxy.reset() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert echo.wait(1) == ["ConnectionResetError"]


def test_an_end_is_one_at_both_ends(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    proxy.end()
    assert client.recv(1) == b""
    assert echo.wait(1) == ["end"]


def test_a_server_that_is_forsaken_does_not_know(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    proxy.forsake("client")
    assert client.recv(1) == b""
    with echo.news:
        assert not echo.news.wait_for(lambda: echo.ended, 0.2), "its end stays open"


def test_a_client_that_is_forsaken_does_not_know(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    proxy.forsake("server")
    assert echo.wait(1) == ["end"]
    client.sendall(b"to nobody")
    assert silent(client)


@pytest.mark.parametrize("after", [1, 777])
def test_a_line_is_cut_after_so_many_bytes(proxy: Proxy, client: socket.socket, echo: Echo, after: int) -> None:
    proxy.cut(after, "up")
    client.sendall(noise(1000))
    found = b""
    while data := client.recv(1000):
        found += data
    assert noise(1000).startswith(found)
    assert len(found) <= after
    echo.wait(1)


def test_one_of_several_lines_is_chosen_by_who_holds_it(proxy: Proxy, client: socket.socket) -> None:
    def ours(line: Line) -> bool:
        return bool(line.port == client.getsockname()[1])

    with socket.create_connection(("127.0.0.1", proxy.port), 20) as other:
        assert talk(other, b"x") == b"x"
        assert owner_of(other.getsockname()[1]) == os.getpid()
        assert proxy.reset(ours) == 1
        assert talk(other, b"y") == b"y"
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.accepted == 2


def test_where_no_server_listens_a_line_ends_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Proxy(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
        assert client.recv(1) == b""
