"""Long work beside the pages: done once, told how far it is, stopped when asked to, its failure raised where it is awaited."""

from itertools import count
from threading import Event

import pytest

from core.errors import InputError
from core.inference import background
from core.inference.background import Cancelled, work_named, work_on


@pytest.fixture(autouse=True)
def no_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_works", type(background._works)())


def test_work_is_done_once_for_all_who_ask():
    begun, may_end = [], Event()

    def action(progress):
        begun.append(1)
        assert may_end.wait(10)
        return "done"

    first, second = work_on("a", action), work_on("a", action)
    assert first is second is work_named("a")
    assert not first.wait(0)
    may_end.set()
    assert first.wait(10)
    assert first.result() == "done"
    assert begun == [1]


def test_one_work_at_a_time_and_those_that_wait_say_so_and_can_be_cancelled():
    may_end, began = Event(), []
    first = work_on("a", lambda progress: may_end.wait(10))
    second = work_on("b", lambda progress: began.append(1))
    third = work_on("c", lambda progress: "third")
    assert not second.wait(0.3)
    assert second.what == "Waiting for other work to end"
    second.cancel()
    assert second.wait(10)
    with pytest.raises(Cancelled):
        second.result()
    assert work_named("b") is None
    may_end.set()
    assert first.wait(10) and third.wait(10)
    assert third.result() == "third"
    assert not began


def test_cancelled_work_stops_where_it_tells_its_progress_and_may_be_begun_again():
    has_told = Event()

    def endless(progress):
        for done in count(1):
            progress("Counting", done, 10**9)
            has_told.set()

    work = work_on("a", endless)
    assert has_told.wait(10)
    assert (work.what, work.total) == ("Counting", 10**9)
    work.cancel()
    assert work.wait(10)
    again = work_on("a", lambda progress: 2)
    assert again.wait(10)
    assert again.result() == 2


def test_failure_is_told_once_and_then_tried_again():
    def fails(progress):
        raise InputError("no")

    work = work_on("a", fails)
    assert work.wait(10)
    with pytest.raises(InputError, match="no"):
        work_named("a").result()
    assert work_named("a") is None


def test_only_so_many_results_are_held():
    for number in range(2 * background.MOST_FINISHED):
        assert work_on(str(number), lambda progress: None).wait(10)
    assert len(background._works) <= background.MOST_FINISHED + 1
