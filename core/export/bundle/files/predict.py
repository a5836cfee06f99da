"""What the network says of images:

    python predict.py [--json] [--top-k K] FILE…

From Python:

    from predict import Predictor
    answer = Predictor()("image.jpg")   # or the bytes of a image
    answer["classes"][0]                  # {"class": "cat", "probability": 0.97}

Raises InputError for what is no image.
"""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from model import build, normalise
from preprocessing import InputError, decode_image, prepare
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent


class Predictor:
    """The network with all that belongs to its answers. Raises InputError for what is no image."""

    def __init__(self, folder: Path = HERE) -> None:
        about = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
        self.class_names: list[str] = about["class_names"]
        self.temperature, self.threshold = about["temperature"], about["threshold"]
        self.shape = about["shape"]  # (C, H, W) that the network takes
        self.preprocessing = SimpleNamespace(**json.loads((folder / "preprocessing.json").read_text(encoding="utf-8")))
        network = build()
        network.load_state_dict(load_file(folder / "weights.safetensors"))
        self.network = network.eval().to(memory_format=torch.channels_last)

    def probabilities(self, image: bytes | str | Path) -> tuple[torch.Tensor, str]:
        """(K,) float32 that sum to 1, and what was done to the image."""
        channels, *size_px = self.shape
        source = image if isinstance(image, bytes) else Path(image)
        pixels, done = prepare(decode_image(source), self.preprocessing, channels, tuple(size_px))
        mean, std = torch.tensor(self.preprocessing.mean), torch.tensor(self.preprocessing.std)
        with torch.inference_mode():
            logits = self.network(normalise(torch.from_numpy(pixels)[None], mean, std))
        return (logits[0].float() / self.temperature).softmax(dim=0), done

    def __call__(self, image: bytes | str | Path, top_k: int = 0) -> dict[str, Any]:
        """The classes with their probabilities, the likeliest first; all of them, or the top_k likeliest."""
        found, done = self.probabilities(image)
        order = torch.argsort(found, descending=True, stable=True)[: top_k or None].tolist()
        classes = [{"class": self.class_names[i], "probability": float(found[i])} for i in order]
        return {"classes": classes, "is_sure": float(found.max()) >= self.threshold, "prepared": done}


def main() -> int:
    parser = argparse.ArgumentParser(description="What the network says of images.")
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--json", action="store_true", help="one JSON document with all classes")
    parser.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="classes to report for each image (default 5; with --json all)"
    )
    options = parser.parse_args()
    predictor = Predictor()
    top_k = options.top_k or (0 if options.json else 5)
    rows: list[dict[str, Any]] = []
    for file in options.files:
        try:
            rows.append({"file": file, **predictor(file, top_k)})
        except InputError as error:
            rows.append({"file": file, "error": error.message})
    if options.json:
        json.dump({"pictures": rows}, sys.stdout, ensure_ascii=False, indent=2)
        print()
    else:
        for row in rows:
            print(f"{row['file']}: {row['error'] if 'error' in row else in_words(row)}")
    return 1 if all("error" in row for row in rows) else 0


def in_words(answer: dict[str, Any]) -> str:
    doubt = "" if answer["is_sure"] else "not sure; "
    return doubt + ", ".join(f"{c['class']} {100 * c['probability']:.1f} %" for c in answer["classes"])


if __name__ == "__main__":
    sys.exit(main())
