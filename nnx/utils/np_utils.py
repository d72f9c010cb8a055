"""The older home of `to_categorical` and `normalize`, for scripts that import them from here."""

from nnx.utils.numerical import normalize, to_categorical

__all__ = ["normalize", "to_categorical"]
