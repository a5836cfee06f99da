"""What random changes cost: cifar10-quick trained with none, with the usual ones, and with all there are.

    python -m benchmarks.augmentation [--home FOLDER] [--cifar NAME] [--rounds 7] [--seconds 2] [--precision auto] [--threads 0]

Each way runs Trainscope's own loop in a process of its own, in the environment that it has in practice; the ways take turns,
round by round, so that a noisy machine is equally unfair to all. The cost is by how much longer an epoch takes than without.
"""

import argparse
import json
import statistics
import sys
import time

from benchmarks import interleaved

JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
WAYS = {
    "none": {},
    "shift 4, mirror": {"shift_px": 4, "flip": True},
    "shift 4, mirror, erase 8": {"shift_px": 4, "flip": True, "erase_px": 8},
    "shift 4, mirror, colours": {"shift_px": 4, "flip": True, **JITTER},
    "rotate, scale, shift, mirror": {"shift_px": 4, "flip": True, "rotate_deg": 15, "scale": 0.1},
    "crop, mirror, colours": {"crop_area": 0.3, "flip": True, **JITTER, "grey_probability": 0.1},
    "everything": {
        "shift_px": 4,
        "flip": True,
        "rotate_deg": 15,
        "scale": 0.1,
        "erase_px": 8,
        "crop_area": 0.5,
        "flip_vertical": True,
        **JITTER,
        "grey_probability": 0.1,
        "invert_probability": 0.1,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default=None, help="the workspace")
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10's name or an image folder of it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=0, help="0: as a run would choose; 1 on a machine that others use too")
    parser.add_argument("--one", metavar="WAY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        serve(options)
        return
    speeds = measure(options)
    print(
        f"cifar10-quick, {options.precision} precision: images per second, median of {options.rounds} rounds of {options.seconds:g} s"
    )
    for way, values in speeds.items():
        costs = [100 * (plain / value - 1) for plain, value in zip(speeds["none"], values, strict=True)]
        spread = f"(rounds {min(costs):+.0f} to {max(costs):+.0f} %)" if way != "none" else ""
        print(f"  {way:30} {statistics.median(values):>7,.0f}   cost {statistics.median(costs):5.1f} %  {spread}")


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    commands = {}
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.augmentation", "--cifar", options.cifar, "--seconds", str(options.seconds)]
        command += [
            "--precision",
            options.precision,
            "--threads",
            str(options.threads),
            "--one",
            way,
            *(["--home", options.home] if options.home else []),
        ]
        commands[way] = (command, {"GOMP_SPINCOUNT": "10000"})
    return interleaved(commands, options.rounds)


def serve(options: argparse.Namespace) -> None:
    """One way in its process: a measurement for each line on stdin."""
    steps = training_steps(options)
    for _ in range(20):
        next(steps)
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(12):  # a chunk of batches is changed at once: begin anywhere in one
            next(steps)
        images, began = 0, time.perf_counter()
        while time.perf_counter() - began < options.seconds:
            images += next(steps)
        print(json.dumps(images / (time.perf_counter() - began)), flush=True)


def training_steps(options: argparse.Namespace):
    """Endless training; yields the number of images of each step."""
    import torch

    from core.data.sets import divide, prepare_store
    from core.models.network_spec import NetworkSpec
    from core.recipes import recipe_named
    from core.running.prepare import measured
    from core.settings import changed
    from core.training.batches import load_training_data
    from core.training.device import choose_compute
    from core.training.loop import new_state, train
    from core.training.threads import threads_for
    from core.workspace import open_workspace

    workspace = open_workspace(options.home)
    changes = {"epochs": 100_000, "data.dataset": options.cifar, "precision": options.precision}
    config = changed(
        recipe_named("cifar10-quick").config, changes | {f"augmentation.{name}": v for name, v in WAYS[options.one].items()}
    )
    store = prepare_store(workspace, config.data.dataset, config.preprocessing)
    config = measured(config, store)
    compute = choose_compute(config)
    torch.set_num_threads(options.threads or threads_for(config.batch_size, store.meta.shape))
    torch.manual_seed(config.seed)
    spec = NetworkSpec(
        model=config.model, shape=store.meta.shape, class_names=store.meta.class_names, preprocessing=config.preprocessing
    )
    data = load_training_data(store, divide(workspace, store, config.data), config, compute.device)
    state = new_state(config, spec.build(), compute.device)
    seen = 0
    for event in train(data, store.num_classes, state, compute):
        if event.kind == "tick" and state.examples > seen:
            yield state.examples - seen
            seen = state.examples


if __name__ == "__main__":
    main()
