"""A layer, a chain or an input as the line of PyTorch that a person would write."""

from collections.abc import Sequence

from torch import nn

from core.data.sources.containers import readable
from core.layer_lab.chain import Step
from core.layer_lab.inputs import LabInput
from core.layers import Dropout, Dropout2d

# positional arguments of each, then what is named where it is not the usual
FIRST = {
    "Conv2d": ("in_channels", "out_channels", "kernel_size"),
    "MaxPool2d": ("kernel_size",),
    "AvgPool2d": ("kernel_size",),
    "AdaptiveAvgPool2d": ("output_size",),
    "BatchNorm2d": ("num_features",),
    "LeakyReLU": ("negative_slope",),
    "Softmax": (),
    "Dropout": ("p",),
    "Dropout2d": ("p",),
    "Linear": ("in_features", "out_features"),
}
USUAL = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "padding_mode": "zeros",
    "ceil_mode": False,
    "count_include_pad": True,
}


def line_of(module: nn.Module) -> str:
    """nn.Conv2d(1, 6, 5, stride=2): what is not written is PyTorch's default."""
    kind = type(module).__name__
    given = [str(_plain(getattr(module, name))) for name in FIRST.get(kind, ())]
    for name, usual in USUAL.items():
        if name == "stride" and isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            usual = _plain(module.kernel_size)
        value = _plain(getattr(module, name, usual))
        if value != usual:
            given.append(f"{name}={value!r}")
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is None:
        given.append("bias=False")
    if isinstance(module, nn.Softmax):
        given.append(f"dim={module.dim}")
    return f"nn.{kind}({', '.join(given)})"


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


def _plain(value: object) -> object:
    """(3, 3) as 3."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
