"""The forms in which a checkpoint alone is handed out, by the ending of the file."""

from collections.abc import Callable
from typing import BinaryIO

from core.export.traced import write_onnx, write_pt2
from core.export.weights import write_safetensors, write_state_dict_pt
from core.runs.checkpoints import Checkpoint

WRITERS: dict[str, Callable[[Checkpoint, BinaryIO], None]] = {
    "pt": write_state_dict_pt,
    "safetensors": write_safetensors,
    "pt2": write_pt2,
    "onnx": write_onnx,
}
BUNDLE = ".bundle.zip"  # how the name of one ends, after that of its checkpoint
