"""Where and how exactly the arithmetic is done, with the reason in words."""

from dataclasses import dataclass

import torch

from core.config import TrainConfig
from core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Compute:
    device: torch.device
    device_reason: str
    dtype: torch.dtype  # of the forward and backward pass; weights stay float32
    precision_reason: str

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_compute(config: TrainConfig) -> Compute:
    """Device and precision for a configuration. Raises InputError if the device asked for is not there."""
    device, device_reason = choose_device(config.device)
    dtype, precision_reason = _precision(config.precision, config.batch_size, device)
    return Compute(device=device, device_reason=device_reason, dtype=dtype, precision_reason=precision_reason)


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """The device, and why it. Raises InputError if the one asked for is not there."""
    has_cuda = torch.cuda.is_available()
    has_mps = torch.backends.mps.is_available()
    if wanted == "cuda" and not has_cuda:
        raise InputError("device: found cuda, but PyTorch sees no NVIDIA GPU here.", code="config", hint="Choose auto or cpu.")
    if wanted == "mps" and not has_mps:
        raise InputError(
            "device: found mps, but this is not a Mac with a GPU that PyTorch can use.",
            code="config",
            hint="Choose auto or cpu.",
        )
    if wanted == "auto":
        if has_cuda:
            return torch.device("cuda"), f"A GPU was found: {torch.cuda.get_device_name()}."
        if has_mps:
            return torch.device("mps"), "This Mac's GPU was found."
        return torch.device("cpu"), "No GPU was found."
    return torch.device(wanted), "Chosen in the settings."


def _precision(wanted: str, batch_size: int, device: torch.device) -> tuple[torch.dtype, str]:
    if wanted != "auto":
        return getattr(torch, wanted), "Chosen in the settings."
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "This GPU has bfloat16 instructions."
        return torch.float32, "This GPU has no bfloat16 instructions."
    if device.type == "cpu":
        if not cpu_has_bfloat16():
            return torch.float32, "This processor has no bfloat16 instructions."
        if batch_size < 16:
            return torch.float32, "At so small a batch bfloat16 gains nothing."
        return torch.bfloat16, "This processor has bfloat16 instructions."
    return torch.float32, "The safe choice on this device."


def cpu_has_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
