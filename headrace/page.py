"""The page: /metrics for Prometheus, /healthz for whoever restarts things, / for people.

Runs in a thread of the server's process and knows nothing but the status that it was shown last, so that no visitor can
hold the server up. It only shows: no route changes anything.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import metrics_text
from .pipeline.errors import ServiceError
from .sheet import STYLE, sheet

__all__ = ["Page"]

#: A server that has shown no new status for so long, in seconds, is stuck.
STALE_S = 10.0
#: Connections at a time; who comes on top of them is told to come later.
VISITORS = 32
#: Until the thread has to answer, and to end.
START_S = 10.0

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Page:
    """Serves a status over HTTP.

    Args:
        address: "host:port"; port 0 takes a free one.

    Raises:
        ServiceError: nothing can listen there.

    >>> from urllib.request import urlopen
    >>> page = Page("127.0.0.1:0")
    >>> page.show({"uptime_s": 1.0})
    >>> with urlopen(f"http://{page.start()}/healthz") as answer:
    ...     answer.status
    200
    >>> page.stop()
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = _listen(host.strip("[]"), int(port), address)
        self.address = f"{host}:{self._socket.getsockname()[1]}"  #: Where it really is.
        self._watch = Watch()
        self.show = self._watch.show  #: To be called with a new status every second.
        app = Guard(_app(self._watch), _Hosts(host.strip("[]")))
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=VISITORS,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="page", daemon=True)

    def start(self) -> str:
        """Begin to answer; the address, as host:port. Who comes before is answered then."""
        self._thread.start()
        return self.address

    def stop(self) -> None:
        """End, and free the port. Twice is allowed."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(START_S)
        self._socket.close()


def _listen(host: str, port: int, address: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ServiceError(
            f'metrics.listen is {address!r}: cannot listen there: {why}; name another address, or "none" for no page'
        ) from error


class Watch:
    """The newest status, and whether it is still news."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._newest: tuple[dict[str, Any], float | None] = {}, None

    def show(self, status: dict[str, Any]) -> None:
        """Another one; called from the server's loop."""
        self._newest = status, self._clock()

    def status(self) -> dict[str, Any]:
        """The newest one; its `trouble` says so where none came, or none for long."""
        status, at = self._newest
        if at is None:
            return {"trouble": "the server is starting"}
        if (still := self._clock() - at) > STALE_S:
            return status | {"trouble": f"the server's loop has not moved for {still:.0f} s"}
        return status


def _app(watch: Watch) -> Starlette:
    async def show(_: Request) -> Response:
        return HTMLResponse(sheet(watch.status()))

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    async def count(request: Request) -> Response:
        text, kind = metrics_text(watch.status(), request.headers.get("accept", ""))
        return Response(text, headers={"content-type": kind})

    async def health(_: Request) -> Response:
        status = watch.status()
        trouble, stopping = status.get("trouble"), bool(status.get("stopping"))
        found = {"healthy": not trouble and not stopping, "stopping": stopping, "trouble": trouble}
        found["workers"] = len(status.get("workers", ()))
        return JSONResponse(found, 200 if found["healthy"] else 503)

    routes = {"/": show, "/style.css": style, "/metrics": count, "/healthz": health}
    app = Starlette(routes=[Route(path, to, methods=["GET"]) for path, to in routes.items()])
    app.router.redirect_slashes = False  # a path is there or it is not
    return app


class _Hosts:
    """By which names a visitor may call the page.

    A web page elsewhere can have its own name resolve to this address, and read what it likes as if it were its own;
    so names that are not ours are refused. Where all interfaces are listened on, addresses and names without a dot,
    as containers have them, are ours as well: neither can be had by others in the public name system.
    """

    def __init__(self, host: str) -> None:
        self._names = {"localhost", "127.0.0.1", "::1", host.lower(), socket.gethostname().lower()}
        self._all = host in ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)

    def knows(self, called: str) -> bool:
        """Whether this is a name of ours, with or without a port."""
        name = called.rpartition(":")[0] if called.rpartition(":")[2].isdigit() else called
        name = name.strip("[]").lower()
        return name in self._names or (self._all and bool(name) and ("." not in name or _is_numeric(name)))


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Before everything else: nothing but looking, by a name of ours, from no other site."""

    def __init__(self, app: ASGIApp, hosts: _Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self._app if scope["type"] != "http" else self._refusal(scope) or self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        called, origin = headers.get("host", ""), headers.get("origin")
        if not self._hosts.knows(called):
            return PlainTextResponse("This page is not known by that name.\n", 421)
        if origin is not None and not self._hosts.knows(origin.partition("://")[2]):
            return PlainTextResponse("This page is not for other sites.\n", 403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("There is nothing here but to look.\n", 405, {"allow": "GET, HEAD"})
        return None
