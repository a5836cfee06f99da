"""A chain of layers and its input as the program that a person would write."""

from collections.abc import Sequence

from torch import nn

from core.data.sources.containers import readable
from core.layer_lab.chain import Step
from core.layer_lab.inputs import LabInput
from core.layers import Dropout, Dropout2d
from core.models.pytorch_code import line_of


def code_of(given: LabInput, steps: Sequence[Step]) -> str:
    """A short program: the input, the layers in a row, and the shape of what comes out."""
    lines = ["import torch", "from torch import nn"]
    if "ToTensor" in given.code:
        lines += ["from PIL import Image", "from torchvision.transforms import ToTensor", "", 'image = Image.open("image.png")']
    else:
        lines += [""]
    lines += [f"x = {given.code}"]
    lines += ["network = nn.Sequential(", *(f"    {line_of(step.module)}," for step in steps), ")"]
    for step in steps:
        lines += _weights_of(step)
    if drawing := next((step for step in steps if isinstance(step.row.layer, Dropout | Dropout2d)), None):
        lines += [f"torch.manual_seed({drawing.row.weights.seed})"]
    return "\n".join([*lines, "y = network(x)", "print(y.shape)"])


def _weights_of(step: Step) -> list[str]:
    """The lines that give a layer of the network its weights."""
    weights, at, module = step.row.weights, f"network[{step.number - 1}]", step.module
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return []
    if isinstance(module, nn.Linear) or weights.kind == "random":
        return [f"torch.manual_seed({weights.seed})", f"{at}.reset_parameters()"]
    if weights.kind == "run":
        return [f"# {at} has the weights of the run's layer {readable(weights.layer)}"]
    kernel = module.weight[0, 0].tolist()
    lines = [f"{at}.weight.data[:] = torch.tensor({kernel})"]
    return lines if module.bias is None else [*lines, f"{at}.bias.data[:] = {weights.bias:g}"]
