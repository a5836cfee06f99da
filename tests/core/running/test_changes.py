"""What is changed while a run trains, trains longer or goes back: taken once, where it was made, told with what was before."""

import math
import threading

import pytest
import torch

from core.errors import InputError
from core.running import saving, session
from core.running.actions import change_run, make_ready
from core.running.branch import begun_from, check_fit, config_to_branch
from core.running.plan import plan_run
from core.running.session import run_session
from core.runs.checkpoints import find_checkpoint, list_checkpoints, load_network
from core.runs.control import Commands, send_changes
from core.runs.directory import Run, create_run
from core.runs.history import history_of
from core.runs.status import status_of
from core.serving.new_run import new_run
from core.settings import changed
from core.training import loop
from core.training.events import CheckpointSaved, Evaluated, StepLogged
from core.training.loop import TrainState
from core.workspace import Workspace, open_workspace
from tests.core.running.test_session import STEPS_PER_EPOCH, Killed, rows_of, same_history, tiny, weights_of


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(autouse=True)
def every_step_listens(monkeypatch) -> None:
    """Commands are looked for after each step, so that a test says at which step they are heard."""
    monkeypatch.setattr(session, "POLL_S", 0.0)


def at(step: int, run: Run, settings: dict):
    """A listener that sends the changes when this step is recorded."""

    def on_event(event) -> None:
        if isinstance(event, StepLogged) and event.step == step:
            change_run(run, settings)

    return on_event


def make_ready_to_go_on(run: Run, settings: dict | None = None, checkpoint: str = "last") -> None:
    lock = run.hold()
    try:
        make_ready(run, settings or {}, checkpoint)
    finally:
        lock.release()


def test_learning_rate_changes_from_the_next_step_on_and_says_what_it_was(workspace):
    run = create_run(workspace, tiny(log_every=1))
    run_session(workspace, run, on_event=at(30, run, {"optimizer.lr": 0.01}))
    rates = history_of(run).steps["lr"]
    assert set(rates[:30]) == {0.1}
    assert set(rates[30:]) == {0.01}
    (change,) = rows_of(run, "changed")
    assert (change["number"], change["step"], change["setting"], change["before"], change["after"]) == (
        1,
        30,
        "optimizer.lr",
        0.1,
        0.01,
    )
    assert history_of(run).config(run.config).optimizer.lr == 0.01
    assert run.config.optimizer.lr == 0.1  # what it began with never changes
    assert Commands(run).waiting() == []


@pytest.mark.parametrize("settings", [{"optimizer": {"name": "sgd", "lr": 0.1, "clip_norm": 0.5}}, {"loss": {"name": "mse"}}])
def test_run_killed_with_clipped_gradients_or_another_loss_goes_on_to_the_same_bits(workspace, settings):
    settings = {
        **settings,
        "data": {"dataset": "digits", "validation_fraction": 0.2, "evaluate_on": "validation", "sampling": "in order"},
    }
    undisturbed, killed = (create_run(workspace, tiny(log_every=1, **settings)) for _ in range(2))
    run_session(workspace, undisturbed)

    def die(event) -> None:
        if isinstance(event, StepLogged) and event.step == 30:
            raise Killed

    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=die)
    run_session(workspace, killed)
    assert weights_of(killed) == weights_of(undisturbed)
    assert same_history(killed, undisturbed)


def test_run_killed_after_a_change_makes_it_again_where_it_was_made(workspace):
    """The checkpoint lies before the change: going on from it, the change comes at the same step as the first time."""
    settings = {"optimizer.lr": 0.02, "epochs": 3}
    undisturbed = create_run(workspace, tiny(log_every=1))
    run_session(workspace, undisturbed, on_event=at(30, undisturbed, settings))

    killed = create_run(workspace, tiny(log_every=1))
    change = at(30, killed, settings)

    def die(event) -> None:
        change(event)
        if isinstance(event, StepLogged) and event.step == 40:
            raise Killed

    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=die)
    assert find_checkpoint(killed, "last").name == "epoch-0001"  # step 23, before the change
    run_session(workspace, killed)
    assert weights_of(killed) == weights_of(undisturbed)
    assert same_history(killed, undisturbed)
    assert [(row.number, row.step) for row in history_of(killed).changes] == [(1, 30), (2, 30)]
    assert status_of(killed).epoch == 3


