"""Surveys: every worker is asked once, and who asked is answered once, in time."""

from __future__ import annotations

import pytest

from headrace.events import To
from headrace.pipeline.messages import AskFiles, Files, Refused, Sample, Sampled
from headrace.pipeline.roots import Roots
from headrace.survey import ANSWER_S, MOST, MOST_FILES, Surveys

QUESTION = AskFiles(["/a", "/b"])


@pytest.fixture
def surveys() -> Surveys:
    return Surveys()


def ask(surveys: Surveys, *workers: str, peer: str = "doctor") -> list[To]:
    return list(surveys.ask(peer, QUESTION, workers, Roots(("/",)), 0.0))


def test_who_asks_is_answered_when_all_workers_have(surveys: Surveys) -> None:
    asked = ask(surveys, "w1", "w2")
    assert asked == [To(each, Sample(0, ["/a", "/b"], ["/"])) for each in ("w1", "w2")]
    assert ask(surveys, "w1", "w2") == [], "it is the same question"
    assert list(surveys.hear("w1", Sampled(0, ["one"]), 1.0)) == []
    assert list(surveys.hear("stranger", Sampled(0, ["no"]), 1.0)) == []
    assert list(surveys.hear("w2", Sampled(0, ["two"]), 1.0)) == [To("doctor", Files({"w1": ["one"], "w2": ["two"]}))]
    assert list(surveys.hear("w2", Sampled(0, ["late"]), 1.0)) == []
    assert surveys.running == {}


def test_who_does_not_answer_is_not_waited_for(surveys: Surveys) -> None:
    ask(surveys, "w1", "stuck")
    list(surveys.hear("w1", Sampled(0, ["one"]), 1.0))
    assert list(surveys.tick(ANSWER_S - 0.1)) == []
    assert list(surveys.tick(ANSWER_S)) == [To("doctor", Files({"w1": ["one"], "stuck": None}))]


def test_without_workers_the_answer_comes_at_once(surveys: Surveys) -> None:
    assert ask(surveys) == [To("doctor", Files({}))]


def test_so_many_surveys_and_files_and_no_more(surveys: Surveys) -> None:
    for number in range(MOST):
        assert isinstance(ask(surveys, "w", peer=f"p{number}")[0].message, Sample)
    assert isinstance(ask(surveys, "w", peer="one more")[0].message, Refused)
    surveys.running.clear()
    for count, kind in ((MOST_FILES, Sample), (MOST_FILES + 1, Refused)):
        (told,) = surveys.ask("p", AskFiles(["/a"] * count), ["w"], Roots(), 0.0)
        assert isinstance(told.message, kind)
