"""What every model is, whatever its form: layers that are built, moved, summarised and trained together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, Self

from nnx import debug
from nnx.backends import Array, backend
from nnx.functional import Pullback
from nnx.layers.calls import is_value
from nnx.layers.layer import Layer
from nnx.models.looks import HasSummary
from nnx.names import names_apart
from nnx.parameters import FlatParameters, Parameter
from nnx.precision import wide
from nnx.pullbacks import Skippable, call_pullback
from nnx.shapes import Shape, as_shapes
from nnx.structure import leaves, rebuild


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """How an input is read.

    dtype : what it is converted to; None for the floating dtype of the model, or any integers if `integers`.
    integers : the layers that take integers from it.
    feeds_integers : whether it reaches, at last, a layer that takes integers.
    """

    dtype: str | None = None
    integers: tuple[Layer, ...] = ()
    feeds_integers: bool = False


class Network(HasSummary, Layer):
    """A layer that owns its training: its trainable parameters are in one flat buffer.

    A subclass says which layers it has (`sublayers`) and how they are chained (`chain`).
    """

    uses_mask = True

    def __init__(self, *, name: str | None = None, trainable: bool = True, **kwargs: Any) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self._flat: FlatParameters | None = None
        self._trained: list[Parameter] | None = None

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order, without the input."""
        return list(self.sublayers())

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of those of several."""
        self.require_built("input_shape")
        return self.build_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of those of several."""
        return self.compute_output_shape(self.input_shape)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index."""
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{self.name} has {len(self.layers)} layers, there is none at index {index}")
            return self.layers[index]
        layers = dict(names_apart(self.layers))
        if name not in layers:
            raise ValueError(f"{self.name} has no layer {name!r}; it has {', '.join(layers)}")
        return layers[name]  # type: ignore[no-any-return]

    def named_sublayers(self) -> list[tuple[str, Layer]]:
        inside = self.sublayers()
        return [(name, layer) for name, layer in names_apart(self.layers) if layer in inside]

    def named_layers(self) -> dict[str, Layer]:
        """This model under "", and every layer inside it under its path, such as "encoder/dense_1"."""
        return dict(self.walk(""))

    def named_weights(self) -> dict[str, Parameter]:
        """Every parameter under its path, such as "dense_1/kernel"; one that is shared under its first."""
        found: dict[Parameter, str] = {}
        for path, layer in self.named_layers().items():
            for parameter in layer.own_weights:
                found.setdefault(parameter, f"{path}/{parameter.name}".lstrip("/"))
        for parameter, path in found.items():
            parameter.path = path
        return {path: parameter for parameter, path in found.items()}

    # Where the parameters are

    @property
    def flat(self) -> FlatParameters:
        """The buffer of trainable parameters and gradients; made, or made again, when something has changed."""
        trained = self._decide_what_is_trained() if self._trained is None else self._trained
        flat = self._flat
        if flat is None or not flat.whole or flat.parameters is not trained:
            flat = self._flat = FlatParameters(trained, self.placement)
        return flat

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_flat": None}  # a copy gathers its own parameters

    def _decide_what_is_trained(self) -> list[Parameter]:
        self.require_built("flat")
        trained = self.trainable_weights
        if self._flat is not None and self._flat.parameters == trained:
            trained = self._flat.parameters
        self._trained = trained
        return trained

    def restore_trained(self, paths: list[str]) -> None:
        """Train the parameters of these paths, whatever is frozen now: what was decided when the model was compiled."""
        named = self.named_weights()
        if len(set(paths)) != len(paths) or not set(paths) <= set(named):
            raise ValueError(f"{self.name} cannot train {paths}; it has {', '.join(named)}")
        self._trained = [named[path] for path in paths]

    def to(self, name: str, *, device: str | None = None) -> Self:
        """Move the model to another backend or device, in place. Training goes on there as it would have here.

        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
        >>> model.to("numpy").placement.name
        'numpy'
        """
        self.require_built("to")
        with backend(name, device=device, dtype=self.placement.dtype) as placement:
            for _, layer in self.walk():
                layer.move(placement)
        self._flat = None
        return self

    # Computation

    def _is_composed(self) -> bool:
        return type(self).forward is Network.forward

    chain: Callable[..., tuple[list[Array], list[Any], Pullback]]
    """chain(arrays, *, training, logits=(), masks=()): the layers one after another, on lists of arrays.

    logits : the outputs that are taken before their last activation. Returns the outputs, their masks, and the pullback
    of a list of cotangents to that of the inputs, which `inputs=False` leaves out.
    """

    @property
    def input_readings(self) -> list[Reading]:
        """For each input, what it is converted to and which layers take integers from it."""
        return [Reading()]

    @property
    def input_shapes(self) -> list[Shape]:
        return as_shapes(self.input_shape)

    @property
    def output_structure(self) -> Any:
        """The structure of the output: any leaf for one array, or a list, tuple or dict of leaves."""
        return None

    @property
    def fusible_activations(self) -> list[str | None]:
        """For each output, the name of its last activation if it is "softmax", "sigmoid" or "linear", else None."""
        return [None]

    @property
    def fusible_activation(self) -> str | None:
        """The same for a model with one output."""
        names = self.fusible_activations
        return names[0] if len(names) == 1 else None

    def activate(self, z: Array, output: int = 0) -> tuple[Array, Pullback]:
        """The last activation of an output, for its logits."""
        raise ValueError(f"{self.name}: output {output} does not end in an activation")

    def preactivation(self, *inputs: Any, training: bool = False) -> tuple[Any, Pullback]:
        """The output before the last activation (the logits) and its pullback."""
        return self._structured(inputs, training, (0,), ())

    def propagate(self, *inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Pullback]:
        """The output in its structure, and the pullback, which takes `inputs=False` to skip the inputs' cotangents."""
        return self._structured(inputs, training, (), () if mask is None else leaves(mask))

    def _structured(
        self, inputs: Sequence[Any], training: bool, logits: Sequence[int], masks: Sequence[Any]
    ) -> tuple[Any, Pullback]:
        y, _, pullback = self._masked_and_structured(inputs, training, logits, masks)
        return y, pullback

    def run_masked(self, arrays: list[Any], mask: Any, **options: Any) -> tuple[Any, Any, Pullback]:
        y, masks, pullback = self._masked_and_structured(
            arrays, options["training"], (), () if mask is None else leaves(mask)
        )
        return y, masks[0] if len(masks) == 1 else masks, pullback

    def _masked_and_structured(
        self, inputs: Sequence[Any], training: bool, logits: Sequence[int], masks: Sequence[Any]
    ) -> tuple[Any, list[Any], Pullback]:
        outputs, made, pullback = self.chain(leaves(inputs), training=training, logits=logits, masks=masks)

        def pull_back(dy: Any, inputs: bool) -> Any:
            dxs = pullback(leaves(dy), inputs=inputs)
            return None if not inputs else dxs[0] if len(dxs) == 1 else tuple(dxs)

        return rebuild(self.output_structure, outputs), made, Skippable(pull_back)

    @property
    def makes_mask(self) -> bool:  # type: ignore[override]
        return any(layer.makes_mask for layer in self.sublayers())

    @debug.watched
    def forward(self, *inputs: Any, training: bool = False, mask: Any = None) -> tuple[Any, Pullback]:
        """The output and its pullback, for a training loop of one's own. Several inputs as when it is called.

        `pullback(dy)` returns the cotangent of the input and adds the gradients of the parameters to what has been
        gathered since the last `optimizer.step(model)`.
        """
        computing = self.placement.computing
        with computing:
            inputs = tuple(self.admit(*(self.in_order(inputs) if is_value(inputs) else inputs)))
            self._trained = None  # a layer may have been frozen since the last call
            _ = self.flat  # the gradients need a place before the pullback is called
            y, pullback = self.propagate(*inputs, training=training, mask=mask)

        def pull_back(dy: Any, inputs: bool) -> Any:
            with computing:
                return call_pullback(pullback, dy, inputs)

        return y, Skippable(pull_back)

    def run(self, *inputs: Any, **options: Any) -> tuple[Any, Pullback]:
        return self.propagate(*inputs, **options)

    def regularization(self) -> tuple[Array, Callable[..., None]]:
        """The sum of the penalties on the trained parameters, and a pullback that adds their gradients.


        >>> import nnx
        >>> model = nnx.Sequential([nnx.layers.Dense(1, kernel_regularizer="l2", input_dim=2)])
        >>> penalty, pullback = model.regularization()
        >>> pullback()
        """
        penalised = [parameter for parameter in self.flat.parameters if parameter.regularizer is not None]
        computing = self.placement.computing
        with computing:
            terms = [(p, *p.regularizer.forward(wide(p.value))) for p in penalised]  # type: ignore[union-attr]
            total = self.placement.zeros((), "float32" if self.placement.dtype == "float16" else None)
            for _, penalty, _ in terms:
                total = total + penalty

        def pullback(dpenalty: float = 1.0) -> None:
            with computing:
                for parameter, _, pullback_term in terms:
                    parameter.receive(pullback_term(dpenalty))

        return total, pullback

    def to_json(self, **options: Any) -> str:
        """The architecture, without the parameters, as text. options : those of `json.dumps`.

        >>> import json, nnx
        >>> text = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)]).to_json()
        >>> nnx.Sequential.from_config(json.loads(text)["config"]).count_params()
        3
        """
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)

    def require_built(self, what: str) -> None:
        """ValueError, with the ways to build a model, if it is not built and therefore has no such thing."""
        if not self.built:
            raise ValueError(
                f"{self.name} is not built, so it has no {what}: give the first layer an input_shape, start with "
                f"Input(shape=...), call build(input_shape), or fit it to data"
            )
