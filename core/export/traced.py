"""A network as one graph for other programs: torch.export's file and ONNX, with normalisation, temperature and softmax inside.

Input "pixels": (N, C, H, W) float32, 0 to 255, any N. Output "probabilities": (N, K).
"""

import contextlib
import io
import json
import logging
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from core.data.transforms.preprocessing import normalise
from core.errors import InputError
from core.models.network_spec import NetworkSpec
from core.runs.calibration import calibration_of
from core.runs.checkpoints import Checkpoint, load_network

MOST_DIFFERENT = 1e-5  # of a probability
DYNAMIC = ({0: torch.export.Dim("n", min=1)},)


class _Answering(nn.Module):
    """From pixels to probabilities."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, spec: NetworkSpec, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
        self.register_buffer("scale", (1 / (255 * std)).view(1, -1, 1, 1))
        self.register_buffer("shift", (mean / std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return (self.network(pixels * self.scale - self.shift) / self.temperature).softmax(dim=1)


def write_pt2(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """For torch.export.load; what belongs to the answers is its extra file "about.json". Raises InputError if the checkpoint is damaged."""
    program, about = _exported(checkpoint)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={"about.json": json.dumps(about)})
    content.seek(0)
    again = torch.export.load(content).module()
    _compare(checkpoint, lambda pixels: again(pixels).detach().numpy())
    file.write(content.getvalue())


def write_onnx(checkpoint: Checkpoint, file: BinaryIO) -> None:
    """Weights inside, what belongs to the answers in its metadata. Raises InputError if the checkpoint is damaged."""
    program, about = _exported(checkpoint)
    with _quiet():
        made = torch.onnx.export(program, dynamo=True, input_names=["pixels"], output_names=["probabilities"], verbose=False)
    assert made is not None
    made.model.metadata_props.update(
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
    )
    content = made.model_proto.SerializeToString()
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _compare(checkpoint, lambda pixels: np.asarray(session.run(["probabilities"], {"pixels": pixels.numpy()})[0]))
    file.write(content)


def _compare(checkpoint: Checkpoint, answer: Callable[[Tensor], np.ndarray]) -> None:
    """Raises InputError where what was made answers otherwise than the network, on noise, of one image and of several."""
    network, spec = load_network(checkpoint)
    mean, std = torch.tensor(spec.preprocessing.mean), torch.tensor(spec.preprocessing.std)
    for count in (1, 3):
        pixels = torch.randint(0, 256, (count, *spec.shape), generator=torch.Generator().manual_seed(count)).float()
        with torch.inference_mode():
            logits = network.eval()(normalise(pixels, mean, std)) / calibration_of(checkpoint).temperature
        difference = float(np.abs(answer(pixels) - logits.softmax(dim=1).numpy()).max())
        if not difference <= MOST_DIFFERENT:
            raise InputError(
                f"The file does not answer as the app does: probabilities differ by {difference:.1e}, expected {MOST_DIFFERENT:.0e} at most.",
                code="parity",
                hint="It is not handed out.",
            )


def _exported(checkpoint: Checkpoint) -> tuple[torch.export.ExportedProgram, dict[str, Any]]:
    network, spec = load_network(checkpoint)
    calibration = calibration_of(checkpoint)
    answering = _Answering(network.eval(), spec, calibration.temperature).eval()
    with _quiet(), torch.no_grad():
        program = torch.export.export(answering, (torch.zeros(2, *spec.shape),), dynamic_shapes=DYNAMIC)
    about = {
        "class_names": list(spec.class_names),
        "temperature": calibration.temperature,
        "threshold": calibration.threshold,
        "preprocessing": spec.preprocessing.model_dump(mode="json"),
        "input": "pixels: N x C x H x W float32, 0 to 255; brought to this size as preprocessing says",
        "output": "probabilities: N x classes",
    }
    return program, about


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporters tell their steps."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
