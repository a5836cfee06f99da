"""How many threads train: decided by what the system counts, with made-up counts in place of a busy machine."""

import pytest
import torch

from core.training import threads
from core.training.threads import Reading, ThreadGovernor, read_pressure, threads_for


class Machine:
    """Two cores, a clock and the kernel's counters, moved on by hand."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.waited, self.idle = 0.0, 0.0, 0.0
        monkeypatch.setattr(threads, "read_pressure", lambda: Reading(self.now, self.waited, self.idle))
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def passes(self, governor: ThreadGovernor, seconds: float, waiting: float, idle: float) -> list[int]:
        """Changes while some seconds go by in which threads wait, and cores idle, for these shares of the time."""
        changes = []
        for _ in range(round(seconds / 0.25)):
            self.now += 0.25
            self.waited += 0.25 * waiting
            self.idle += 0.25 * idle
            if change := governor.adjust():
                changes.append(change)
        return changes


@pytest.fixture
def machine(monkeypatch) -> Machine:
    return Machine(monkeypatch)


def test_all_cores_are_kept_while_nobody_else_wants_them(machine):
    governor = ThreadGovernor(2)
    assert machine.passes(governor, 60, waiting=0.02, idle=0.0) == []
    assert governor.now == 2


def test_pages_that_load_for_a_few_seconds_change_nothing(machine):
    """The number of threads decides the last bits of a result."""
    governor = ThreadGovernor(2)
    for _ in range(5):
        assert machine.passes(governor, 3, waiting=0.6, idle=0.0) == []
        assert machine.passes(governor, 1, waiting=0.0, idle=0.0) == []


def test_one_thread_trains_soon_after_a_neighbour_takes_a_core(machine):
    governor = ThreadGovernor(2)
    assert machine.passes(governor, 5, waiting=0.6, idle=0.0) == [1]


def test_all_cores_are_taken_again_once_the_neighbour_is_gone(machine):
    governor = ThreadGovernor(2)
    machine.passes(governor, 5, waiting=0.6, idle=0.0)
    assert machine.passes(governor, 30, waiting=0.0, idle=0.0) == []  # the neighbour has the other core
    assert machine.passes(governor, 60, waiting=0.0, idle=0.97) == [2]


def test_neighbour_that_comes_and_goes_is_tried_ever_more_rarely(machine):
    """Each time all cores are taken too early, the next try waits longer: no flapping."""
    governor = ThreadGovernor(2)
    for _ in range(20):
        machine.passes(governor, 5, waiting=0.6, idle=0.0)
        machine.passes(governor, 4, waiting=0.0, idle=0.97)
    quiet = machine.passes(governor, 5, waiting=0.0, idle=0.97)
    assert governor.patience_s >= 16
    assert len(quiet) <= 1


def test_governor_of_one_thread_never_looks(machine, monkeypatch):
    monkeypatch.setattr(threads, "read_pressure", lambda: pytest.fail("looked"))
    assert machine.passes(ThreadGovernor(1), 10, waiting=0.9, idle=0.9) == []


def test_small_batches_get_one_thread_and_large_ones_all_cores():
    assert threads_for(64, (1, 8, 8)) == 1
    assert threads_for(4, (3, 32, 32)) == 1
    assert threads_for(1024, (3, 224, 224)) == threads.available_cores()


def test_counters_of_this_machine_only_grow():
    before = read_pressure()
    if before is None:
        pytest.skip("this system does not count waiting and idling")
    sum(i * i for i in range(200_000))
    after = read_pressure()
    assert after.time > before.time
    assert after.waited_s >= before.waited_s >= 0
    assert after.idle_s >= before.idle_s > 0


def test_look_that_fails_is_passed_over_and_the_next_one_counts(machine, monkeypatch):
    """A thread may end between being listed and being read."""
    governor = ThreadGovernor(2)
    with monkeypatch.context() as broken:
        broken.setattr(threads, "read_pressure", lambda: None)
        assert machine.passes(governor, 3, waiting=0.0, idle=0.0) == []
    assert machine.passes(governor, 6, waiting=0.6, idle=0.0) == [1]
