"""Learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nnx.backends import to_numpy
from nnx.lazy_loading import optional_import
from nnx.metrics.displayed_results import as_number
from nnx.plotting._figure import FAINT, GRID, INK, LETTER, SMALL, PathLike, finished, new_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f5f8b", "#c8553d", "#4f8a4c", "#8a5a83", "#b98a1d", "#5f6b73")
_LEFT, _WIDTH, _HEIGHT = 0.65, 3.6, 2.35  # inches, of the axes


def learning_curves(history: Any, path: PathLike | None = None, ax: Axes | None = None) -> Figure:
    """The losses of a training, and beside them its metrics, over the epochs.

    history : what `fit` returns, or its dictionary of lists. `val_` curves are dashed, in the colour of the curve that
        they belong to. The learning rate, if recorded, has axes of its own. Each curve is labelled with its last value.
    path : where to write the picture, as PNG or whatever else its suffix says; by default nowhere.

    ax : axes of one's own to draw all curves in, which are then labelled with a legend; returns their figure.

    A curve with fewer values than epochs, as `validation_freq` makes them, is drawn at every second, third, ... epoch.

    >>> figure = learning_curves({"loss": [0.9, 0.5, 0.3], "val_loss": [0.8, 0.6, 0.5]})
    """
    curves, epochs = _curves(history)
    if ax is not None:
        _plot_curves(ax, curves, epochs)
        ax.legend(fontsize=SMALL, frameon=False)
        return finished(cast("Figure", ax.figure), path)
    names: dict[str, list[str]] = {"loss": [], "metrics": [], "learning rate": []}
    for name in curves:
        names[_panel(name)].append(name)
    panels = {title: {name: curves[name] for name in members} for title, members in names.items() if members}
    margins = [max(len(_label(*curve)) for curve in members.items()) * LETTER + 0.15 for members in panels.values()]
    figure = new_figure(sum(_LEFT + _WIDTH + margin for margin in margins), 0.55 + _HEIGHT + 0.4)
    left = _LEFT
    for (title, members), margin in zip(panels.items(), margins, strict=True):
        axes = new_axes(figure, left, 0.55, _WIDTH, _HEIGHT)
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
        _draw_curves(axes, members, epochs)
        left += _WIDTH + margin + _LEFT
    return finished(figure, path)


def _curves(history: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The recorded values by name, as float64, and the numbers of the epochs, from 1."""
    record = history if isinstance(history, Mapping) else getattr(history, "history", None)
    if not isinstance(record, Mapping):
        raise TypeError(f"history must be what fit returns, or a dictionary of lists, got {type(history).__name__}")
    curves = {}
    for name, values in record.items():
        heights = [math.nan if value is None else as_number(to_numpy(value)) for value in values]
        if heights and None not in heights:  # a table of numbers has no curve
            curves[str(name)] = np.array(heights, dtype=np.float64)
    if not curves:
        raise ValueError("history is empty: there is nothing to draw before fit has completed an epoch")
    epochs = np.arange(1, 1 + max(map(len, curves.values())))
    numbers = getattr(history, "epoch", ())
    return curves, np.asarray(numbers) + 1 if len(numbers) == len(epochs) else epochs


def _panel(name: str) -> str:
    if name in ("lr", "learning_rate"):
        return "learning rate"
    return "loss" if name.endswith("loss") else "metrics"


def _label(name: str, values: np.ndarray) -> str:
    return f"{name}  {values[-1]:.4g}"


def _draw_curves(axes: Axes, curves: dict[str, np.ndarray], epochs: np.ndarray) -> None:
    _plot_curves(axes, curves, epochs)
    axes.set_xlim(*((epochs[0] - 0.5, epochs[0] + 0.5) if len(epochs) == 1 else (epochs[0], epochs[-1])))
    _label_curves(axes, curves)


def _plot_curves(axes: Axes, curves: dict[str, np.ndarray], epochs: np.ndarray) -> None:
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    for name, values in curves.items():
        step = len(epochs) // len(values)
        validation = name.startswith("val_")
        axes.plot(
            epochs[step - 1 :: step][: len(values)],
            values,
            label=name,
            color=COLOURS[bases.index(name.removeprefix("val_")) % len(COLOURS)],
            linestyle="--" if validation else "-",
            linewidth=1.6,
            marker="o" if len(values) == 1 else None,  # a line through one point cannot be seen
            markerfacecolor="white" if validation else None,
        )
    _style(axes)


def _style(axes: Axes) -> None:
    ticker = optional_import("matplotlib.ticker", "plotting")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=SMALL, color=INK)
    axes.margins(y=0.08)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(labelsize=SMALL, color=FAINT, labelcolor=INK, length=3)
    axes.tick_params(axis="y", length=0)


def _label_curves(axes: Axes, curves: dict[str, np.ndarray]) -> None:
    """Write each curve's name and last value at its right end, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    heights = [(_last(values) - low) / (high - low) for values in curves.values()]
    for line, height in zip(axes.lines, _spread(heights, gap=0.16 / _HEIGHT), strict=True):
        name = str(line.get_label())
        axes.annotate(
            _label(name, curves[name]),
            xy=(1.0, height),
            xycoords="axes fraction",
            xytext=(7, 0),
            textcoords="offset points",
            fontsize=SMALL,
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )


def _last(values: np.ndarray) -> float:
    """The last finite value; 0 if there is none."""
    return float(values[np.isfinite(values)][-1:].sum())


def _spread(heights: list[float], gap: float) -> list[float]:
    """Heights moved as little as makes them `gap` apart, in the same order.

    Those that are too close become a group around the mean of its members (isotonic regression, pool adjacent
    violators).
    """
    groups: list[list[int]] = []

    def bottom(group: list[int]) -> float:
        return sum(heights[i] for i in group) / len(group) - gap * (len(group) - 1) / 2

    for i in sorted(range(len(heights)), key=heights.__getitem__):
        group = [i]
        while groups and bottom(group) < bottom(groups[-1]) + gap * len(groups[-1]):
            group = groups.pop() + group
        groups.append(group)
    places = {i: bottom(group) + gap * k for group in groups for k, i in enumerate(group)}
    return [places[i] for i in range(len(heights))]
