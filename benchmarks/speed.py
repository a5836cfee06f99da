"""Images per second: the plain loop of the tutorials, Trainscope, and a loop on one batch held in memory.

    python -m benchmarks.speed [--home FOLDER] [--rounds 5] [--seconds 3]

Each way runs in a process of its own, in the environment that it has in practice; the ways take turns, round by round, so
that a noisy machine is equally unfair to all. Needs MNIST in the workspace; CIFAR-10 from the workspace or from
--cifar FOLDER (an image folder).
"""

import argparse
import json
import statistics
import sys
import time

from benchmarks import delivered, interleaved

WORKLOADS = ("mnist-first-cnn", "cifar10-quick")
WAYS = {
    # way: (what it is, environment)
    "plain": ("plain loop: DataLoader, per-picture transforms, float32", {}),
    "plain, 2 workers": ("the same with two loader processes", {}),
    "trainscope": ("Trainscope, automatic precision", {"GOMP_SPINCOUNT": "10000"}),
    "trainscope float32": ("Trainscope, float32", {"GOMP_SPINCOUNT": "10000"}),
    "one batch": ("one batch in memory, same network and precision", {}),
    "one batch float32": ("one batch in memory, float32", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default=None, help="the workspace")
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10's name or an image folder of it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--one", nargs=2, metavar=("WORKLOAD", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        serve(options, *options.one)
        return
    for workload in WORKLOADS:
        print(f"\n{workload}: images per second, median of {options.rounds} rounds of {options.seconds:g} s", flush=True)
        speeds = measure(options, workload)
        for way, values in speeds.items():
            ratio = statistics.median(v / p for v, p in zip(values, speeds["plain"], strict=True))
            print(f"  {way:20} {statistics.median(values):>9,.0f}   {ratio:5.2f} × plain   {WAYS[way][0]}")
        for suffix in ("", " float32"):
            pairs = zip(speeds[f"trainscope{suffix}"], speeds[f"one batch{suffix}"], strict=True)
            print(f"  trainscope{suffix} / one batch{suffix}: {statistics.median(a / b for a, b in pairs):.2f}")


def measure(options: argparse.Namespace, workload: str) -> dict[str, list[float]]:
    commands = {}
    for way, (_, environment) in WAYS.items():
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed",
            "--seconds",
            str(options.seconds),
            "--cifar",
            options.cifar,
            "--one",
            workload,
            way,
        ]
        if options.home:
            command += ["--home", options.home]
        commands[way] = (command, environment)
    return interleaved(commands, options.rounds)


def serve(options: argparse.Namespace, workload: str, way: str) -> None:
    """One way in its process: a measurement for each line on stdin."""
    steps = {"plain": plain_steps, "one batch": one_batch_steps, "trainscope": trainscope_steps}[
        way.split(",")[0].removesuffix(" float32")
    ](options, workload, way)
    for _ in range(20):
        next(steps)
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(3):
            next(steps)
        images, began = 0, time.perf_counter()
        while time.perf_counter() - began < options.seconds:
            images += next(steps)
        print(json.dumps(images / (time.perf_counter() - began)), flush=True)


def configuration(options: argparse.Namespace, workload: str, way: str):
    from core.data.sets import prepare_store
    from core.recipes import recipe_named
    from core.running.prepare import measured
    from core.settings import changed
    from core.workspace import open_workspace

    changes = {"epochs": 100_000}
    if way.endswith("float32"):
        changes["precision"] = "float32"
    if workload.startswith("cifar10"):
        changes["data.dataset"] = options.cifar
    config = changed(recipe_named(workload).config, changes)
    store = prepare_store(open_workspace(options.home), config.data.dataset, config.preprocessing)
    return measured(config, store), store


def plain_steps(options: argparse.Namespace, workload: str, way: str):
    """The workload as its tutorial writes it. Yields the number of images of each step."""
    config, store = configuration(options, workload, way)
    yield from plain_loop(config, store, plain_network(config, store), num_workers=2 if way.endswith("2 workers") else 0)


