"""The server's machine beside its two parts: launchers on other hosts, people's commands, ending."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.daemon import DaemonConfig
from headrace.events import Action, Ending, Examine, Finish, From, Report, Said, Store, Tick, To, Trouble
from headrace.life import server_of
from headrace.pipeline.blobs import Sent
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.messages import (
    VERSION,
    AskStatus,
    Bye,
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
    Program,
    Refused,
    Register,
    Registered,
    Session,
    Stale,
    Stop,
    Stopping,
    Waiting,
    Welcome,
    WhatIs,
)
from headrace.pipeline.orders import Scanned
from headrace.pipeline.resolve import resolve
from headrace.pipeline.roots import Roots
from headrace.server import LAUNCHER_S, PRINTED_MOST, Server
from headrace.whereabouts import LATELY_S

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

    def open(self, peer: str = "client", graph: bytes = GRAPH) -> Session:
        """A client in the middle of an epoch; its session."""
        self.say(peer, self.hello("client", peer))
        actions = self.say(peer, Register(f"key of {peer}", graph, 1))
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


def test_what_a_worker_prints_reaches_the_clients_whose_jobs_it_is_at() -> None:
    house, little = House(), encode(Dataset.range(1).node, Sent())
    house.open("one", little)
    house.say("other", house.hello("client", "other"))
    house.elsewhere()
    house.say("worker-3", house.hello("worker", "worker-3"))
    house.open("late", little)
    actions = house.say("host/far-1", Printed("worker-0", "so far, so good"))
    assert house.told("one", actions) == [Printed("host/worker-0", "so far, so good")]
    assert house.told("other", actions) == []
    assert house.told("late", actions) == [], "another does its work"
    heard = house.server.handle(Said("worker-3", "here"))
    assert (house.told("one", heard), house.told("late", heard)) == ([], [Printed("worker-3", "here")])
    assert house.server.handle(Said("worker-7", "who am I?")) == [], "it is at nobody's job"


def test_the_last_words_of_a_worker_come_behind_its_death_and_nothing_later_does() -> None:
    house = House()
    house.server.handle(Tick(0.0))
    house.open("one")
    house.elsewhere()
    for now in (1.0, 2.0):
        house.server.handle(Tick(now))
    house.say("host/far-1", Lost("worker-0", None, "the process was killed by SIGSEGV"))
    actions = house.say("host/far-1", Printed("worker-0", "Fatal Python error"))
    assert house.told("one", actions) == [Printed("host/worker-0", "Fatal Python error")]
    house.server.handle(Tick(2.0 + LATELY_S + 0.1))
    assert house.told("one", house.say("host/far-1", Printed("worker-0", "boo"))) == []
    assert house.server.whereabouts.seen == {}


def test_a_flood_of_prints_stops_at_a_loop_that_does_not_come() -> None:
    house = House()
    session = house.open("one")
    house.say("worker-3", house.hello("worker", "worker-3"))
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
    actions = house.say("one", Open(7, 1, 1, 0), Next((1, 7, 1, 0, 0), 0, 0, 2))
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


def test_a_launcher_that_left_or_is_silent_for_long_is_forgotten() -> None:
    house = House()
    house.server.handle(Tick(0.0))
    for name in ("far-1", "far-2", "far-3"):
        house.say(f"host/{name}", house.hello("launcher", name))
    house.say("host/far-1", Bye())
    assert house.server.launchers.keys() == {"host/far-2", "host/far-3"}
    house.server.handle(Tick(LAUNCHER_S))
    house.say("host/far-2", Heartbeat())
    house.server.handle(Tick(LAUNCHER_S + 1.0))
    assert house.server.launchers.keys() == house.server.launchers_at.keys() == {"host/far-2"}
    (answer,) = house.told("host/far-3", house.say("host/far-3", Heartbeat()))
    assert isinstance(answer, Stale), "it says hello again"


def test_a_worker_that_computed_for_the_servers_last_life_is_no_fresh_one() -> None:
    house = House()
    for name, fresh in (("new", True), ("survivor", False)):
        house.say(name, replace(house.hello("worker", name), fresh=fresh))
    assert {name: each.fresh for name, each in house.server.coordinator.workers.items()} == {
        "new": True,
        "survivor": False,
    }


def test_who_is_done_with_a_job_is_told_that_it_was_heard_also_when_it_says_so_again() -> None:
    house = House()
    job = house.open("one")[2]
    for _ in range(2):
        assert house.told("one", house.say("one", Close(job, 1)))[-1] == Bye()
    assert house.server.broker.book.jobs == {}


def test_a_server_that_ends_by_itself_says_why() -> None:
    house = House()
    house.open("one")
    assert house.told("one", house.server.handle(Ending(0.0, "the disk is full"))) == [
        Stopping(0.0, "the disk is full")
    ]


# Whose job it is.


def test_who_registers_is_told_the_newest_life_of_any_consumer() -> None:
    house = House()
    generation = house.open()[0]
    (registered,) = house.told("client", house.say("client", Register("key of client", GRAPH, 1)))
    assert isinstance(registered, Registered)
    assert registered.generation == generation


def test_a_job_is_for_the_key_that_registered_it() -> None:
    house = House()
    session = house.open("ann/client-1")
    job = session[2]
    for message in (Open(7, job, 99, 0), Next(session, 5, 5, 9), Close(job, 99)):
        for thief in ("bob/client-1", "client-1", "ann|client-1"):
            (refused,) = house.told(thief, house.say(thief, message))
            assert isinstance(refused, Refused)
            assert f"{type(message).__name__} of a job that belongs to the key 'ann'" in str(refused.error)
    assert house.server.broker.book.jobs.keys() == {job}
    assert house.told("ann/client-2", house.say("ann/client-2", Open(7, job, 2, 0))) != []


def test_a_job_of_this_user_is_for_this_user() -> None:
    house = House()
    session = house.open("client-1")
    (refused,) = house.told("bob/x", house.say("bob/x", Close(session[2], 99)))
    assert "belongs to the user who runs the server" in str(refused)
    house.say("client-2", Close(session[2], 99))
    assert house.server.broker.book.jobs == {}


def test_two_users_may_call_their_jobs_the_same() -> None:
    house = House()
    jobs = {}
    for peer in ("ann/one", "bob/one", "one", "ann/two"):
        (registered,) = house.told(peer, house.say(peer, Register("job:night", GRAPH, 1)))
        assert isinstance(registered, Registered)
        assert registered.key == "job:night", "as its owner calls it"
        jobs[peer] = registered.job
    assert jobs["ann/one"] == jobs["ann/two"]
    assert len(set(jobs.values())) == 3


def test_a_name_cannot_be_chosen_so_that_it_is_anothers() -> None:
    house = House()
    house.say("ann/one", Register("job:night", GRAPH, 1))
    (registered,) = house.told("one", house.say("one", Register("ann/job:night", GRAPH, 1)))
    assert isinstance(registered, Registered)
    assert len(house.server.broker.book.jobs) == 2


def test_a_graph_that_is_none_is_refused_by_the_key_that_its_client_gave() -> None:
    house = House()
    (refused,) = house.told("ann/one", house.say("ann/one", Register("mine", b"nonsense", 1)))
    assert isinstance(refused, Refused)
    assert refused.about == "mine"


def test_an_admin_closes_any_job_and_opens_none() -> None:
    house = House()
    job = house.open("ann/client-1")[2]
    (opened,) = house.server.handle(From("chief/x", Open(7, job, 99, 0), admin=True))
    assert isinstance(opened, To)
    assert isinstance(opened.message, Refused)
    house.server.handle(From("chief/x", Close(job, 99), admin=True))
    assert house.server.broker.book.jobs == {}


def test_a_worker_is_told_what_the_owner_of_a_job_may_read() -> None:
    house = House()
    house.server.roots_of = lambda user: Roots(("/data", f"/home/{user}"))
    job = house.open("ann/client-1")[2]
    worker = house.elsewhere()
    (program,) = house.told(worker, house.say(worker, WhatIs(job)))
    assert program == Program(job, GRAPH, 1, ["/data", "/home/ann"])
    assert house.server.roots_in(77) == Roots(())


def test_what_an_epoch_keeps_is_there_before_its_end_is_told() -> None:
    house = House()
    node: Any = resolve(Dataset.range(0).snapshot("/kept").node)
    session = house.open(graph=encode(node, Sent()))
    house.say("client", Next(session, 0, 0, until=1))
    actions = house.server.handle(Scanned(session[2], f"/kept/{node.digest}", (), "shelf"))
    found = [each for each in actions if isinstance(each, Store) or (isinstance(each, To) and each.peer == "client")]
    stored, told = found
    assert isinstance(stored, Store)
    assert stored.order.ended
    assert isinstance(told, To)
    assert isinstance(told.message, Ended)


@pytest.mark.parametrize("prefill", [True, False])
def test_a_server_begins_the_next_epoch_ahead_unless_it_is_told_not_to(prefill: bool, tmp_path: Path) -> None:
    house = House()
    house.server = server_of(DaemonConfig(folder=tmp_path, prefill=prefill), None)
    empty, incarnation = encode(Dataset.range(0).node, Sent()), house.server.coordinator.incarnation
    house.say("one", house.hello("client", "one"), Register("key", empty, 1), Open(incarnation, 1, 1, 0))
    house.say("one", Next((1, incarnation, 1, 0, 0), 0, 0, 2))
    assert [epoch for _, epoch in house.server.broker.runs] == ([0, 1] if prefill else [0])
