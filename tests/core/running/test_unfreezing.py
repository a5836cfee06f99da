"""Frozen layers that learn later: from an epoch on or by hand, seen in the history and in the optimizer, exact across every interruption."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.config import TrainConfig
from core.data.sets import prepare_store
from core.errors import InputError
from core.export.bundles import run_zip
from core.files import sealed
from core.intake import load
from core.models.catalogue import build_model
from core.models.pretrained import weights_path
from core.optimizers import SGD
from core.running import session
from core.running.actions import change_run
from core.running.plan import complete
from core.running.session import run_session
from core.runs.checkpoints import FORMAT, find_checkpoint, list_checkpoints, load_state, read_manifest
from core.runs.directory import Run, create_run
from core.runs.history import history_of, model_now
from core.runs.timeline import timeline
from core.settings import changed, config_from
from core.training.events import StepLogged
from core.training.loop import new_state, set_frozen
from core.training.optimizers import build_optimizer
from core.workspace import Workspace, open_workspace
from tests.core.running.test_session import Killed, rows_of, same_history, weights_of

MODEL = "mobilenet-v3-small"  # with batch norm and dropout
STEPS = 5  # an epoch
SHAPE = (1, 32, 32)
HEAD = {"classifier.3.weight", "classifier.3.bias"}


@pytest.fixture(autouse=True)
def every_step_listens(monkeypatch) -> None:
    monkeypatch.setattr(session, "POLL_S", 0.0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """With pretrained weights of our own drawing."""
    home = open_workspace(tmp_path_factory.mktemp("workspace"))
    torch.manual_seed(7)
    save_file(build_model(config().model, (3, 224, 224), 1000).state_dict(), weights_path(home, MODEL))
    prepare_store(home, "digits", config().preprocessing)
    return home


def config(**model) -> TrainConfig:
    return config_from(
        {
            "data": {
                "dataset": "digits",
                "split_by": "shares",
                "validation_fraction": 0.05,
                "test_fraction": 0.85,
                "evaluate_on": "validation",
            },
            "preprocessing": {"size_px": 32},
            "model": {"name": MODEL, "weights": "pretrained", "frozen": True, **model},
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "decay_all": False},
            "epochs": 3,
            "batch_size": 36,
            "threads": 1,
            "device": "cpu",
            "precision": "float32",
            "tensorboard": False,
            "log_every": 1,
            "eval_batch_size": 100,
        }
    )


def started(workspace: Workspace, **model) -> Run:
    return create_run(workspace, complete(workspace, config(**model)))


def at(step: int, action):
    def on_event(event) -> None:
        if isinstance(event, StepLogged) and event.step == step:
            action()

    return on_event


def die() -> None:
    raise Killed


def weights_after(run: Run, checkpoint: str) -> dict[str, Tensor]:
    return load_file(find_checkpoint(run, checkpoint).path / "weights.safetensors")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def undisturbed(workspace) -> Run:
    run = started(workspace, unfreeze_epoch=2, backbone_lr_factor=0.1)
    assert run_session(workspace, run).reason == "finished"
    return run


def test_only_the_last_layer_learns_until_the_epoch_and_all_from_there_on(workspace, undisturbed):
    first, second = (weights_after(undisturbed, f"epoch-000{epoch}") for epoch in (1, 2))
    head = HEAD
    assert history_of(undisturbed).started.steps_per_epoch == STEPS
    (event,) = rows_of(undisturbed, "learning")
    total = sum(p.numel() for p in build_model(config().model, SHAPE, 10).parameters())
    assert event == {"kind": "learning", "step": STEPS, "epoch": 2, "num_learning": total, "num_parameters": total}
    assert [row["what"] for row in timeline(history_of(undisturbed)) if row["step"] == "5"] == [
        f"Unfrozen: all {total:,} weights learn"
    ]
    assert {"features.0.0.weight", "features.0.1.running_mean"} | head <= moved(first, second)


def test_frozen_first_epoch_leaves_the_published_weights_as_they_are(workspace, undisturbed):
    published, first = load_file(weights_path(workspace, MODEL)), weights_after(undisturbed, "epoch-0001")
    head = HEAD
    same = [name for name in first if name not in head and name != "features.0.0.weight"]
    assert all(torch.equal(first[name], published[name]) for name in same)
    assert torch.equal(first["features.0.0.weight"], published["features.0.0.weight"].sum(dim=1, keepdim=True))  # grey


def test_optimizer_has_the_last_layer_and_once_unfrozen_the_others_at_their_own_rate():
    settings = config(unfreeze_epoch=2, backbone_lr_factor=0.1)
    state = new_state(settings, build_model(settings.model, SHAPE, 10), torch.device("cpu"))

    def held() -> list[tuple[float, float, list[str]]]:
        names = {parameter: name for name, parameter in state.model.named_parameters()}
        return [(g["lr_factor"], g["weight_decay"], [names[p] for p in g["params"]]) for g in state.optimizer.param_groups]

    head = [(1.0, 0.01, ["classifier.3.weight"]), (1.0, 0.0, ["classifier.3.bias"])]
    assert held() == head
    weight = state.model.classifier[3].weight
    state.optimizer.state[weight]["momentum_buffer"] = torch.ones_like(weight)
    set_frozen(state, False)
    assert held()[:2] == head
    assert [(factor, decay) for factor, decay, _ in held()[2:]] == [(0.1, 0.01), (0.1, 0.0)]
    assert sum(len(names) for _, _, names in held()) == len(list(state.model.parameters()))
    assert state.optimizer.state[weight]["momentum_buffer"].eq(1).all(), "what it remembers of the head is kept"
    assert all(p.requires_grad for p in state.model.parameters())


def test_one_step_moves_the_rest_by_the_factor():
    """Plain SGD: with the same gradients, a tenth of the way."""
    settings = config_from({"model": {"name": "squeezenet1-1", "weights": "pretrained", "backbone_lr_factor": 0.1}})
    torch.manual_seed(0)
    network = build_model(settings.model, (3, 32, 32), 3)
    optimizer = build_optimizer(SGD(lr=1.0), network, settings.model)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = 0.5 * group["lr_factor"]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        way = 0.5 if name.startswith("classifier.1") else 0.05
        torch.testing.assert_close(before[name] - parameter.detach(), torch.full_like(parameter, way), rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [5, 8])
def test_run_killed_before_at_or_after_the_unfreezing_goes_on_to_the_same_bits(workspace, undisturbed, step):
    killed = started(workspace, unfreeze_epoch=2, backbone_lr_factor=0.1)
    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=at(step, die))
    assert run_session(workspace, killed).reason == "finished"
    assert weights_of(killed) == weights_of(undisturbed)
    assert same_history(killed, undisturbed)
    assert len(history_of(killed).learning) == 1


@pytest.mark.parametrize("steps", [7])
def test_run_paused_in_an_epoch_goes_on_to_the_same_bits(workspace, undisturbed, steps):
    paused = started(workspace, unfreeze_epoch=2, backbone_lr_factor=0.1)
    run_session(workspace, paused, should_pause=lambda: len(history_of(paused).steps["step"]) >= steps)
    assert find_checkpoint(paused, "last").name == f"step-{steps:010d}"
    run_session(workspace, paused)
    assert weights_of(paused) == weights_of(undisturbed)
    assert len(history_of(paused).learning) == 1


def test_unfreezing_by_hand_holds_from_the_next_step_and_again_after_a_kill(workspace):
    def unfreeze(run: Run):
        return at(7, lambda: change_run(run, {"model.unfreeze_epoch": 1}))

    undisturbed, killed = started(workspace), started(workspace)
    run_session(workspace, undisturbed, on_event=unfreeze(undisturbed))
    (change,), (event,) = rows_of(undisturbed, "changed"), rows_of(undisturbed, "learning")
    assert (change["setting"], change["before"], change["after"], change["step"]) == ("model.unfreeze_epoch", None, 1, 7)
    assert (event["step"], event["epoch"]) == (7, 2)
    with pytest.raises(Killed):
        run_session(workspace, killed, on_event=lambda e: (unfreeze(killed)(e), at(9, die)(e)))
    run_session(workspace, killed)
    assert weights_of(killed) == weights_of(undisturbed)
    assert same_history(killed, undisturbed)
    assert "Unfreeze from epoch changed from none to 1" in [row["what"] for row in timeline(history_of(undisturbed))]


def test_layers_can_be_frozen_again(workspace, undisturbed):
    run = started(workspace, unfreeze_epoch=2, backbone_lr_factor=0.1)
    run_session(workspace, run, on_event=at(10, lambda: change_run(run, {"model.unfreeze_epoch": None})))
    assert [event.step for event in history_of(run).learning] == [5, 10]
    second, third = (weights_after(run, f"epoch-000{epoch}") for epoch in (2, 3))
    assert moved(second, third) == HEAD


def test_frozen_checkpoint_of_before_unfreezing_was_there_is_gone_on_from(workspace, tmp_path):
    """Its state.json says nothing of what is frozen, nor of an epoch to unfreeze in."""
    run = started(workspace)
    run_session(workspace, run, should_pause=lambda: len(history_of(run).steps["step"]) >= 5)
    checkpoint = list_checkpoints(run)[-1]
    state = json.loads((checkpoint.path / "state.json").read_bytes())
    del state["is_frozen"], state["config"]["model.unfreeze_epoch"]
    for group in state["optimizer"]["param_groups"]:
        del group["lr_factor"]
    content = json.dumps(state).encode()
    (checkpoint.path / "state.json").write_bytes(content)
    files = read_manifest(checkpoint)
    files["state.json"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (checkpoint.path / "manifest.json").write_bytes(sealed({"format": FORMAT, "files": files}))
    loaded = new_state(config(), build_model(config().model, SHAPE, 10), torch.device("cpu"))
    load_state(checkpoint, loaded)
    assert loaded.is_frozen
    assert run_session(workspace, run).reason == "finished"


@pytest.mark.parametrize("steps", [4])
def test_run_with_frozen_layers_travels_and_is_finished_elsewhere_to_the_same_bits(workspace, undisturbed, tmp_path, steps):
    paused = started(workspace, unfreeze_epoch=2, backbone_lr_factor=0.1)
    run_session(workspace, paused, should_pause=lambda: len(history_of(paused).steps["step"]) >= steps)
    (tmp_path / "run.zip").write_bytes(b"".join(run_zip(paused)))
    other = open_workspace(tmp_path / "other")
    taken = load.load_file(other, tmp_path / "run.zip", "run.zip").run
    assert run_session(other, taken).reason == "finished"
    assert weights_of(taken) == weights_of(undisturbed)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"frozen": False, "unfreeze_epoch": 2}, "none are frozen; turn frozen on"),
        (
            {"weights": "fresh", "frozen": False, "backbone_lr_factor": 0.1},
            "backbone_lr_factor 0.1 is for layers that are learned",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(model, words):
    with pytest.raises(InputError, match=words):
        config(**model)


def test_network_of_ours_can_not_be_unfrozen(workspace):
    run = create_run(workspace, changed(config(), {"model": {"kind": "network", "name": "mlp"}}))
    with pytest.raises(InputError, match="none are frozen"):
        change_run(run, {"model.unfreeze_epoch": 1})


def test_card_of_an_unfrozen_run_is_that_of_a_network_that_learns_everywhere(workspace, undisturbed):
    frozen = started(workspace)
    assert model_now(frozen).frozen
    assert not model_now(undisturbed).frozen
    assert model_now(undisturbed).backbone_lr_factor == 0.1
