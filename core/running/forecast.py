"""How long a training will about take: a few steps of the very network, timed here and now."""

import time
from functools import lru_cache

import torch

from core.config import ModelConfig, Optimizer
from core.models.catalogue import build_model
from core.running.plan import Plan
from core.training.optimizers import build_optimizer
from core.training.threads import threads_for

MEASURE_S = 0.25
MOST_PIXELS = 65_536  # measured at once; larger batches are extrapolated
MOST_PARAMETERS = 20_000_000  # the measurement runs in the web server: a moment, or not at all
FURTHER_THREAD = 0.6  # what each one adds; measuring it would ask for cores that others may be using
EVALUATION_SHARE = 0.5  # a float32 forward pass costs about half a bfloat16 training step


def forecast_s(plan: Plan) -> float | None:
    """Seconds for the whole training, evaluations included; None where that can't be told in a moment (another device
    than the CPU, a very large network)."""
    config, (_, height, width) = plan.config, plan.dataset.shape
    if plan.compute.device.type != "cpu" or plan.model.num_parameters > MOST_PARAMETERS:
        return None
    images = max(2, min(config.batch_size, MOST_PIXELS // (height * width)))
    kind = type(config.optimizer)()  # whatever its learning rate, a step takes as long
    about = plan.dataset.shape, plan.dataset.num_classes, images, plan.compute.dtype
    step_s = _step_s(config.model, kind, *about)  # pyright: ignore[reportArgumentType] sections are frozen, so they have a hash
    threads = config.threads or threads_for(config.batch_size, plan.dataset.shape)
    evaluated = plan.num_evaluated * (config.epochs + 1) * EVALUATION_SHARE
    return step_s / images / (1 + FURTHER_THREAD * (threads - 1)) * (plan.num_train * config.epochs + evaluated)


@lru_cache(maxsize=64)
def _step_s(
    model_config: ModelConfig,
    optimizer_config: Optimizer,
    shape: tuple[int, int, int],
    num_classes: int,
    num_samples: int,
    dtype: torch.dtype,
) -> float:
    """Seconds of one training step on made-up images on one thread, the median of as many as fit into a moment."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            model = build_model(model_config, shape, num_classes).to(memory_format=torch.channels_last)
            images = torch.rand(num_samples, *shape).to(memory_format=torch.channels_last)
            labels = torch.arange(num_samples) % num_classes
            optimizer = build_optimizer(optimizer_config, model)
            times: list[float] = []
            while len(times) < 3 or sum(times) < MEASURE_S:
                start = time.perf_counter()
                with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                    loss = torch.nn.functional.cross_entropy(model(images), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return sorted(times)[len(times) // 2]
