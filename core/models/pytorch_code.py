"""A layer as the line of PyTorch that a person would write."""

from torch import nn

# positional arguments of each, then what is named where it is not the usual
FIRST = {
    "Conv2d": ("in_channels", "out_channels", "kernel_size"),
    "MaxPool2d": ("kernel_size",),
    "AvgPool2d": ("kernel_size",),
    "AdaptiveAvgPool2d": ("output_size",),
    "AdaptiveMaxPool2d": ("output_size",),
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


def _plain(value: object) -> object:
    """(3, 3) as 3."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
