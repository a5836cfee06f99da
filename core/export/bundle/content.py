"""What lies in a bundle, file by file."""

import json
from importlib.metadata import version
from pathlib import Path

from core.config import CatalogueNetwork
from core.data.sources.decoding import decode_image
from core.data.transforms.preprocessing import prepare
from core.errors import InputError
from core.export.bundle.carried import carried
from core.export.bundle.network_source import network_source
from core.export.weights import WEIGHTS
from core.models.catalogue import MODELS
from core.models.network_spec import NetworkSpec
from core.runs.calibration import calibration_of
from core.runs.checkpoints import Checkpoint, read_file

FILES = Path(__file__).parent / "files"
PREPARED_BY = (
    "How a image becomes what the network takes: the very code that Trainscope runs. preprocessing.json has the settings."
)


def program_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    """All that it takes to predict, by file name. Raises InputError if the checkpoint is damaged, or has an old network description."""
    spec = NetworkSpec.model_validate_json(read_file(checkpoint, "network.json"))
    if spec.preprocessing.mean is None or spec.preprocessing.std is None:
        raise InputError("The checkpoint does not say how images are normalised.", code="checkpoint", hint="Choose another one.")
    calibration = calibration_of(checkpoint)
    answers = {
        "class_names": spec.class_names,
        "shape": spec.shape,
        "temperature": calibration.temperature,
        "threshold": calibration.threshold,
        "run": checkpoint.path.parent.parent.name,
        "checkpoint": checkpoint.name,
    }
    texts = {
        "model.py": network_source(spec),
        "preprocessing.py": carried(InputError, decode_image, prepare, doc=PREPARED_BY),
        "preprocessing.json": _as_json(spec.preprocessing.model_dump(mode="json")),
        "answers.json": _as_json(answers),
        "predict.py": (FILES / "predict.py").read_text(encoding="utf-8"),
        "serve.py": (FILES / "serve.py").read_text(encoding="utf-8"),
        "requirements.txt": _requirements(spec),
    }
    return {name: text.encode() for name, text in texts.items()} | {WEIGHTS: read_file(checkpoint, WEIGHTS)}


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _requirements(spec: NetworkSpec) -> str:
    """Exact versions: those with which the answers were compared."""
    is_torchvisions = isinstance(spec.model, CatalogueNetwork) and MODELS[spec.model.name].family is not None
    names = ["torch", *(["torchvision"] if is_torchvisions else []), "numpy", "pillow", "safetensors"]
    return "".join(f"{name}=={version(name).partition('+')[0]}\n" for name in names)
