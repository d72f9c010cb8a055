"""Drawings of models: what is in them, that it can be read, and that a file is written."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import plotting
from nnx.layers import (
    LSTM,
    Activation,
    Dense,
    Dropout,
    Embedding,
    Input,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    TimeDistributed,
    add,
    concatenate,
)
from nnx.plotting._diagram import Diagram, Show, diagram_of

agg = pytest.importorskip("matplotlib.backends.backend_agg", reason="matplotlib is not installed")


def residual() -> nnx.Model:
    x = Input((32,), name="image")
    hidden = Dense(64, "relu", name="stem")(x)
    for i in range(3):
        inner = Dense(64, name=f"block{i}_b")(Dense(64, "relu", name=f"block{i}_a")(hidden))
        hidden = Activation("relu", name=f"block{i}_out")(add([hidden, inner], name=f"sum{i}"))
    return nnx.Model(x, Dense(10, "softmax", name="label")(hidden))


def two_headed() -> nnx.Model:
    a, b = Input((4,), name="a"), Input((5,), name="b")
    shared = Dense(6, "tanh", name="shared")
    left, right = shared(a), shared(Dense(4, name="adapt")(b))
    outputs = [Dense(1, name="number")(left * right + left), Dense(3, "softmax", name="label")(left - 2.0 * right)]
    return nnx.Model([a, b], outputs)


def autoencoder() -> nnx.Model:
    picture = Input((64,), name="picture")
    codes = [Dense(8, name="mean")(Dense(32, "relu", name="hidden")(picture)), Dense(8, name="spread")(picture)]
    encoder = nnx.Model(picture, codes, name="encoder")
    middle = nnx.Sequential([Dense(48, "relu"), Dropout(0.2)], name="middle")
    decoder = nnx.Sequential(
        [Input((8,)), Dense(32, "relu"), middle, Dense(64, "sigmoid", name="pixels")], name="decoder"
    )
    x = Input((64,), name="input")
    mean, spread = encoder(x)
    code = mean + spread * 0.5
    return nnx.Model(x, [decoder(code), code])


class Block(Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention, self.dropout = MultiHeadAttention(2, 8), Dropout(0.1)
        self.mlp = nnx.Sequential([Dense(32, "gelu"), Dense(16)], name="mlp")
        self.first, self.second = LayerNormalization(), LayerNormalization()

    def call(self, x: Any) -> Any:
        y = self.first(x + self.dropout(self.attention(x, x)))
        return self.second(y + self.mlp(y))


def transformer() -> nnx.Model:
    words = Input((12,), dtype="int32", name="words")
    x = Embedding(100, 16)(words)
    for _ in range(2):
        x = Block()(x)
    return nnx.Model(words, Dense(2, "softmax", name="label")(x))


def chain() -> nnx.Sequential:
    return nnx.Sequential([Input((8,)), *[Dense(8, "relu") for _ in range(30)]])


class Tower(nnx.Model):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = Dense(4), Dense(4), Dense(1)

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        return self.last(self.one(x) * self.other(y) + self.one(y))


def tower() -> nnx.Model:
    model = Tower()
    model.build([(None, 3), (None, 3)])
    return model


def sequences() -> nnx.Model:
    source, target = Input((5, 3)), Input((6, 3))
    _, h, c = LSTM(4, return_state=True, name="reader")(source)
    y = LSTM(4, return_sequences=True, name="writer")(target, initial_state=[h, c])
    return nnx.Model([source, target], TimeDistributed(Dense(5))(y))


def wide() -> nnx.Model:
    x, late = Input((8,)), Input((3,), name="late")
    branches: list[Any] = [Dense(4, name=f"branch_{i}")(x) for i in range(6)]
    branches[2] = Dense(4)(Dense(4)(branches[2]))
    joined = concatenate([*branches, late])
    return nnx.Model([x, late], [Dense(1)(joined), Dense(2)(add([branches[0], branches[5]]))])


MODELS = [residual, two_headed, autoencoder, transformer, chain, tower, sequences, wide]
ALL = {"show_shapes": True, "show_dtype": True, "show_layer_names": True, "show_layer_activations": True}


# What is drawn


def titles(diagram: Diagram) -> list[str]:
    return [box.inside.title if box.inside else box.lines[0].text for box in diagram.boxes]


def named_edges(diagram: Diagram) -> set[tuple[str, str]]:
    names = {None: "outside", **dict(enumerate(titles(diagram)))}
    return {(names[link.source], names[link.target]) for link in diagram.connections}


def shown(model: Any, **options: Any) -> Diagram:
    return diagram_of(model, model.name, Show(**options))


def test_boxes_and_edges_follow_the_graph():
    diagram = shown(two_headed(), names=True)
    assert len(diagram.boxes) == 11
    assert sorted(titles(diagram)) == sorted(
        ["a (InputLayer)", "b (InputLayer)", "adapt (Dense)", "number (Dense)", "label (Dense)", "add (Add)"]
        + ["shared (Dense)"] * 2
        + ["multiply (Multiply)", "multiply_1 (Multiply)", "subtract (Subtract)"]
    )
    calls = {box.lines[1].text: index for index, box in enumerate(diagram.boxes) if len(box.lines) > 1}
    assert set(calls) == {"call 1 of 2", "call 2 of 2"}
    reads = [
        sorted(titles(diagram)[c.target] for c in diagram.connections if c.source == calls[f"call {i} of 2"])
        for i in (1, 2)
    ]
    assert reads == [
        ["add (Add)", "multiply (Multiply)", "subtract (Subtract)"],
        ["multiply (Multiply)", "multiply_1 (Multiply)"],
    ]
    assert ("adapt (Dense)", "shared (Dense)") in named_edges(diagram)


def test_a_residual_connection_is_an_edge_of_its_own():
    edges = named_edges(shown(residual(), names=True))
    assert ("stem (Dense)", "sum0 (Add)") in edges
    assert ("block0_b (Dense)", "sum0 (Add)") in edges


def test_a_stack_has_no_box_for_its_input_and_no_edge_from_outside():
    diagram = shown(chain(), names=True)
    assert titles(diagram) == [f"dense{f'_{i}' if i else ''} (Dense)" for i in range(30)]
    assert len(diagram.connections) == 29


def test_inner_graphs_on_request():
    model = autoencoder()
    closed, opened = shown(model, names=True), shown(model, names=True, inside=True)
    assert titles(closed) == titles(opened)
    assert all(box.inside is None for box in closed.boxes)
    inner = {box.inside.title: box.inside for box in opened.boxes if box.inside}
    assert set(inner) == {"encoder (Functional)", "decoder (Sequential)"}
    encoder, decoder = inner["encoder (Functional)"], inner["decoder (Sequential)"]
    assert named_edges(encoder) == {
        ("outside", "picture (InputLayer)"),
        ("picture (InputLayer)", "hidden (Dense)"),
        ("picture (InputLayer)", "spread (Dense)"),
        ("hidden (Dense)", "mean (Dense)"),
        ("mean (Dense)", "outside"),
        ("spread (Dense)", "outside"),
    }
    assert (encoder.inputs, encoder.outputs) == (1, 2)
    assert titles(decoder) == ["dense (Dense)", "middle (Sequential)", "pixels (Dense)"]
    assert ("outside", "dense (Dense)") in named_edges(decoder)
    outer = {
        (c.output, titles(opened)[c.target]) for c in opened.connections if titles(opened)[c.source].startswith("enc")
    }
    assert outer == {(0, "add (Add)"), (1, "multiply (Multiply)")}


def test_layers_and_models_written_as_call():
    block = next(box.inside for box in shown(transformer(), inside=True).boxes if box.inside)
    assert block.title == "Block"
    assert "MultiHeadAttention" in titles(block)
    assert [box.inside.title for box in block.boxes if box.inside] == ["Sequential"]
    diagram = shown(tower())
    assert titles(diagram).count("Input") == 2
    assert titles(diagram).count("Dense") == 4


def test_what_the_lines_say():
    model = two_headed()
    model.get_layer("shared").trainable = False
    diagram = shown(model, names=True, shapes=True, dtype=True, activations=True, trainable=True)
    lines = {box.lines[0].text: [line.text for line in box.lines[1:]] for box in diagram.boxes}
    assert lines["a (InputLayer)"] == ["Output shape: (None, 4)", "Output dtype: float32"]
    assert lines["shared (Dense)"] == [
        "call 2 of 2",
        "Activation: tanh",
        "Input shape: (None, 4)",
        "Output shape: (None, 6)",
        "Output dtype: float32",
        "Non-trainable",
    ]
    assert lines["add (Add)"][0] == "Input shape: [(None, 6), (None, 6)]"
    assert lines["number (Dense)"][-1] == "Trainable"
    states = shown(sequences(), shapes=True).boxes
    assert "Output shape: [(None, 4), (None, 4), (None, 4)]" in [line.text for box in states for line in box.lines]


@pytest.mark.parametrize("activation", ["relu", nnx.activations.relu, nnx.layers.LeakyReLU()])
def test_activations_by_name(activation: Any):
    model = nnx.Sequential([Input((3,)), Dense(2, activation=activation), Dense(2)])
    lines = [[line.text for line in box.lines] for box in shown(model, activations=True).boxes]
    assert lines[0][1] in ("Activation: relu", "Activation: leaky_re_lu")
    assert lines[1] == ["Dense", "Activation: linear"]


def test_layers_of_one_name_from_two_models():
    one, other = nnx.Sequential([Input((3,)), Dense(2)]), nnx.Sequential([Input((3,)), Dense(2)])
    model = nnx.Model([one.input, other.input], add([one.output, other.output]))
    assert {"dense (Dense)", "dense_1 (Dense)"} < set(titles(shown(model, names=True)))


# Whether it can be read


def patches(figure: Any, gid: str) -> list[Any]:
    return [patch for patch in figure.axes[0].patches if patch.get_gid() == gid]


def extents(patch: Any) -> np.ndarray:
    """(left, top, right, bottom) in inches, y downwards."""
    corners = patch.get_path().vertices
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def is_inside(points: np.ndarray, box: np.ndarray, margin: float) -> np.ndarray:
    return ((points > box[:2] + margin) & (points < box[2:] - margin)).all(axis=-1)


@pytest.mark.parametrize(
    "options",
    [{}, {**ALL, "expand_nested": True}, {"expand_nested": True, "rankdir": "LR"}, {**ALL, "rankdir": "BT"}],
    ids=["plain", "expanded", "sideways", "upwards"],
)
@pytest.mark.parametrize("make", MODELS)
def test_nothing_overlaps_and_no_edge_runs_through_a_box(make: Any, options: Any):
    figure = plotting.plot_model(make(), None, **options)
    drawn = patches(figure, "box")
    boxes = [extents(patch) for patch in drawn if patch.get_zorder() > 2]
    frames = [extents(patch) for patch in drawn if patch.get_zorder() < 2]
    for index, box in enumerate(boxes):
        for other in boxes[:index]:
            assert (box[:2] >= other[2:]).any() or (other[:2] >= box[2:]).any()
        for frame in frames:  # in it, or beside it
            within = (box[:2] > frame[:2]).all() and (box[2:] < frame[2:]).all()
            assert within or (box[:2] >= frame[2:]).any() or (frame[:2] >= box[2:]).any()
    for patch in patches(figure, "edge"):
        (points,) = patch.get_path().to_polygons(closed_only=False)
        points = np.concatenate([points, *(points[:-1] + t * np.diff(points, axis=0) for t in (0.25, 0.5, 0.75))])
        for box in boxes:
            assert not is_inside(points, box, 1e-6).any()
        for frame in frames:  # an edge belongs to the inside of a frame, or to its outside
            assert is_inside(points, frame, -1e-6).all() or not is_inside(points, frame, 1e-6).any()


@pytest.mark.parametrize(("rankdir", "dpi"), [("TB", 80), ("LR", 200)])
@pytest.mark.parametrize("make", [model for model in MODELS if model is not chain])
def test_text_stays_in_its_box_and_out_of_other_text(make: Any, rankdir: str, dpi: int):
    figure = plotting.plot_model(make(), None, rankdir=rankdir, dpi=dpi, expand_nested=True, show_trainable=True, **ALL)
    axes, renderer = figure.axes[0], agg.FigureCanvasAgg(figure).get_renderer()
    found = [text.get_window_extent(renderer) for text in axes.texts]
    boxes = [patch.get_window_extent(renderer) for patch in patches(figure, "box")]
    for index, text in enumerate(found):
        assert any(b.x0 <= text.x0 and text.x1 <= b.x1 and b.y0 <= text.y0 and text.y1 <= b.y1 for b in boxes)
        for other in found[:index]:
            across = min(text.x1, other.x1) - max(text.x0, other.x0)
            along = min(text.y1, other.y1) - max(text.y0, other.y0)
            assert across < 0 or along < 2.5 * dpi / 100  # lines of one box may share the room of a descender
    for patch in patches(figure, "edge"):
        (points,) = patch.get_path().to_polygons(closed_only=False)
        pixels = axes.transData.transform(np.concatenate([points, (points[1:] + points[:-1]) / 2]))
        for text in found:
            assert not is_inside(pixels, np.array(text.extents), 0.0).any()
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1


# Files and mistakes


def test_a_png_of_the_size_and_resolution_asked_for(tmp_path: Path):
    figure = plotting.plot_model(residual(), tmp_path / "model.png", dpi=150)
    content = (tmp_path / "model.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    np.testing.assert_allclose(struct.unpack(">2I", content[16:24]), figure.get_size_inches() * 150, atol=1)
    assert figure.dpi == 150


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("picture", b"\x89PNG"), ("a.PNG", b"\x89PNG")]
)
def test_the_suffix_chooses_the_format(name: str, start: bytes, tmp_path: Path):
    plotting.plot_model(two_headed(), str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_default_file_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plotting.plot_model(two_headed(), to_file=None)
    assert not list(tmp_path.iterdir())
    nnx.utils.plot_model(two_headed())
    assert [path.name for path in tmp_path.iterdir()] == ["model.png"]


def test_a_very_long_model_is_drawn_smaller(tmp_path: Path):
    model = nnx.Sequential([Input((2,)), *[Activation("relu") for _ in range(150)]])
    figure = plotting.plot_model(model, tmp_path / "long.svg", dpi=2000)
    assert max(figure.get_size_inches()) * figure.dpi == pytest.approx(60_000)


def test_where_keras_scripts_look_for_it():
    from nnx.utils import plot_model
    from nnx.utils.vis_utils import plot_model as older

    assert plot_model is older is plotting.plot_model
    with pytest.raises(AttributeError, match=r"nnx\.utils has no 'plot_modle': did you mean 'plot_model'\?"):
        nnx.utils.plot_modle  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            lambda: (nnx.Sequential([Dense(2)]), None),
            ValueError,
            "sequential is not built, so there is nothing to draw",
        ),
        (lambda: (Tower(), None), ValueError, r"tower is not built.*call build\(\.\.\.\)"),
        (lambda: ([1.0], None), TypeError, "plot_model draws a model, got list"),
        (lambda: (Dense(2), None), TypeError, "plot_model draws a model, got Dense"),
        (lambda: (two_headed(), "model.doc"), ValueError, r"to_file must end in one of .*png.*svg.*, got 'model\.doc'"),
    ],
)
def test_what_cannot_be_drawn(arguments: Any, error: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        plotting.plot_model(*arguments())
    assert not list(tmp_path.iterdir())


def test_directions():
    with pytest.raises(ValueError, match="rankdir must be one of TB, LR, BT, RL, got 'down'"):
        plotting.plot_model(two_headed(), None, rankdir="down")
    first = {}
    for rankdir in ("TB", "BT", "LR", "RL"):
        texts = plotting.plot_model(chain(), None, rankdir=rankdir, show_layer_names=True).axes[0].texts
        places = {text.get_text(): text.get_position() for text in texts}
        first[rankdir] = np.subtract(places["dense_1 (Dense)"], places["dense (Dense)"])
    assert first["TB"][1] > 0 > first["BT"][1]
    assert first["LR"][0] > 0 > first["RL"][0]


def test_a_notebook_shows_it():
    assert plotting.plot_model(two_headed(), None)._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib_only_the_drawing_fails():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import nnx\n"
        "model = nnx.Sequential([nnx.layers.Dense(2, input_dim=3)])\n"
        "try: nnx.utils.plot_model(model)\n"
        "except ImportError as error: assert \"pip install 'nnx-array[examples]'\" in str(error), error\n"
        "else: raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
