"""The page: asked over real HTTP, as browsers, Prometheus and strangers do."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.metrics import metrics
from headrace.page import STALE_S, VISITORS, Page, Watch
from headrace.pipeline.errors import ServiceError

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "protocol": 2,
    "pid": 17,
    "host": "here",
    "incarnation": 3,
    "uptime_s": 61.5,
    "listen": ["ipc:///run/server.sock", "tcp://0.0.0.0:7311"],
    "insecure": True,
    "stopping": False,
    "budget_bytes": 1 << 28,
    "trouble": None,
    "rss_bytes": 123_000_000,
    "workers": [
        {"name": "worker-0", "host": "here", "leases": 2, "busy_s": 10.5, "parked_s": 0.25, "heard_s": 0.1},
        {"name": 'w"1\\', "host": "<b>", "leases": 0, "busy_s": 0.0, "parked_s": 0.0, "heard_s": 4.0},
    ],
    "jobs": [
        {"job": 1, "epoch": 2, "client": "client-a", "produced": 12, "acknowledged": 9, "running": True,
         "buffered_bytes": 4096, "connected": True, "waiting": "the next <elements> are being computed"},
        {"job": 2, "epoch": 0, "client": "", "produced": 5, "acknowledged": 5, "running": False, "connected": False},
    ],
    "clients": 1,
    "totals": {"elements": 17, "leases_repeated": 1, "ledger": {"filtered": 8, "skipped": 3}},
}  # fmt: skip


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that answers, and shows `STATUS`."""
    page = Page("127.0.0.1:0")
    page.show(STATUS)
    page.start()
    yield page
    page.stop()


