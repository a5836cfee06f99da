"""TensorBoard event files of a run, for those who want them: scalars, sample images and the network's graph."""

import copy
import logging
import warnings

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from core.runs.directory import Run
from core.runs.records import NUM_SAMPLES, spread
from core.training.batches import TrainingData, gather
from core.training.events import Evaluated, Event, StepLogged


class TensorBoardWriter:
    """Writes what the events say under the names that the reference workloads use: train_loss, test_loss, test_accuracy."""

    def __init__(self, run: Run, from_step: int) -> None:
        self.writer = SummaryWriter(run.tensorboard, purge_step=from_step or None, flush_secs=10)

    def add(self, event: Event) -> None:
        match event:
            case StepLogged():
                self.writer.add_scalar("train_loss", event.loss, event.step)
                self.writer.add_scalar("train_accuracy", event.accuracy, event.step)
                self.writer.add_scalar("learning_rate", event.lr, event.step)
            case Evaluated():
                self.writer.add_scalar(f"{event.split}_loss", event.loss, event.step)
                self.writer.add_scalar(f"{event.split}_accuracy", event.accuracy, event.step)

    def add_samples(self, data: TrainingData) -> None:
        chosen = data.evaluated[spread(len(data.evaluated), NUM_SAMPLES)].to(data.images.device)
        self.writer.add_images("sample_pictures", data.images[chosen].cpu(), 0)

    def add_graph(self, model: nn.Module, data: TrainingData) -> None:
        """The network's graph, of a copy on the CPU, where it can be traced; where not, worker.log says why."""
        images, _ = gather(data, data.evaluated[:1])
        try:
            with warnings.catch_warnings(), torch.inference_mode():
                warnings.simplefilter("ignore")
                self.writer.add_graph(copy.deepcopy(model).cpu().eval(), images.cpu())
        except Exception as error:  # tracing fails in many ways, and none of them is worth a training
            logging.warning("The network's graph could not be traced for TensorBoard: %s", error)

    def close(self) -> None:
        self.writer.close()