def test_change_sent_to_a_paused_run_holds_when_it_goes_on(workspace):
    run = create_run(workspace, tiny(log_every=1))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).steps["step"]) >= 25)
    change_run(run, {"optimizer.lr": 0.03})
    step = status_of(run)
    run_session(workspace, run)
    rates = history_of(run).steps["lr"]
    assert rates[0] == 0.1
    assert rates[-1] == 0.03
    assert step.state == "paused"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer.lr": -1}, "optimizer.lr: found -1"),
        ({"optimizer.lr": math.nan}, "optimizer.lr: found nan"),
        ({"batch_size": 32}, "batch_size: can't be changed once a run has begun"),
        ({"epochs": 1}, "expected at least 2, those it has already trained"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_change_that_makes_no_sense_is_refused_in_words(workspace, settings, words):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    with pytest.raises(InputError, match=words):
        change_run(run, settings)
    assert Commands(run).waiting() == []


def test_run_trained_longer_equals_one_that_had_the_epochs_from_the_start(workspace):
    """Workload 1 goes on for epochs 4 to 8; here 3 and 4. The learning rate is constant, so nothing else depends on the epochs."""
    short, long = create_run(workspace, tiny(epochs=2)), create_run(workspace, tiny(epochs=4))
    run_session(workspace, long)
    run_session(workspace, short)
    with pytest.raises(InputError, match="To train it longer, ask for more than 2 epochs"):
        make_ready_to_go_on(short)
    make_ready_to_go_on(short, {"epochs": 4})
    assert run_session(workspace, short).reason == "finished"
    assert weights_of(short) == weights_of(long)
    assert same_history(short, long)
    assert (status_of(short).epoch, status_of(short).epochs) == (4, 4)


def test_early_stopping_ends_the_run_when_its_patience_is_over(workspace, monkeypatch):
    losses = iter([9.0, 1.0, 0.8, 0.9, 0.85, 0.7])
    evaluate, here = loop.evaluate, threading.get_ident()

    def scripted(*args, **kwargs):
        if threading.get_ident() != here:  # a training that another test has left at work in a thread
            yield from evaluate(*args, **kwargs)
            return
        for event in evaluate(*args, **kwargs):
            yield event if not isinstance(event, Evaluated) else loop.replace(event, loss=next(losses))

    monkeypatch.setattr(loop, "evaluate", scripted)
    run = create_run(workspace, tiny(epochs=5, early_stopping={"patience": 2}))
    ended = run_session(workspace, run)
    assert [row.patience_left for row in history_of(run).evaluations] == [2, 2, 2, 1, 0]
    assert (ended.reason, ended.epoch) == ("finished", 4)
    assert ended.message == "Stopped early: loss has not improved for 2 epochs; its best is 0.8000."

    make_ready_to_go_on(run, {"epochs": 5})  # train longer: patience begins anew
    assert run_session(workspace, run).epoch == 5


@pytest.mark.parametrize("patience_changed", [False, True])
def test_patience_survives_a_pause(workspace, patience_changed):
    """A huge least change: no epoch counts as an improvement, so patience 3 ends the run after epoch 4, paused in between or not."""
    run = create_run(workspace, tiny(epochs=9, early_stopping={"patience": 3, "min_change": 100}))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    if patience_changed:
        change_run(run, {"early_stopping.patience": 0})
    ended = run_session(workspace, run)
    assert ended.epoch == (9 if patience_changed else 4)


def poison(step: int, what: str, monkeypatch) -> None:
    """A weight, or the loss, becomes NaN in this step."""
    real = loop.FiniteWatch.fault

    def fault(self, loss):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == step:
            if what == "the loss":
                loss = loss * math.nan
            else:
                self.weights[0].view(-1)[0] = math.inf
        return real(self, loss)

    monkeypatch.setattr(loop.FiniteWatch, "fault", fault)


@pytest.mark.parametrize("what", ["the loss", "a weight"])
def test_divergence_ends_the_run_in_its_step_and_keeps_the_last_finite_checkpoint(workspace, monkeypatch, what):
    poison(STEPS_PER_EPOCH + 5, what, monkeypatch)
    run = create_run(workspace, tiny())
    ended = run_session(workspace, run)
    assert (ended.reason, ended.step) == ("failed", STEPS_PER_EPOCH + 4)  # no step is counted that was not finite
    assert f"at step {STEPS_PER_EPOCH + 5} (epoch 2) {what} was no longer a finite number" in ended.message
    assert "The last checkpoint, epoch-0001, is kept. Resume with a lower learning rate, 0.01 instead of 0.1" in ended.message
    model, _ = load_network(find_checkpoint(run, "last"))
    assert all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values())
    assert [c.name for c in list_checkpoints(run)] == ["epoch-0001"]


