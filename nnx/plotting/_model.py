"""Models as drawings of their graphs."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nnx.arguments import refuse
from nnx.lazy_loading import optional_import
from nnx.plotting._curves import COLOURS
from nnx.plotting._diagram import Diagram, Line, Show, diagram_of
from nnx.plotting._figure import FAINT, INK, SMALL, PathLike, finished, new_axes, new_figure
from nnx.plotting._layout import Edge, Layout, layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAD = 0.09  # inches, between text and the edge of its box
_LOOSE = 1.05  # letters are placed at whole pixels
_LINE = 0.165  # inches, from one line of text to the next
_MARGIN = 0.15  # inches, around the drawing
_ARROW = 0.07  # inches
_MOST_PIXELS = 60_000  # of a side; matplotlib draws less than 65,536
_STYLES = {
    "title": {"color": INK, "fontweight": "bold"},
    "detail": {"color": FAINT},
    "trained": {"color": COLOURS[2]},
    "frozen": {"color": COLOURS[1]},
}

Point = tuple[float, float]


def plot_model(
    model: Any,
    to_file: PathLike | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str | None = "ortho",
) -> Figure:
    """The graph of a model: a box for each call of a layer, an edge for each value from one to another.

    model : any that is built.
    to_file : where to write the picture, in the format of its suffix, or PNG without one; None for nowhere.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : what to write into the boxes
        beside the class.
    rankdir : where the edges lead: "TB" from top to bottom, "LR" from left to right, "BT" or "RL".
    expand_nested : draw the graphs inside models, and inside layers that are written as `call`, in a frame.
    splines : "ortho" or None; ValueError for anything else.
    dpi : dots per inch; less where the picture would become larger than matplotlib can write.

    A layer that is called several times has a box for each call, which says so. Returns the figure, which a notebook
    shows.

    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> figure = plot_model(model, to_file=None, show_shapes=True)
    """
    if not hasattr(model, "composition") or not (hasattr(model, "layers") or model.is_eager):
        raise TypeError(f"plot_model draws a model, got {type(model).__name__}")
    if model.composition is None:
        raise ValueError(
            f"{model.name} is not built, so there is nothing to draw yet: give it an input shape, call build(...), or "
            f"fit it to data"
        )
    refuse("plot_model", splines=None if splines == "ortho" else splines)
    if rankdir not in _DIRECTIONS:
        raise ValueError(f"rankdir must be one of {', '.join(_DIRECTIONS)}, got {rankdir!r}")
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    drawing = _placed(diagram_of(model, model.name, show), rankdir in ("LR", "RL"))
    turn = _DIRECTIONS[rankdir]
    width, height = drawing.layout.width, drawing.layout.height
    across, along = (height, width) if rankdir in ("LR", "RL") else (width, height)
    figure = new_figure(across + 2.0 * _MARGIN, along + 2.0 * _MARGIN)
    figure.set_dpi(min(dpi, _MOST_PIXELS / max(figure.get_size_inches())))
    format = _format(figure, to_file)
    axes = new_axes(figure, _MARGIN, _MARGIN, across, along)
    axes.set(xlim=(0.0, across), ylim=(along, 0.0))
    axes.set_axis_off()
    _draw(axes, drawing, (0.0, 0.0), lambda u, v: turn(u, v, height))
    return finished(figure, to_file, dpi=figure.dpi, format=format)


_DIRECTIONS: dict[str, Callable[[float, float, float], Point]] = {
    "TB": lambda u, v, length: (u, v),
    "LR": lambda u, v, length: (v, u),
    "BT": lambda u, v, length: (u, length - v),
    "RL": lambda u, v, length: (length - v, u),
}
"""From the place in a layout (from its left, from its top, and its height) to that in the picture."""


def _format(figure: Figure, to_file: PathLike | None) -> str:
    """What to write; ValueError for a suffix that matplotlib does not know."""
    suffix = "" if to_file is None else os.path.splitext(to_file)[1].removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix and suffix not in known:
        raise ValueError(f"to_file must end in one of {', '.join(sorted(known))}, got {os.fspath(to_file or '')!r}")
    return suffix or "png"


# Places


@dataclasses.dataclass(frozen=True)
class _Placed:
    """A diagram with a place for everything in it.

    sizes : of all that is placed: in a frame its title, the inputs and, after the boxes, the outputs, which are points.
    inside : what is in the frames, by the number of the box. skipped : how many are before the boxes.
    """

    diagram: Diagram
    sizes: list[Point]
    layout: Layout
    edges: list[Edge]
    inside: dict[int, _Placed]
    skipped: int

    @property
    def size(self) -> Point:
        return self.layout.width + 2.0 * _PAD, self.layout.height

    def from_middle(self, number: int) -> float:
        """How far right of the middle of the frame something is."""
        return self.layout.centres[number][0] - self.layout.width / 2.0


def _placed(diagram: Diagram, sideways: bool, framed: bool = False) -> _Placed:
    inside = {i: _placed(box.inside, sideways, True) for i, box in enumerate(diagram.boxes) if box.inside is not None}
    skipped = 1 + diagram.inputs if framed else 0
    behind = skipped + len(diagram.boxes)
    sizes = [_turned(_size([Line(diagram.title, "title")]), sideways), *[(0.0, 0.0)] * diagram.inputs][:skipped]
    for number, box in enumerate(diagram.boxes):
        sizes.append(inside[number].size if number in inside else _turned(_size(box.lines), sideways))
    sizes += [(0.0, 0.0)] * diagram.outputs
    edges = []
    for link in diagram.connections:
        source = 1 + link.output if link.source is None else skipped + link.source
        target = behind + link.input if link.target is None else skipped + link.target
        outlet = inlet = None
        if link.source in inside:
            below = inside[link.source]
            outlet = below.from_middle(below.skipped + len(below.diagram.boxes) + link.output)
        if link.target in inside:
            inlet = inside[link.target].from_middle(1 + link.input)
        edges.append(Edge(source, target, outlet, inlet))
    found = layout(sizes, edges, first=range(skipped), last=range(behind, len(sizes)))
    return _Placed(diagram, sizes, found, edges, inside, skipped)


def _turned(size: Point, sideways: bool) -> Point:
    return (size[1], size[0]) if sideways else size


def _size(lines: Sequence[Line]) -> Point:
    """The size of a box with that text."""
    widest = max(_text_width(line.text, line.role == "title") for line in lines)
    return max(_LOOSE * widest + 2.0 * _PAD, 0.7), len(lines) * _LINE + _PAD


@functools.cache
def _text_width(text: str, bold: bool) -> float:
    fonts: Any = optional_import("matplotlib.font_manager", "plotting")
    paths: Any = optional_import("matplotlib.textpath", "plotting")
    font = fonts.FontProperties(size=SMALL, weight="bold" if bold else "normal")
    return float(paths.text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72.0


# Drawing


Turn = Callable[[float, float], Point]


def _draw(axes: Axes, drawing: _Placed, origin: Point, turn: Turn) -> None:
    patches: Any = optional_import("matplotlib.patches", "plotting")
    for number, box in enumerate(drawing.diagram.boxes, start=drawing.skipped):
        u, v = (place + start for place, start in zip(drawing.layout.centres[number], origin, strict=True))
        width, height = drawing.sizes[number]
        corners = [turn(u + i * width / 2.0, v + j * height / 2.0) for i, j in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
        inner = drawing.inside.get(number - drawing.skipped)
        colours = {"facecolor": "#f7f7f7" if inner else "white", "edgecolor": "#c4c4c4" if inner else INK}
        axes.add_artist(
            patches.Polygon(corners, linewidth=0.8, zorder=1 if inner else 3, clip_on=False, gid="box", **colours)
        )
        if inner is None:
            _write(axes, box.lines, turn(u, v))
            continue
        start = (u - width / 2.0 + _PAD, v - height / 2.0)
        title = (start[0] + inner.sizes[0][0] / 2.0, start[1] + inner.layout.centres[0][1])
        _write(axes, [Line(inner.diagram.title, "title")], turn(*title))
        _draw(axes, inner, start, turn)
    boxes = len(drawing.diagram.boxes)
    for edge, route in zip(drawing.edges, drawing.layout.routes, strict=True):
        target = edge.target - drawing.skipped
        arrow = target < boxes and target not in drawing.inside  # else it goes on, in the frame or out of this one
        _draw_edge(axes, [(u + origin[0], v + origin[1]) for u, v in route], arrow, turn)


def _write(axes: Axes, lines: Sequence[Line], middle: Point) -> None:
    top = middle[1] - (len(lines) - 1) * _LINE / 2.0
    for index, line in enumerate(lines):
        style: Any = _STYLES[line.role]
        place = (middle[0], top + index * _LINE)
        axes.text(*place, line.text, ha="center", va="center", fontsize=SMALL, zorder=4, parse_math=False, **style)


def _draw_edge(axes: Axes, route: Sequence[Point], arrow: bool, turn: Turn) -> None:
    paths: Any = optional_import("matplotlib.path", "plotting")
    patches: Any = optional_import("matplotlib.patches", "plotting")
    corners, codes = [route[0], route[1]], [paths.Path.MOVETO, paths.Path.LINETO]
    for (u, v), (next_u, next_v), end in zip(route[1::2], route[2::2], route[3::2], strict=False):
        corners += [(u, (v + next_v) / 2.0), (next_u, (v + next_v) / 2.0), (next_u, next_v), end]
        codes += [*[paths.Path.CURVE4] * 3, paths.Path.LINETO]
    path = paths.Path([turn(*corner) for corner in corners], codes)
    axes.add_artist(
        patches.PathPatch(path, fill=False, edgecolor=FAINT, linewidth=1.0, zorder=2, clip_on=False, gid="edge")
    )
    if arrow:
        (u, v), side = route[-1], _ARROW / 2.5
        head = [turn(u, v), turn(u - side, v - _ARROW), turn(u + side, v - _ARROW)]
        axes.add_artist(patches.Polygon(head, color=FAINT, linewidth=0.0, zorder=2, gid="head"))