def ask(page: Page, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, str]:
    """The answer, and its body."""
    host, _, port = page.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and the values of labels, in the order of the labels' names."""
    return {
        (each.name, tuple(value for _, value in sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_prometheus_reads_the_metrics(page: Page) -> None:
    answer, body = ask(page, "/metrics")
    assert answer.status == 200
    assert answer.headers.get_content_type() == "text/plain"
    found = samples(body)
    assert found["headrace_uptime_seconds", ()] == 61.5
    assert found["headrace_info", ("here", "2", "0.1.0")] == 1
    assert found["headrace_workers", ()] == 2
    assert found["headrace_worker_busy_seconds_total", ("here", "worker-0")] == 10.5
    assert found["headrace_worker_leases", ("<b>", 'w"1\\')] == 0
    assert found["headrace_job_epoch_acknowledged_elements", ("1",)] == 9
    assert ("headrace_job_buffered_bytes", ("2",)) not in found  # what is not known is not said
    assert found["headrace_elements_total", ()] == 17
    assert found["headrace_ledger_total", ("filtered",)] == 8


def test_metrics_are_also_written_as_openmetrics_where_that_is_asked_for(page: Page) -> None:
    answer, body = ask(page, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers.get_content_type() == "application/openmetrics-text"
    assert body.endswith("# EOF\n")


def test_every_metric_is_in_the_documentation_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    documented = set(re.findall(r"^\| `(headrace_\w+)`", text, re.MULTILINE))
    assert {sample.name for family in metrics(STATUS) for sample in family.samples} == documented
    assert all(family.documentation.endswith(".") for family in metrics(STATUS))


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, 200), ({"trouble": "3 workers in a row ended"}, 503), ({"stopping": True}, 503)],
)
def test_health_is_a_status_code_and_a_reason(page: Page, changes: dict[str, Any], code: int) -> None:
    page.show(STATUS | changes)
    answer, body = ask(page, "/healthz")
    assert answer.status == code
    expected = {"healthy": code == 200, "stopping": False, "trouble": None, "workers": 2} | changes
    assert json.loads(body) == expected


def test_a_server_that_shows_nothing_new_is_not_healthy() -> None:
    now = 100.0
    watch = Watch(lambda: now)
    assert watch.status() == {"trouble": "the server is starting"}
    watch.show(STATUS)
    now += STALE_S
    assert watch.status()["trouble"] is None
    now += 1
    assert watch.status() == STATUS | {"trouble": "the server's loop has not moved for 11 s"}
    watch.show(STATUS)
    assert watch.status()["trouble"] is None


def test_people_see_workers_jobs_and_what_is_wrong_with_what_others_named_escaped(page: Page) -> None:
    page.show(STATUS | {"trouble": "<script>alert(1)</script>"})
    answer, body = ask(page, "/")
    assert answer.status == 200
    assert "<script>" not in body
    assert "&lt;script&gt;alert(1)" in body
    assert "<b>" not in body
    for text in (
        "worker-0",
        "client-a",
        "the next &lt;elements&gt; are being computed",
        "insecure",
        "tcp://0.0.0.0:7311",
    ):
        assert text in body
    style, _ = ask(page, "/style.css")
    assert (style.status, style.headers.get_content_type()) == (200, "text/css")


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/style.css", "/nothing"])
def test_every_answer_forbids_scripts_frames_and_keeping(page: Page, path: str) -> None:
    headers = ask(page, path)[0].headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics"])
def test_there_is_nothing_to_do_but_look(page: Page, method: str, path: str) -> None:
    answer, _ = ask(page, path, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_head_has_no_body(page: Page) -> None:
    answer, body = ask(page, "/healthz", "HEAD")
    assert (answer.status, body) == (200, "")


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/..", "/%2e%2e/etc/passwd", "//metrics"])
def test_other_paths_are_not_there(page: Page, path: str) -> None:
    assert ask(page, path)[0].status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.7", "", "[", "a b"]
)
def test_a_visitor_who_calls_the_page_by_another_name_is_refused(page: Page, host: str) -> None:
    answer, body = ask(page, "/metrics", Host=host)
    assert answer.status in (400, 421)
    assert "headrace" not in body


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1", "LOCALHOST:1", "[::1]:7312", socket.gethostname()]
)
def test_names_of_this_machine_are_known(page: Page, host: str) -> None:
    assert ask(page, "/metrics", Host=host)[0].status == 200


def test_other_sites_are_refused_whatever_they_ask(page: Page) -> None:
    assert ask(page, "/metrics", Origin="http://evil.example")[0].status == 403
    assert ask(page, "/metrics", Origin="null")[0].status == 403
    assert ask(page, "/metrics", Origin=f"http://{page.address}")[0].status == 200


def test_on_all_interfaces_addresses_and_plain_names_are_known_and_public_names_are_not() -> None:
    page = Page("0.0.0.0:0")
    page.show(STATUS)
    page.start()
    try:
        port = page.address.rpartition(":")[2]
        page.address = f"127.0.0.1:{port}"
        known = {host: ask(page, "/metrics", Host=host)[0].status for host in ("server:7312", "10.0.0.7", "a.example")}
    finally:
        page.stop()
    assert known == {"server:7312": 200, "10.0.0.7": 200, "a.example": 421}


def test_an_address_that_is_taken_is_an_error_that_names_the_key(page: Page) -> None:
    with pytest.raises(
        ServiceError, match=rf"metrics\.listen is '{page.address}': cannot listen there: Address already in use; name"
    ):
        Page(page.address)


def test_a_host_that_is_not_this_one_is_an_error_that_names_the_key() -> None:
    with pytest.raises(ServiceError, match=r"metrics\.listen is '192\.0\.2\.1:0': cannot listen there"):
        Page("192.0.2.1:0")


def test_the_port_is_free_again_after_the_end() -> None:
    page = Page("127.0.0.1:0")
    address = page.start()
    page.stop()
    page.stop()
    again = Page(address)
    again.show(STATUS)
    again.start()
    assert ask(again, "/healthz")[0].status == 200
    again.stop()


def test_visitors_who_stay_and_say_nothing_do_not_keep_the_server_from_ending(page: Page) -> None:
    host, _, port = page.address.rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=10) for _ in range(VISITORS + 4)]
    silent[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
    page.stop()
    for each in silent:
        each.close()