def test_real_divergence_is_found_in_its_step(workspace):
    linear = {"name": "cifar10-quick", "width": 0.1}  # no activation between its layers: nothing saturates
    run = create_run(workspace, tiny(model=linear, optimizer={"name": "sgd", "lr": 50}, log_every=1))
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert "diverged" in ended.message
    assert all(row is not None for row in history_of(run).steps["loss"])  # nothing infinite was recorded


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 96636764160 bytes."
        ),
    ],
)
def test_want_of_memory_ends_the_run_with_a_smaller_batch_suggested(workspace, monkeypatch, error):
    def fault(self, loss):
        raise error

    monkeypatch.setattr(loop.FiniteWatch, "fault", fault)
    run = create_run(workspace, tiny())
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert "not enough memory" in ended.message
    assert "batch size of 32" in ended.message


def test_damaged_checkpoint_is_named_and_the_sound_one_before_it_offered_and_leads_to_the_same_end(workspace):
    undisturbed, run = create_run(workspace, tiny(epochs=3)), create_run(workspace, tiny(epochs=3))
    run_session(workspace, undisturbed)
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    last = find_checkpoint(run, "last")
    content = bytearray((last.path / "optimizer.safetensors").read_bytes())
    content[-1] ^= 1
    (last.path / "optimizer.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=rf"{last.name} .*damaged.*epoch-0001 is sound: resume from that") as refusal:
        make_ready_to_go_on(run)
    assert refusal.value.code == "damaged-checkpoint"
    make_ready_to_go_on(run, checkpoint="epoch-0001")
    run_session(workspace, run, from_checkpoint="epoch-0001")
    assert weights_of(run) == weights_of(undisturbed)
    assert same_history(run, undisturbed)


def test_session_that_meets_a_damaged_checkpoint_ends_with_both_names(workspace):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 3)
    last = find_checkpoint(run, "last")
    (last.path / "weights.safetensors").unlink()
    ended = run_session(workspace, run)
    assert ended.reason == "failed"
    assert last.name in ended.message
    assert "epoch-0001 is sound" in ended.message


def test_going_back_supersedes_what_came_after(workspace):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run)
    make_ready_to_go_on(run, {"optimizer.lr": 0.001}, "epoch-0001")
    run_session(workspace, run, from_checkpoint="epoch-0001")
    history = history_of(run)
    assert [row.epoch for row in history.evaluations] == [0, 1, 2, 3]
    assert list(history.steps["step"]) == sorted(set(history.steps["step"]))  # one line
    assert history.steps["lr"][-1] == 0.001
    assert [c.name for c in list_checkpoints(run)] == ["epoch-0001", "epoch-0002", "epoch-0003"]


def test_checkpoint_saved_by_a_session_that_was_killed_before_it_said_so_is_told_by_the_next(workspace):
    undisturbed, run = create_run(workspace, tiny()), create_run(workspace, tiny())
    run_session(workspace, undisturbed)

    class Dies(saving.Saver):
        def _event(self, state):
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(session, "Saver", Dies)
        run_session(workspace, run)
    assert rows_of(run, "checkpoint") == []
    run_session(workspace, run)
    assert [row.name for row in history_of(run).checkpoints] == [row.name for row in history_of(undisturbed).checkpoints]
    assert weights_of(run) == weights_of(undisturbed)


