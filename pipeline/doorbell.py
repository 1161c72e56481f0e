"""What became of knocking at a server's door: let in, refused, or nobody there.

libzmq connects, retries and gives up in silence; its monitor events tell what happens (measured with libzmq 4.3.5):

    let in                               CONNECT_DELAYED, CONNECTED, HANDSHAKE_SUCCEEDED
    key not in the server's list         CONNECTED, HANDSHAKE_FAILED_AUTH, DISCONNECTED                      gives up
    one side has a lock, the other none  CONNECTED, HANDSHAKE_FAILED_PROTOCOL, DISCONNECTED                  gives up
    server has another key, or no gate   CONNECTED, HANDSHAKE_FAILED_NO_DETAIL (EPIPE), CONNECT_RETRIED      tries on
    takes the connection, says nothing   CONNECTED, after 5 s HANDSHAKE_FAILED_NO_DETAIL (EAGAIN)            tries on
    speaks another protocol              CONNECTED, DISCONNECTED                                             gives up
    nobody listens                       CONNECT_DELAYED, CLOSED, CONNECT_RETRIED                            tries on
    name is not known                    CONNECT_RETRIED                                                     tries on
"""

from __future__ import annotations

import errno
import os
import socket
import struct

import zmq

from .addresses import parse_address
from .keys import ClientLock

__all__ = ["Doorbell"]

#: The events that say something.
_EVENTS = (
    zmq.EVENT_CONNECT_DELAYED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class Doorbell:
    """Watches one DEALER, from before it connects. To be closed before that is."""

    def __init__(self, dealer: zmq.Socket[bytes], address: str, lock: ClientLock | None = None) -> None:
        self._watched, self._address, self._lock = dealer, address, lock
        inproc = f"inproc://doorbell-{os.urandom(8).hex()}"
        dealer.monitor(inproc, _EVENTS)
        self.socket: zmq.Socket[bytes] = dealer.context.socket(zmq.PAIR)  #: Readable when there is news.
        self.socket.linger = 0
        self.socket.connect(inproc)
        self._last = 0  #: The last event, but for those that only say that the next attempt comes.
        self._verdict: str | None = f"unreachable: {address} has not answered yet"
        self._final = False
        self._broken = 0  # handshakes in a row that were broken off

    def verdict(self) -> str | None:
        """None once we are in; else why not, beginning with "refused: " or "unreachable: "."""
        self._listen()
        return self._verdict

    @property
    def final(self) -> bool:
        """Whether this socket never connects again, whatever the server does: only a new one could."""
        self._listen()
        return self._final

    def close(self) -> None:
        """Watch no more. Closing twice is allowed."""
        if not self.socket.closed:
            if not self._watched.closed:
                self._watched.monitor(None, 0)
            self.socket.close()

    def _listen(self) -> None:
        while not self.socket.closed and self.socket.poll(0):
            event, value = struct.unpack("=HI", self.socket.recv_multipart()[0])
            self._hear(event, value)

    def _hear(self, event: int, value: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._verdict, self._final, self._broken = None, False, 0
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._give_up(self._not_in_list())
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._give_up(self._mismatch(value))
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self._verdict = self._broken_off(value)
        elif event == zmq.EVENT_DISCONNECTED:
            self._disconnected()
        elif event == zmq.EVENT_CLOSED:
            self._verdict = f"unreachable: nobody listens at {self._address}: is the server running?"
        elif event == zmq.EVENT_CONNECT_RETRIED and self._last in (0, zmq.EVENT_CONNECT_RETRIED):
            self._verdict = f"unreachable: {self._address}: this host does not know that name"
        self._last = event

    def _give_up(self, why: str) -> None:
        self._verdict, self._final = why, True

    def _disconnected(self) -> None:
        if self._last == zmq.EVENT_CONNECTED:  # without a word: it did not begin as ZMTP does
            self._give_up(f"refused: what listens at {self._address} is no headrace server")
        elif self._last == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._verdict = f"unreachable: {self._address} ended the connection"

    def _not_in_list(self) -> str:
        name = self._lock.path or self._lock.name if self._lock else ""
        return f"refused: the server does not know this key: add the public key of {name} to its authorized_keys"

    def _mismatch(self, value: int) -> str:
        if value != zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return f"refused: what listens at {self._address} is no headrace server"
        if self._lock is None:
            return f"refused: {self._no_key()}"
        return f"refused: {self._address} has no keys: that server was started as insecure, or it is another one"

    def _no_key(self) -> str:
        return (
            f"the server at {self._address} lets nobody in without a key: make one beside the server with "
            "`headrace keys --add NAME --role ROLE`, and say where it is (key=, HEADRACE_KEY)"
        )

    def _broken_off(self, value: int) -> str:
        if self._address.startswith("ipc:") or value in (errno.EAGAIN, errno.ETIMEDOUT):
            self._broken = 0
            return f"unreachable: what listens at {self._address} does not answer as a headrace server does"
        self._broken += 1
        if self._broken < 2 or not _greets(self._address):
            # A server that ends does so, too, and so does a relay before a server that is away.
            return f"unreachable: {self._address} takes connections and ends them: is the server starting or ending?"
        if self._lock is None:
            return f"refused: {self._no_key()}; or it is no headrace server"
        return (
            f"refused: the server at {self._address} has another key than the one in {self._lock.path or 'this file'}, "
            "or cannot read its list of keys just now"
        )


def _greets(address: str) -> bool:
    """Whether what listens there begins as ZMTP does (RFC 23): with a signature of ten bytes."""
    where = parse_address(address)
    try:
        with socket.create_connection((where.host, where.port), timeout=1.0) as connection:
            signature = connection.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(signature) == 10 and signature[0] == 0xFF and signature[9] == 0x7F
