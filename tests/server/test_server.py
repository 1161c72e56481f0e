"""The server's machine beside its two parts: launchers on other hosts, people's commands, ending."""

from __future__ import annotations

import pytest

from headrace.events import Action, Ending, Examine, Finish, From, Report, Said, Tick, To, Trouble
from headrace.pipeline.blobs import Sent
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.messages import (
    VERSION,
    AskStatus,
    Close,
    Ended,
    Heartbeat,
    Hello,
    Inspect,
    Inspected,
    Kill,
    Lease,
    Lost,
    Message,
    Next,
    Open,
    Opened,
    Printed,
    Refused,
    Register,
    Registered,
    Stale,
    Stop,
    Stopping,
    Waiting,
    Welcome,
)
from headrace.server import PRINTED_MOST, Server

GRAPH = encode(Dataset.range(10).node, Sent())


class House:
    """A server, and what peers say to it."""

    def __init__(self) -> None:
        self.server = Server.new(7, decode_outline, lease_s=10.0)

    def say(self, peer: str, *messages: Message) -> list[Action]:
        return [action for message in messages for action in self.server.handle(From(peer, message))]

    def told(self, peer: str, actions: list[Action]) -> list[Message]:
        return [action.message for action in actions if isinstance(action, To) and action.peer == peer]

    def hello(self, role: str, name: str, launcher: str = "") -> Hello:
        return Hello(VERSION, role, name, 1, {"host": "h"}, launcher)

    def open(self, peer: str = "client") -> tuple[int, int, int, int]:
        """A client in the middle of an epoch; its session."""
        self.say(peer, self.hello("client", peer))
        actions = self.say(peer, Register(f"key of {peer}", GRAPH, 1))
        (registered,) = (each for each in self.told(peer, actions) if isinstance(each, Registered))
        (opened,) = (
            each for each in self.told(peer, self.say(peer, Open(7, registered.job, 1, 0))) if isinstance(each, Opened)
        )
        return opened.session

    def elsewhere(self, user: str = "host") -> str:
        """A worker that a launcher of this user started, as a peer; it holds a lease."""
        self.say(f"{user}/far-1", self.hello("launcher", "far-1"))
        worker = f"{user}/worker-0"
        found = self.told(worker, self.say(worker, self.hello("worker", "worker-0", launcher="far-1")))
        assert any(isinstance(each, Lease) for each in found) or not self.server.broker.runs
        return worker


def test_a_launchers_word_of_a_lost_worker_frees_its_leases_and_is_a_strike() -> None:
    house = House()
    house.open()
    worker = house.elsewhere()
    ((split, _),) = list(house.server.coordinator.workers[worker].leases.items())[:1]
    house.say("host/far-1", Lost("worker-0", [split, 0], "the process was killed by SIGSEGV"))
    assert worker not in house.server.coordinator.workers
    assert len(house.server.coordinator.strikes.facts()) == 1


def test_a_launcher_cannot_speak_of_another_users_workers() -> None:
    house = House()
    house.open()
    mine = house.elsewhere("host")
    house.say("guest/far-9", house.hello("launcher", "far-9"))
    house.say("guest/far-9", Lost("worker-0", None, "so I say"), Lost("../host/worker-0", None, "so I say"))
    assert mine in house.server.coordinator.workers


@pytest.mark.parametrize("role", ["launcher", "worker"])
@pytest.mark.parametrize("name", ["", "guest/far-9", "host/far-1", "9", "far"])
def test_who_gives_a_name_that_is_not_its_own_is_refused(role: str, name: str) -> None:
    house = House()
    house.open()
    mine = house.elsewhere("host")
    (refused,) = house.told("guest/far-9", house.say("guest/far-9", house.hello(role, name)))
    assert isinstance(refused, Refused)
    house.say("guest/far-9", Lost(mine, None, "so I say"))
    assert mine in house.server.coordinator.workers, "with its own name taken off, it would speak for any user"


def test_a_silent_worker_elsewhere_is_inspected_and_ended_by_its_launcher() -> None:
    house = House()
    house.open()
    house.server.handle(Tick(0.0))
    worker = house.elsewhere()
    (split, *_) = house.server.coordinator.workers[worker].leases
    asked = [action for now in (4.0, 8.0, 10.5) for action in house.server.handle(Tick(now))]
    assert house.told("host/far-1", asked) == [Inspect("worker-0")]
    house.say("host/far-1", Inspected("worker-0", [split, 0]))
    assert len(house.server.coordinator.strikes.facts()) == 1
    ended = [action for now in (14.0, 18.0, 21.0) for action in house.server.handle(Tick(now))]
    assert [type(each) for each in house.told("host/far-1", ended)] == [Kill]