def test_going_on_elsewhere_says_why_the_last_bits_may_differ(workspace, monkeypatch):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 2)
    monkeypatch.setattr(session, "current_environment", lambda *_: {**ENVIRONMENT, "torch": "9.9.9"})
    run_session(workspace, run)
    ((step, why),) = history_of(run).inexact
    assert step > 0
    assert "another version of PyTorch" in why
    assert "now 9.9.9" in why


ENVIRONMENT = {"device": "cpu", "precision": "float32", "threads": 1, "processor": "", "torch": "", "numpy": ""}


def test_going_on_in_the_same_place_is_exact_and_says_nothing(workspace):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 2)
    run_session(workspace, run)
    assert history_of(run).inexact == []


def test_new_run_begins_with_the_weights_of_an_earlier_one_and_remembers_it(workspace):
    parent = create_run(workspace, tiny())
    run_session(workspace, parent)
    child = new_run(workspace, plan_run(workspace, begun_from(config_to_branch(parent), parent, "epoch-0001")))
    (child.checkpoints / "epoch-0000" / "weights.safetensors").read_bytes()
    assert (child.config.origin.kind, child.config.origin.name, child.config.origin.checkpoint) == (
        "run",
        parent.id,
        "epoch-0001",
    )
    events = []
    run_session(workspace, child, on_event=events.append)
    first = next(event for event in events if isinstance(event, Evaluated))
    of_parent = next(row for row in history_of(parent).evaluations if row.epoch == 1)
    assert (first.epoch, first.accuracy, first.loss) == (0, of_parent.accuracy, pytest.approx(of_parent.loss, rel=1e-6))
    assert status_of(child).state == "finished"
    assert any(isinstance(event, CheckpointSaved) for event in events)


def test_head_is_drawn_anew_where_the_classes_are_others(workspace, tmp_path):
    from PIL import Image

    folder = tmp_path / "tones"
    for shade, name in ((20, "dark"), (220, "light"), (120, "grey")):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (8, 8), shade + i).save(folder / name / f"{i}.png")
    parent = create_run(workspace, tiny())
    run_session(workspace, parent)
    config = changed(config_to_branch(parent), {"data.dataset": str(folder), "batch_size": 8, "epochs": 1})
    child = new_run(workspace, plan_run(workspace, begun_from(config, parent, "last")))
    assert "3 classes instead of 10" in child.config.origin.note
    ours, spec = load_network(find_checkpoint(child, "last"))
    theirs, _ = load_network(find_checkpoint(parent, "last"))
    assert spec.class_names == ("dark", "grey", "light")
    kept = [name for name, w in ours.state_dict().items() if w.shape == theirs.state_dict()[name].shape]
    assert kept
    assert all(torch.equal(ours.state_dict()[name], theirs.state_dict()[name]) for name in kept)
    assert run_session(workspace, child).reason == "finished"


def test_branch_of_another_model_is_refused_in_words(workspace):
    parent = create_run(workspace, tiny(epochs=1))
    run_session(workspace, parent)
    config = changed(config_to_branch(parent), {"model.width": 0.1})
    for attempt in (
        lambda: new_run(workspace, plan_run(workspace, begun_from(config, parent))),
        lambda: check_fit(workspace, begun_from(config, parent, "last"), (1, 8, 8), 10),
    ):
        with pytest.raises(InputError, match=r"of mlp \(width 0.05\), the new run's model is mlp \(width 0.1\)"):
            attempt()


def test_what_a_branch_would_draw_anew_is_known_before(workspace):
    parent = create_run(workspace, tiny(epochs=1))
    run_session(workspace, parent)
    begun = begun_from(parent.config, parent, "last")
    assert check_fit(workspace, begun, (1, 8, 8), 10) == ""
    assert check_fit(workspace, begun, (1, 8, 8), 3) == "The last layer is drawn anew: 3 classes instead of 10."
    with pytest.raises(InputError, match=r"don't fit these images: .* \(grey or colour\)"):
        check_fit(workspace, begun, (3, 8, 8), 10)


