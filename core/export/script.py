"""A configuration as one file of plain PyTorch and torchvision, in the order of a tutorial: the same batches, the same result."""

import inspect
import textwrap
from collections.abc import Iterator

import torch
from torch import nn

from core.config import CatalogueNetwork, TrainConfig
from core.data.catalogue import DATASETS
from core.errors import InputError
from core.export.bundle.carried import carried
from core.export.bundle.network_source import network_lines
from core.models.catalogue import MODELS, model_title
from core.models.network_spec import NetworkSpec
from core.optimizers import OPTIMIZERS
from core.running.plan import Plan, plan_run
from core.runs.directory import Run
from core.runs.history import history_of
from core.schedules import SCHEDULES
from core.training.batches import seeded
from core.workspace import Workspace

RESIDUAL = ("residual-cnn", "residual-light")  # their shortcuts are made first, which decides what is drawn for whom
TORCHVISION_SETS = {  # by our names
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def script(plan: Plan) -> str:
    """The program. Raises InputError that names what it can't have yet."""
    config = plan.config
    _refuse(config)
    spec = NetworkSpec(
        model=config.model,
        shape=plan.dataset.shape,
        class_names=tuple(map(str, range(plan.dataset.num_classes))),
        preprocessing=config.preprocessing,
    )
    record = DATASETS[config.data.dataset]
    has_curve = config.schedule.name != "constant" or config.schedule.warmup_epochs > 0
    is_bfloat16 = plan.compute.dtype != torch.float32
    is_torchvisions = isinstance(config.model, CatalogueNetwork) and MODELS[config.model.name].family is not None
    parts = [
        f'"""{model_title(config.model)} on {record.title}, as it was set up in Trainscope: the same batches, the same result.\n\n'
        "Needs torch, torchvision and numpy; gets the images by itself.\n" + '"""',
        "",
        *(
            ["from __future__ import annotations", "", "import math", "from types import SimpleNamespace", ""]
            if has_curve
            else []
        ),
        "import numpy as np",
        "import torch",
        "from torch import Tensor, nn",
        f"from torchvision import datasets{', models' if is_torchvisions else ''}",
        "",
        f"SEED = {config.seed}",
        f"EPOCHS = {config.epochs}",
        f"BATCH_SIZE = {config.batch_size}",
        f"EVAL_BATCH_SIZE = {config.eval_batch_size}",
        f"LEARNING_RATE = {config.optimizer.lr!r}",
        f"MEAN, STD = torch.tensor({list(config.preprocessing.mean or ())}), torch.tensor({list(config.preprocessing.std or ())})",
        *([f"torch.set_num_threads({config.threads})"] if config.threads else []),
        "",
        "",
        "# Data",
        "",
        *_data(config, TORCHVISION_SETS[config.data.dataset]),
        "",
        "",
        "# Network",
        "",
        *network_lines(spec),
        "",
        "",
        "# Training",
        "",
        carried(seeded, is_whole_file=False),
        "",
        "",
        *_schedule(config),
        *_training(config, is_bfloat16),
    ]
    return "\n".join(_without_doubled_gaps(parts)) + "\n"


def script_of(workspace: Workspace, run: Run) -> str:
    """Of a run, as it was begun. Raises InputError as `script` does, and where it was changed while it trained."""
    if history_of(run).changes:
        raise InputError(
            "This can't be written as a program yet: the run was changed while it trained.",
            code="script",
            hint="A new run from the same settings can.",
        )
    return script(plan_run(workspace, run.config))


def _refuse(config: TrainConfig) -> None:
    """Raises InputError for what the program has no words for."""
    preprocessing, plain = config.preprocessing, type(config.preprocessing)()
    reasons = {
        "a set of one's own, or one that torchvision does not bring": config.data.dataset not in TORCHVISION_SETS,
        "a split that was drawn": config.data.split_by != "delivered" or bool(config.data.validation_fraction),
        "edited labels": config.data.edits not in ("", "none"),
        "images of another size or colour than the set's": any(
            getattr(preprocessing, name) != getattr(plain, name) for name in ("size_px", "short_side_px", "colour", "invert")
        ),
        "random changes of the images": config.augmentation != type(config.augmentation)(),
        "pretrained weights": config.model.is_pretrained,
        "weights of an earlier run": config.origin is not None,
        "balanced sampling": config.data.sampling == "balanced",
        "class weights": config.loss.class_weights != "none",
        "another loss than cross-entropy": config.loss.name != "cross-entropy",
        "early stopping": config.early_stopping.patience > 0,
        "a network whose layers are not made in the order in which they stand": config.model.name in RESIDUAL,
    }
    if found := [reason for reason, holds in reasons.items() if holds]:
        raise InputError(
            f"This can't be written as a program yet: it has {' and '.join(found)}.",
            code="script",
            hint="Runs on the sets of torchvision with their own splits, from fresh weights and without random changes can.",
        )


def _data(config: TrainConfig, name: str) -> Iterator[str]:
    test = config.data.evaluate_on == "test"
    assert test, "as delivered"
    to_tensor = "torch.from_numpy(dataset.data).permute(0, 3, 1, 2)" if name.startswith("CIFAR") else "dataset.data[:, None]"
    yield from (
        textwrap.dedent(
            f'''
        def load(train: bool) -> tuple[Tensor, Tensor]:
            """(N, C, H, W) from 0 to 255, and (N,) classes."""
            dataset = datasets.{name}("data", train=train, download=True)
            return {to_tensor}, torch.as_tensor(dataset.targets)


        train_images, train_labels = load(train=True)
        test_images, test_labels = load(train=False)


        '''
        )
        .strip("\n")
        .splitlines()
    )
    yield ""
    yield ""


def _training(config: TrainConfig, is_bfloat16: bool) -> list[str]:
    steps = "len(train_images) // BATCH_SIZE" if config.drop_last else "-(-len(train_images) // BATCH_SIZE)"
    dtype = "torch.bfloat16" if is_bfloat16 else "torch.float32"
    smoothing = f"label_smoothing={config.loss.label_smoothing!r}" if config.loss.label_smoothing else ""
    order = (
        "torch.randperm(len(train_images), generator=seeded(SEED, epoch, 0))"
        if config.data.sampling == "shuffled"
        else "torch.arange(len(train_images))"
    )
    rate = (
        []
        if config.schedule.name == "constant" and not config.schedule.warmup_epochs
        else [
            "for group in optimizer.param_groups:",
            "    group['lr'] = LEARNING_RATE * lr_factor(step)",
        ]
    )
    forward = ["logits = network(images)", "loss = loss_function(logits, labels)"]
    if is_bfloat16:
        forward = ['with torch.autocast("cpu", dtype=torch.bfloat16):', *(f"    {line}" for line in forward)]
    step = [
        *rate,
        f"images = normalise(train_images[chosen], MEAN, STD, {dtype})",
        "labels = train_labels[chosen]",
        *forward,
        "optimizer.zero_grad()",
        "loss.backward()",
        *(
            [f"nn.utils.clip_grad_norm_(network.parameters(), {config.optimizer.clip_norm!r})"]
            if config.optimizer.clip_norm
            else []
        ),
        "optimizer.step()",
        "step += 1",
    ]
    return [
        "def accuracy() -> float:",
        "    network.eval()",
        "    right = 0",
        "    with torch.inference_mode():",
        "        for images, labels in zip(test_images.split(EVAL_BATCH_SIZE), test_labels.split(EVAL_BATCH_SIZE), strict=True):",
        "            right += int((network(normalise(images, MEAN, STD)).argmax(dim=1) == labels).sum())",
        "    return right / len(test_labels)",
        "",
        "",
        "torch.manual_seed(SEED)",
        "network = build().to(memory_format=torch.channels_last)",
        f"loss_function = nn.CrossEntropyLoss({smoothing})",
        *_optimizer(config),
        f"STEPS = {steps}  # of an epoch",
        "",
        "step = 0",
        "for epoch in range(EPOCHS):",
        "    network.train()",
        "    torch.manual_seed(seeded(SEED, epoch, 2).initial_seed())  # what dropout draws",
        f"    order = {order}",
        "    for chosen in order[: STEPS * BATCH_SIZE].split(BATCH_SIZE):",
        *(f"        {line}" for line in step),
        '    print(f"epoch {epoch + 1}: test accuracy {100 * accuracy():.2f} %", flush=True)',
        "",
        'torch.save(network.state_dict(), "weights.pt")',
    ]


def _optimizer(config: TrainConfig) -> list[str]:
    """As it is made for the run: its class, and what is not PyTorch's own choice."""
    own = config.optimizer
    made = OPTIMIZERS[own.name].build(own, [{"params": [nn.Parameter(torch.zeros(1))], "weight_decay": own.weight_decay}])
    usual = {name: p.default for name, p in inspect.signature(type(made)).parameters.items()}
    given = {name: value for name, value in made.defaults.items() if name in usual and value != usual[name] and name != "lr"}
    given.pop("weight_decay", None)
    named = ", ".join(["lr=LEARNING_RATE", *(f"{name}={value!r}" for name, value in given.items())])
    kind = f"torch.optim.{type(made).__name__}"
    if own.decay_all or own.weight_decay == 0:
        decay = f", weight_decay={own.weight_decay!r}" if own.weight_decay != usual["weight_decay"] else ""
        return [f"optimizer = {kind}(network.parameters(), {named}{decay})"]
    return [
        "decayed = [p for p in network.parameters() if p.ndim > 1]",
        "others = [p for p in network.parameters() if p.ndim <= 1]  # biases and norms",
        f'groups = [{{"params": decayed, "weight_decay": {own.weight_decay!r}}}, {{"params": others, "weight_decay": 0.0}}]',
        f"optimizer = {kind}(groups, {named})",
    ]


def _schedule(config: TrainConfig) -> list[str]:
    own = config.schedule
    if own.name == "constant" and not own.warmup_epochs:
        return []
    settings = ", ".join(f"{name}={value!r}" for name, value in own.model_dump(mode="json").items() if name != "name")
    factor = SCHEDULES[own.name].factor
    lines = [carried(factor, is_whole_file=False), "", "", f"SCHEDULE = SimpleNamespace({settings})", "", ""]
    lines += [
        "def lr_factor(step: int) -> float:",
        '    """Of the learning rate, at this step, counted from 0."""',
        "    position = step / STEPS",
    ]
    if own.warmup_epochs:
        lines += [
            "    if position < SCHEDULE.warmup_epochs:",
            "        return (step + 1) / (SCHEDULE.warmup_epochs * STEPS + 1)",
        ]
    if own.update_every == "epoch":
        lines.append("    position = float(math.floor(position))")
    return [*lines, f"    return {factor.__name__}(SCHEDULE, position, EPOCHS)", "", ""]


def _without_doubled_gaps(lines: list[str]) -> list[str]:
    """At most two empty lines after one another."""
    found: list[str] = []
    for line in "\n".join(lines).splitlines():
        if line or found[-2:] != ["", ""]:
            found.append(line)
    return found
