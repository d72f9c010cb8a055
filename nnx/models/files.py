"""What a model writes to files and reads from them."""

from __future__ import annotations

from typing import Any

from nnx import saving


class Files:
    """The part of a model that saves and loads."""

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the whole model to one safetensors file; see `nnx.saving.save_model`."""
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the parameters to a safetensors file."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Read parameters from a safetensors file; see `nnx.saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch)