def test_state_out_of_patience_needs_a_patience():
    assert not TrainState(config=tiny(), model=None, optimizer=None, window=None).is_out_of_patience


def test_commands_of_a_run_are_numbered_across_sessions(workspace):
    run = create_run(workspace, tiny(epochs=3))
    run_session(workspace, run, should_pause=lambda: len(history_of(run).evaluations) >= 2)
    assert send_changes(run, {"optimizer.lr": 0.05}) == 1
    run_session(workspace, run, on_event=at(60, run, {"optimizer.lr": 0.04}))
    assert [(row.number, row.after) for row in history_of(run).changes] == [(1, 0.05), (2, 0.04)]


def test_correction_of_a_rate_that_the_run_had_failed_by_is_not_undone_by_the_old_change(workspace, monkeypatch):
    """The bad change lies after the checkpoint: going on with another rate must not make it again."""
    real = loop.FiniteWatch.fault
    run = create_run(workspace, tiny(log_every=1))

    def fault(self, loss):
        self.calls = getattr(self, "calls", 0) + 1
        return "the loss" if self.calls == 35 and history_of(run).changes else real(self, loss)

    monkeypatch.setattr(loop.FiniteWatch, "fault", fault)
    ended = run_session(workspace, run, on_event=at(30, run, {"optimizer.lr": 5.0}))
    assert ended.reason == "failed"
    assert "0.1 instead of 5" in ended.message  # the rate before the change, which was fine
    monkeypatch.setattr(loop.FiniteWatch, "fault", real)
    make_ready_to_go_on(run, {"optimizer.lr": 0.05})
    assert run_session(workspace, run).reason == "finished"
    assert set(history_of(run).steps["lr"][STEPS_PER_EPOCH:]) == {0.05}


def test_change_of_a_run_that_is_paused_before_its_first_step_is_kept_for_later(workspace):
    from filelock import FileLock

    run = create_run(workspace, tiny(log_every=1))
    send_changes(run, {"optimizer.lr": 0.02})
    with FileLock(workspace.locks / "cpu.lock"):  # another training has the device
        assert run_session(workspace, run, should_pause=lambda: True).reason == "paused"
    run_session(workspace, run)
    assert set(history_of(run).steps["lr"]) == {0.02}


def test_change_that_comes_after_the_last_step_is_said_to_be_too_late_and_never_taken(workspace, monkeypatch):
    run = create_run(workspace, tiny(log_every=1))

    def on_event(event) -> None:
        if isinstance(event, CheckpointSaved) and event.epoch == 2:
            send_changes(run, {"optimizer.lr": 9.0})

    monkeypatch.setattr(session, "POLL_S", 1000.0)  # not looked at any more
    ended = run_session(workspace, run, on_event=on_event)
    assert ended.message == "Trained to the last epoch. A change of optimizer.lr to 9.0 came too late and was not taken."
    make_ready_to_go_on(run, {"epochs": 3})
    run_session(workspace, run)
    assert set(history_of(run).steps["lr"]) == {0.1}


def test_epochs_lowered_within_an_epoch_end_the_run_after_it(workspace):
    run = create_run(workspace, tiny(epochs=5, log_every=1))
    ended = run_session(workspace, run, on_event=at(30, run, {"epochs": 1}))
    assert (ended.epoch, ended.epochs) == (2, 2)


def test_imported_run_whose_commands_stayed_behind_still_takes_changes(workspace):
    run = create_run(workspace, tiny(log_every=1))
    run_session(workspace, run, on_event=at(30, run, {"optimizer.lr": 0.02}))
    run.control.unlink()  # a run's zip does not have it
    make_ready_to_go_on(run, {"epochs": 3})
    assert run_session(workspace, run).epoch == 3


def test_the_checkpoint_before_the_last_is_always_there(workspace):
    run = create_run(workspace, tiny(epochs=3, checkpoint={"every_epochs": 1000}))
    run_session(workspace, run)
    assert {"epoch-0002", "epoch-0003"} <= {c.name for c in list_checkpoints(run)}
