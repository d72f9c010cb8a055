"""Backend for PyTorch: tensors as plain arrays, without autograd. A second real library guards the portable code."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array, Backend, Namespace, register_backend


class TorchBackend(Backend):
    """PyTorch on the host or on CUDA devices, which its tensors name."""

    name = "torch"
    module = "torch"
    install = "pip install torch"

    def load(self) -> Namespace:
        import array_api_compat.torch as xp

        return xp

    def devices(self) -> list[str]:
        import torch

        return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]

    def hardware(self, device: str | None) -> str:
        import torch

        place = self.device(device)
        if place.type != "cuda":
            return super().hardware(device)
        return f"{torch.cuda.get_device_name(place)}, runtime {torch.version.cuda}"

    def device(self, name: str | None) -> Any:
        import torch

        super().device(name)
        return torch.device(name or "cpu")

    def synchronize(self, device: str | None) -> None:
        import torch

        place = self.device(device)
        if place.type == "cuda":
            torch.cuda.synchronize(place)

    def is_on_host(self, array: Array) -> bool:
        return bool(array.device.type == "cpu")

    def from_host(self, array: np.ndarray, *, device: str | None = None) -> Array:
        return _copy(array, self.device(device))

    def put_beside(self, like: Array, array: np.ndarray) -> Array:
        return _copy(array, like.device)

    def to_host(self, array: Array) -> np.ndarray:
        import torch

        array = array.detach().cpu()
        if array.layout != torch.strided:
            raise ValueError(f"expected an array, got a sparse tensor ({array.layout}); write x.to_dense()")
        if array.is_floating_point() and array.dtype not in (torch.float16, torch.float32, torch.float64):
            array = array.to(torch.float32)  # bfloat16 and the like, which NumPy does not have, without a loss
        host: np.ndarray = array.resolve_conj().resolve_neg().numpy()
        return host


def _copy(array: np.ndarray, device: Any) -> Array:
    import torch

    return torch.tensor(np.asarray(array, order="C"), device=device)  # it refuses negative strides


register_backend(TorchBackend())
