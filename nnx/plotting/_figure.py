"""What the pictures share: a figure without pyplot, axes placed in inches, colours."""

from __future__ import annotations

import functools
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from nnx.file_targets import replacing
from nnx.lazy_loading import optional_import

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PathLike = str | os.PathLike[str]

DPI = 100
INK, FAINT, GRID = "#333333", "#8a8a8a", "#e8e8e8"
SMALL = 8.5  # points
LETTER = 5.2 / 72  # the width of a letter of that size, about, in inches


@functools.cache
def _figure_class() -> Any:
    base: Any = optional_import("matplotlib.figure", "plotting").Figure

    class Picture(base):  # type: ignore[misc]
        seen = False  # by a notebook

        def _repr_png_(self) -> bytes:  # a notebook shows it, also one that has never imported pyplot
            self.seen = True
            png = io.BytesIO()
            self.savefig(png, format="png")
            return png.getvalue()

    return Picture


def new_figure(width: float, height: float) -> Figure:
    """A white figure of that size in inches. ImportError, with what to install, without matplotlib."""
    figure: Figure = _figure_class()(figsize=(width, height), dpi=DPI, facecolor="white")
    return figure


def show_after_cell(figure: Figure) -> None:
    """Let a notebook show a figure below the cell that is running, unless the cell ends in it and so shows it.

    Elsewhere nothing happens.

    >>> from nnx.plotting import learning_curves
    >>> show_after_cell(learning_curves({"loss": [0.9, 0.5]}))
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return

    def show() -> None:
        shell.events.unregister("post_execute", show)
        if not getattr(figure, "seen", True):
            sys.modules["IPython.display"].display(figure)

    shell.events.register("post_execute", show)


def new_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in the figure, all in inches."""
    whole_width, whole_height = figure.get_size_inches()
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    return figure.add_axes(place, facecolor="white")


def frame(axes: Axes) -> None:
    """Turn axes into a picture: no ticks, a faint border."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set(color=GRID, linewidth=0.8, visible=True)


def finished(figure: Figure, path: PathLike | None, dpi: float = DPI, format: str | None = None) -> Figure:
    """Write the figure to the path, if there is one. format : by default what its suffix says."""
    if path is not None:
        if format is None and not os.path.splitext(path)[1]:  # then matplotlib appends a suffix
            format = figure.canvas.get_default_filetype()
            path = f"{os.fspath(path)}.{format}"
        with replacing(path) as new:
            figure.savefig(new, dpi=dpi, facecolor="white", format=format)
    return figure