def plain_network(config, store):
    import torch

    from core.models.network_spec import NetworkSpec

    torch.manual_seed(config.seed)
    return NetworkSpec(
        model=config.model, shape=store.meta.shape, class_names=store.meta.class_names, preprocessing=config.preprocessing
    ).build()


def plain_loop(config, store, network, num_workers: int = 0):
    """Endless epochs over the training split, without anything of ours but the network's class."""
    import torch
    from PIL import Image
    from torch import nn
    from torchvision import transforms

    transform = [transforms.ToTensor()]
    if any(config.preprocessing.mean):
        transform.append(transforms.Normalize(config.preprocessing.mean, config.preprocessing.std))
    transform = transforms.Compose(transform)
    first, end = store.meta.splits["train"]
    images, labels = torch.from_numpy(store.images[first:end].copy()), torch.from_numpy(store.labels[first:end])
    if images.shape[1] == 3:
        images = images.permute(0, 2, 3, 1).contiguous()

    class Images(torch.utils.data.Dataset):
        """As torchvision.datasets.MNIST and CIFAR10: an array in memory, a PIL image and the transform for each item."""

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int):
            array = images[index].numpy()
            image = Image.fromarray(array[0]) if array.shape[0] == 1 else Image.fromarray(array)
            return transform(image), int(labels[index])

    optimizer = torch.optim.SGD(network.parameters(), lr=config.optimizer.lr, momentum=config.optimizer.momentum)
    loss_fn = nn.CrossEntropyLoss()
    loader = torch.utils.data.DataLoader(Images(), batch_size=config.batch_size, shuffle=True, num_workers=num_workers)
    while True:
        network.train()
        for step, (batch, truth) in enumerate(loader):
            optimizer.zero_grad()
            loss = loss_fn(network(batch), truth)
            loss.backward()
            optimizer.step()
            if step % config.log_every == 0:
                loss.item()
            yield len(batch)


def trainscope_steps(options: argparse.Namespace, workload: str, way: str):
    import torch

    from core.models.network_spec import NetworkSpec
    from core.training.batches import load_training_data
    from core.training.device import choose_compute
    from core.training.loop import new_state, train
    from core.training.threads import threads_for

    config, store = configuration(options, workload, way)
    compute = choose_compute(config)
    torch.set_num_threads(threads_for(config.batch_size, store.meta.shape))
    torch.manual_seed(config.seed)
    spec = NetworkSpec(
        model=config.model, shape=store.meta.shape, class_names=store.meta.class_names, preprocessing=config.preprocessing
    )
    data = load_training_data(store, delivered(store, config), config, compute.device)
    state = new_state(config, spec.build(), compute.device)
    seen = 0
    for event in train(data, store.num_classes, state, compute):
        if event.kind == "tick" and state.examples > seen:
            yield state.examples - seen
            seen = state.examples


def one_batch_steps(options: argparse.Namespace, workload: str, way: str):
    """Nothing but the network's own arithmetic: the same batch again and again, with the means that Trainscope uses."""
    import torch
    from torch import nn

    from core.models.network_spec import NetworkSpec
    from core.training.batches import gather, load_training_data
    from core.training.device import choose_compute
    from core.training.loop import new_state

    config, store = configuration(options, workload, way)
    compute = choose_compute(config)
    torch.manual_seed(config.seed)
    spec = NetworkSpec(
        model=config.model, shape=store.meta.shape, class_names=store.meta.class_names, preprocessing=config.preprocessing
    )
    data = load_training_data(store, delivered(store, config), config, compute.device)
    state = new_state(config, spec.build(), compute.device)
    images, labels = gather(data, data.train[: config.batch_size], compute.dtype)
    loss_fn = nn.CrossEntropyLoss()
    state.model.train()
    while True:
        with torch.autocast("cpu", dtype=compute.dtype, enabled=compute.dtype != torch.float32):
            loss = loss_fn(state.model(images), labels)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        yield len(images)


if __name__ == "__main__":
    main()
