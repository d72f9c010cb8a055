"""Pictures: what is drawn where, and that a file is written."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import plotting

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")

HISTORY = {
    "accuracy": [0.5, 0.7, 0.8],
    "loss": [1.5, 0.9, 0.7],
    "val_accuracy": [0.4, 0.6, 0.7],
    "val_loss": [1.6, 1.0, 0.9],
}


def assert_png(path: Path, figure: Any) -> None:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    size = struct.unpack(">2I", content[16:24])
    np.testing.assert_allclose(size, figure.get_size_inches() * 100, atol=1)


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines}


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


# Learning curves


def test_losses_and_metrics_have_axes_of_their_own(tmp_path):
    figure = plotting.learning_curves(HISTORY, tmp_path / "curves.png")
    losses, metrics = figure.axes
    assert losses.get_title(loc="left") == "loss"
    assert metrics.get_title(loc="left") == "metrics"
    assert list(lines(losses)) == ["loss", "val_loss"]
    assert list(lines(metrics)) == ["accuracy", "val_accuracy"]
    for axes in figure.axes:
        for name, line in lines(axes).items():
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), HISTORY[name])
    assert_png(tmp_path / "curves.png", figure)


def test_validation_is_dashed_in_the_same_colour():
    metrics = lines(plotting.learning_curves({**HISTORY, "precision": [0.1, 0.2, 0.3]}).axes[1])
    assert metrics["val_accuracy"].get_color() == metrics["accuracy"].get_color() != metrics["precision"].get_color()
    assert metrics["accuracy"].get_linestyle() == "-"
    assert metrics["val_accuracy"].get_linestyle() == "--"


def test_curves_are_labelled_with_their_last_value_inside_the_picture():
    figure = plotting.learning_curves(HISTORY)
    assert texts(figure.axes[0]) == ["loss  0.7", "val_loss  0.9"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    assert all(figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1) for box in boxes)


def test_labels_that_would_overlap_are_moved_apart():
    history = {f"metric_{i}": [0.0, 0.5 + 1e-4 * i] for i in (3, 0, 2, 1)} | {"far": [0.0, 0.1]}
    figure = plotting.learning_curves(history)
    figure.draw_without_rendering()
    boxes = {text.get_text().split()[0]: text.get_window_extent() for text in figure.axes[0].texts}
    order = [boxes[name] for name in ("far", "metric_0", "metric_1", "metric_2", "metric_3")]
    assert all(low.y1 < high.y0 for low, high in itertools.pairwise(order))


def test_ticks_are_whole_epochs():
    for count in (2, 3, 7, 500):
        axes = plotting.learning_curves({"loss": np.linspace(1.0, 0.0, count)}).axes[0]
        ticks = axes.get_xticks()
        np.testing.assert_array_equal(ticks, np.round(ticks))
        assert axes.get_xlim() == (1, count)


def test_one_epoch_is_drawn_as_markers():
    figure = plotting.learning_curves({name: values[:1] for name, values in HISTORY.items()})
    for axes in figure.axes:
        assert all(line.get_marker() == "o" for line in axes.lines)
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert plotting.learning_curves(HISTORY).axes[0].lines[0].get_marker() == "None"


def test_takes_a_history_object_and_its_epochs():
    history = types.SimpleNamespace(history=HISTORY, epoch=[4, 5, 6])
    np.testing.assert_array_equal(plotting.learning_curves(history).axes[0].lines[0].get_xdata(), [5, 6, 7])


def test_values_may_be_arrays_of_any_backend(backend):
    history = {"loss": [backend.asarray(value) for value in (2.0, 1.0)]}
    np.testing.assert_array_equal(plotting.learning_curves(history).axes[0].lines[0].get_ydata(), [2.0, 1.0])


def test_validation_every_second_epoch():
    history = {"loss": [5.0, 4.0, 3.0, 2.0, 1.0], "val_loss": [4.5, 2.5]}
    np.testing.assert_array_equal(lines(plotting.learning_curves(history).axes[0])["val_loss"].get_xdata(), [2, 4])


def test_the_learning_rate_has_axes_of_its_own():
    figure = plotting.learning_curves({**HISTORY, "learning_rate": [0.1, 0.1, 0.01]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "metrics", "learning rate"]
    assert list(lines(figure.axes[2])) == ["learning_rate"]


@pytest.mark.parametrize("values", [[1.0, float("nan"), None], [float("nan")] * 3, [float("inf")] * 3])
def test_a_loss_that_is_no_number_is_drawn_as_far_as_it_is_one(values, tmp_path):
    figure = plotting.learning_curves({"loss": values}, tmp_path / "curves.png")
    assert texts(figure.axes[0]) == [f"loss  {float('nan') if values[-1] is None else values[-1]:.4g}"]
    assert_png(tmp_path / "curves.png", figure)


@pytest.mark.parametrize("history", [{}, {"loss": []}, types.SimpleNamespace(history={}, epoch=[])])
def test_an_empty_history_says_so(history):
    with pytest.raises(ValueError, match="history is empty"):
        plotting.learning_curves(history)


def test_something_else_than_a_history_says_so():
    with pytest.raises(TypeError, match="history must be what fit returns, or a dictionary of lists, got list"):
        plotting.learning_curves([1.0, 0.5])


# Images


def test_images_stand_in_a_grid_on_one_scale(tmp_path):
    pixels = np.arange(6 * 4 * 5, dtype=np.float32).reshape(6, 4, 5)
    figure = plotting.images(pixels, titles=range(6), path=tmp_path / "images.png")
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes] == ["0", "1", "2", "3", "4", "5"]
    for axes, expected in zip(figure.axes, pixels, strict=True):
        (shown,) = axes.images
        np.testing.assert_array_equal(shown.get_array(), expected)
        assert shown.get_clim() == (0.0, 119.0)
        assert shown.get_cmap().name == "gray_r"
    assert len({round(axes.get_position().y0, 6) for axes in figure.axes}) == 2
    box = figure.axes[0].get_window_extent()
    np.testing.assert_allclose(box.height / box.width, 4 / 5)
    assert_png(tmp_path / "images.png", figure)


@pytest.mark.parametrize(
    ("count", "columns", "rows"),
    [
        (1, None, 1),
        (5, None, 1),
        (10, None, 2),
        (12, None, 3),
        (20, None, 4),
        (13, None, 2),
        (6, 2, 3),
        (3, 9, 1),
        (150, None, 12),
    ],
)
def test_columns(count, columns, rows):
    figure = plotting.images(np.ones((count, 2, 2)), columns=columns)
    assert len(figure.axes) == count
    assert len({round(axes.get_position().y0, 6) for axes in figure.axes}) == rows


def test_weights_have_zero_in_the_middle_and_a_scale():
    weights = np.array([[[0.5, -0.25]], [[0.1, 0.0]]])
    *pictures, bar = plotting.images(weights).axes
    for axes in pictures:
        assert axes.images[0].get_clim() == (-0.5, 0.5)
        assert axes.images[0].get_cmap().name == "RdBu_r"
    assert [label.get_text() for label in bar.get_yticklabels()] == ["-0.5", "0", "0.5"]


def test_signed_can_be_chosen_and_so_can_the_colours():
    positive = np.array([[[0.5, 0.25]]])
    assert plotting.images(positive, signed=True).axes[0].images[0].get_clim() == (-0.5, 0.5)
    assert plotting.images(-positive, signed=False).axes[0].images[0].get_clim() == (0.0, 0.5)
    assert plotting.images(positive, cmap="viridis").axes[0].images[0].get_cmap().name == "viridis"


def test_images_in_colour_and_with_one_channel():
    colour = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    figure = plotting.images(colour)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), colour[1])
    figure = plotting.images(colour[..., :1])
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), colour[1, ..., 0])


def test_images_may_be_arrays_of_any_backend(backend):
    pixels = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    figure = plotting.images(backend.asarray(pixels), titles=backend.asarray(np.array([3, 4])))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), pixels[1])
    assert [axes.get_title() for axes in figure.axes] == ["3", "4"]


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_images_of_nothing_have_a_scale(value, tmp_path):
    figure = plotting.images(np.full((1, 2, 2), value), path=tmp_path / "images.png")
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((10, 784))}, r"got \(10, 784\); reshape them first"),
        ({"images": np.zeros((0, 8, 8))}, r"got \(0, 8, 8\)"),
        ({"images": np.zeros((2, 8, 8, 2))}, r"got \(2, 8, 8, 2\)"),
        ({"images": np.zeros((401, 2, 2))}, "401 images do not fit into a picture; choose 400"),
        ({"images": np.full((1, 2, 2, 3), 255.0)}, "images in colour must be uint8, or numbers from 0 to 1"),
        ({"images": np.zeros((2, 2, 2)), "titles": ["one"]}, "titles must be one for each image: expected 2, got 1"),
        ({"images": np.zeros((2, 2, 2)), "columns": 0}, "columns must be positive, got 0"),
    ],
)
def test_images_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.images(**arguments)


# Confusion matrix


def counts(figure: Any) -> dict[tuple[int, int], str]:
    """The numbers in the picture by (true, predicted)."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in figure.axes[0].texts}


