"""The older home of `plot_model`, for scripts that import it from here."""

from nnx.plotting import plot_model

__all__ = ["plot_model"]
