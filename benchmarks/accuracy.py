"""Test accuracy of the reference workloads: Trainscope against a plain loop with the same settings, over several seeds.

python -m benchmarks.accuracy [--home FOLDER] [--cifar FOLDER] [--seeds 2]
"""

import argparse
import statistics
import time

import torch

from benchmarks import delivered
from benchmarks.speed import configuration, plain_loop, plain_network
from core.settings import changed
from core.training.batches import load_training_data
from core.training.device import choose_compute
from core.training.evaluation import evaluate
from core.training.events import Evaluated
from core.training.loop import new_state, train
from core.training.threads import threads_for

WORKLOADS = {"mnist-first-cnn": 3, "cifar10-quick": 3, "cifar10-blitz": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default=None)
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10's name or an image folder of it")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    for workload, epochs in WORKLOADS.items():
        config, store = configuration(options, workload, "")
        accuracies = {"plain": [], "trainscope": []}
        for seed in range(1, options.seeds + 1):
            seeded = changed(config, {"seed": seed, "epochs": epochs})
            for way, run in (("plain", plain_accuracy), ("trainscope", trainscope_accuracy)):
                began = time.perf_counter()
                accuracies[way].append(run(seeded, store))
                print(
                    f"{workload} seed {seed} {way}: {accuracies[way][-1]:.2%} in {time.perf_counter() - began:.0f} s", flush=True
                )
        means = {way: statistics.mean(values) for way, values in accuracies.items()}
        print(f"{workload}, {epochs} epochs: plain {means['plain']:.2%}, trainscope {means['trainscope']:.2%}", flush=True)


def plain_accuracy(config, store) -> float:
    network = plain_network(config, store)
    first, end = store.meta.splits["train"]
    steps = plain_loop(config, store, network)
    images = 0
    while images < (end - first) * config.epochs:
        images += next(steps)
    return evaluated(config, store, network)


def evaluated(config, store, network) -> float:
    data = load_training_data(store, delivered(store, config), config, torch.device("cpu"))
    events = evaluate(network, data, 1000, store.num_classes, epoch=0, step=0, examples=0, seconds=0.0, split="test")
    return next(event.accuracy for event in events if isinstance(event, Evaluated))


def trainscope_accuracy(config, store) -> float:
    compute = choose_compute(config)
    torch.set_num_threads(threads_for(config.batch_size, store.meta.shape))
    data = load_training_data(store, delivered(store, config), config, compute.device)
    state = new_state(config, plain_network(config, store), compute.device)
    return [event.accuracy for event in train(data, store.num_classes, state, compute) if isinstance(event, Evaluated)][-1]


if __name__ == "__main__":
    main()