def names(ticks: Any) -> list[str]:
    return [tick.get_text() for tick in ticks]


def test_confusion_matrix_counts(tmp_path):
    figure = plotting.confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], path=tmp_path / "matrix.png")
    assert counts(figure) == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 2): "2", (2, 0): "1"}
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "66.7% correct, 4 of 6"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert names(axes.get_xticklabels()) == names(axes.get_yticklabels()) == ["0", "1", "2"]
    assert_png(tmp_path / "matrix.png", figure)


def test_the_diagonal_is_blue_and_mistakes_are_red():
    red, green, blue = np.moveaxis(plotting.confusion_matrix([0, 0, 1], [0, 1, 1]).axes[0].images[0].get_array(), -1, 0)
    assert (blue > red)[np.eye(2, dtype=bool)].all()
    assert red[0, 1] > blue[0, 1]
    assert red[1, 0] == green[1, 0] == blue[1, 0] == 1.0


def test_labels_name_the_classes_also_those_that_do_not_occur():
    (axes,) = plotting.confusion_matrix([0, 1], [1, 1], labels=["malignant", "benign", "unknown"]).axes
    assert names(axes.get_xticklabels()) == names(axes.get_yticklabels()) == ["malignant", "benign", "unknown"]
    assert axes.images[0].get_array().shape == (3, 3, 3)