def test_a_silent_worker_of_the_servers_own_is_examined_here() -> None:
    house = House()
    house.open()
    house.server.handle(Tick(0.0))
    house.say("worker-0", house.hello("worker", "worker-0"))
    asked = [action for now in (4.0, 8.0, 10.5) for action in house.server.handle(Tick(now))]
    assert Examine("worker-0") in asked


def test_what_a_launcher_says_that_the_server_does_not_know_is_answered_by_stale() -> None:
    house = House()
    assert house.told("host/far-1", house.say("host/far-1", Heartbeat())) == [Stale(7)]
    house.say("host/far-1", house.hello("launcher", "far-1"))
    (answer,) = house.told("host/far-1", house.say("host/far-1", Heartbeat()))
    assert isinstance(answer, Welcome), "or else it would think that the server is away"


def test_numbers_that_are_none_do_not_break_the_server() -> None:
    house = House()
    house.open()
    house.elsewhere()
    house.say("host/far-1", Inspected("worker-0", ["a", 2]), Lost("worker-0", [1, 2, 3], "x"), Lost("nobody", None, ""))
    assert house.server.coordinator.strikes.facts() == []


def test_what_workers_print_reaches_clients_that_are_in_an_epoch() -> None:
    house = House()
    house.open("one")
    house.say("other", house.hello("client", "other"))
    house.elsewhere()
    actions = house.say("host/far-1", Printed("worker-0", "so far, so good"))
    assert house.told("one", actions) == [Printed("host/worker-0", "so far, so good")]
    assert house.told("other", actions) == []
    assert house.told("one", house.server.handle(Said("worker-3", "here"))) == [Printed("worker-3", "here")]


def test_a_flood_of_prints_stops_at_a_loop_that_does_not_come() -> None:
    house = House()
    session = house.open("one")
    flood = [action for _ in range(100) for action in house.server.handle(Said("worker-3", "x" * 10_000))]
    sent = [each.text for each in house.told("one", flood) if isinstance(each, Printed)]
    assert sum(map(len, sent)) < PRINTED_MOST + 11_000
    assert "more than is shown" in sent[-1]
    house.say("one", Next(session, 0, 0, 2))
    assert house.told("one", house.server.handle(Said("worker-3", "here"))) == [Printed("worker-3", "here")]


def test_an_ending_server_begins_nothing_and_lets_what_runs_go_on() -> None:
    house = House()
    session = house.open("one")
    assert house.server.busy
    assert house.told("one", house.server.handle(Ending(8.0))) == [Stopping(8.0)]
    assert house.told("two", house.say("two", house.hello("client", "two"), Register("new", GRAPH, 1)))[1:] == [
        Stopping(8.0)
    ]
    assert house.told("one", house.say("one", Open(7, session[2], 1, 1))) == [Stopping(8.0)]
    again = house.told("one", house.say("one", Register("key of one", GRAPH, 1), Open(7, session[2], 1, 0)))
    assert [type(each) for each in again] == [Registered, Opened]
    waiting = house.told("one", house.say("one", Next(session, 0, 0, 2, again=True)))
    assert [type(each) for each in waiting] == [Waiting]


def test_a_server_is_busy_until_all_of_the_epoch_is_acknowledged() -> None:
    empty = encode(Dataset.range(0).node, Sent())
    house = House()
    house.say("one", house.hello("client", "one"), Register("key", empty, 1))
    actions = house.say("one", Open(7, 1, 1, 0), Next((1, 7, 1, 0), 0, 0, 2))
    assert any(isinstance(each, Ended) for each in house.told("one", actions))
    states = [house.server.busy]
    house.open("two")
    states.append(house.server.busy)
    house.say("two", Close(2, 1))
    states.append(house.server.busy)
    assert states == [False, True, False]


def test_commands_are_for_the_process_to_carry_out() -> None:
    house = House()
    assert house.say("visitor", AskStatus()) == [Report("visitor")]
    assert house.say("visitor", Stop(3.0)) == [To("visitor", Stopping(3.0)), Finish(3.0)]


def test_an_unknown_role_is_refused_by_name() -> None:
    house = House()
    (refused,) = house.told("x", house.say("x", house.hello("spectator", "x")))
    assert isinstance(refused, Refused)
    assert "'spectator'" in str(refused.error)


def test_whoever_waits_is_told_why_no_worker_can_run() -> None:
    house = House()
    session = house.open()
    house.server.handle(Trouble("3 workers in a row ended"))
    (refused,) = house.told("client", house.say("client", Next(session, 0, 0, 2, again=True)))
    assert isinstance(refused, Refused)
    assert "3 workers in a row ended" in str(refused.error)