@pytest.mark.parametrize(
    "predicted",
    [
        np.array([1, 0, 1]),
        np.array([[1], [0], [1]], np.uint8),
        np.array([0.9, 0.2, 0.51]),
        np.array([[0.9], [0.2], [0.51]], np.float32),
        np.array([[0.1, 0.9], [0.8, 0.2], [0.49, 0.51]]),
        np.array([[0, 1], [1, 0], [0, 1]]),
    ],
)
def test_predictions_may_be_classes_or_probabilities(predicted, backend):
    assert counts(plotting.confusion_matrix([1, 0, 0], backend.asarray(predicted))) == {
        (1, 1): "1",
        (0, 0): "1",
        (0, 1): "1",
    }


def test_columns_of_probabilities_say_how_many_classes_there_are():
    assert plotting.confusion_matrix([0], np.array([[0.9, 0.1, 0.0]])).axes[0].images[0].get_array().shape == (3, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0]), ValueError, "a prediction for each true class, got 1 for 2"),
        (([], []), ValueError, "got 0 for 0"),
        (([0, 2], [0, 1], ["a", "b"]), ValueError, "labels must name all 3 classes, got 2 names"),
        (([0, -1], [0, 1]), ValueError, "y_true must be classes numbered from 0, got -1"),
        (([0, 1], [0.5, 1.5]), ValueError, "y_pred must be numbered classes, or probabilities from 0 to 1"),
        (([0, 1], [0.5, float("nan")]), ValueError, "y_pred must be numbered classes, or probabilities"),
        ((["cat"], [0]), TypeError, "y_true must be numbered classes or probabilities, got data of dtype <U3"),
        (([0], np.zeros((1, 2, 2))), ValueError, r"y_pred must have the shape .* got \(1, 2, 2\)"),
    ],
)
def test_confusion_matrix_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        plotting.confusion_matrix(*arguments)


@pytest.mark.parametrize("labels", [None, ["T-shirt/top", "Ankle boot"], list("ab")])
def test_everything_of_a_confusion_matrix_is_inside_the_picture(labels):
    figure = plotting.confusion_matrix([0, 1] * 10000, [0, 1] * 10000, labels=labels)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


# All


def test_a_notebook_gets_a_png():
    assert plotting.learning_curves(HISTORY)._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_path_may_choose_another_kind_of_file(tmp_path):
    plotting.images(np.ones((1, 2, 2)), path=str(tmp_path / "images.svg"))
    assert b"<svg" in (tmp_path / "images.svg").read_bytes()


def test_neither_pyplot_nor_an_import_of_matplotlib_before_it_is_needed():
    script = (
        "import sys, nnx.plotting\n"
        "assert 'matplotlib' not in sys.modules\n"
        "nnx.plotting.learning_curves({'loss': [1.0]})._repr_png_()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    plotting._figure._figure_class.cache_clear()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plotting needs matplotlib.*pip install 'nnx-array\[examples\]'"):
        plotting.images(np.ones((1, 2, 2)))


def test_curves_in_axes_of_ones_own():
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot()
    assert plotting.learning_curves({"loss": [0.9, 0.5], "acc": [0.1, 0.2]}, ax=ax) is figure
    assert [line.get_label() for line in ax.lines] == ["loss", "acc"]
    history = nnx.callbacks.History()
    history.history = {"loss": [0.9, 0.5]}
    assert history.plot(ax=figure.add_subplot()) is figure


@pytest.mark.parametrize("is_last", [True, False])
def test_a_notebook_shows_curves_once(monkeypatch, is_last):
    shown, hooks = [], {}

    class Shell:
        kernel = object()

        class events:  # noqa: N801
            register = staticmethod(hooks.__setitem__)
            unregister = staticmethod(lambda name, hook: hooks.pop(name))

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: Shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=shown.append))
    history = nnx.callbacks.History()
    history.history = {"loss": [0.9, 0.5]}
    figure = history.plot()
    if is_last:
        figure._repr_png_()  # what a cell does with its last value
    hooks["post_execute"]()
    assert shown == ([] if is_last else [figure])
    assert hooks == {}
