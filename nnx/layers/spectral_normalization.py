"""Division of a layer's kernel by its largest singular value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.arguments import positive_integer
from nnx.autodiff.array import lower
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback
from nnx.initializers.random import TruncatedNormal
from nnx.layers.layer import registry
from nnx.layers.wrapper import Wrapper
from nnx.parameters import Parameter

_MOST_ITERATIONS = 1000  # of a call


@registry.register()
class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided, in training, by its largest singular value, found by power iteration.

        v <- u @ kernel.T, of length 1;  u <- v @ kernel, of length 1    power_iterations times
        kernel used = kernel / (v @ kernel @ u.T)    with all axes but the last one flattened

    layer : with a weight `kernel`, such as Dense or Conv2D, or an Embedding. TypeError for one without.
    power_iterations : how often u and v are improved in each call, at most 1000 times; 1 by default.

    The gradient goes through the division; u and v are constants in it. The kernel itself is not changed, and at
    inference it is used as it is, which is what Keras does on JAX. u is kept, as the weight vector_u (1, n), which is
    not trained. Input and output are those of the layer. Miyato et al., arXiv:1802.05957.

    >>> import numpy as np
    >>> from nnx.layers import Dense
    >>> SpectralNormalization(Dense(4))(np.ones((2, 3)), training=True).shape
    (2, 4)
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_integer(f"{self.name}: power_iterations", power_iterations)
        if self.power_iterations > _MOST_ITERATIONS:
            raise ValueError(
                f"{self.name}: power_iterations must be at most {_MOST_ITERATIONS}, got {self.power_iterations}: each "
                f"call goes on from where the last one ended"
            )
        self.takes_integers = layer.takes_integers

    def build(self, input_shape: Any) -> None:
        self.build_layer(input_shape)
        self._weight = "kernel" if isinstance(getattr(self.layer, "kernel", None), Parameter) else "embeddings"
        kernel = getattr(self.layer, self._weight, None)
        if not isinstance(kernel, Parameter) or self.layer.is_eager:
            raise TypeError(
                f"{self.name}: layer must be one of nnx's own with a weight kernel or embeddings, such as Dense(10), "
                f"got {self.layer!r}"
            )
        self.kernel = kernel
        self.own_weights.append(kernel)
        size = kernel.shape[-1]
        initial = TruncatedNormal(stddev=0.02)
        self.vector_u = self.add_weight((1, size), initial, name="vector_u", trainable=False, dtype=kernel.dtype)
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Any, Pullback]:
        if not training:
            return self.layer.run(x, training=training)
        setattr(self.layer, self._weight, self._normalized())
        try:
            return self.layer.run(x, training=training)
        finally:
            setattr(self.layer, self._weight, self.kernel)

    def _normalized(self) -> Parameter:
        """The kernel divided by its largest singular value."""
        value = self.kernel.value
        xp, plain = array_namespace(value), lower(value)
        rows = array_namespace(plain).reshape(plain, (-1, plain.shape[-1]))
        u, v = self._iterated(rows, lower(self.vector_u.value))
        self.vector_u.value[...] = u
        sigma = xp.sum(xp.matmul(xp.reshape(value, rows.shape), u.T) * v.T)
        sigma = xp.where(array_namespace(plain).any(plain != 0.0), sigma, 1.0)

        def pull_back(dy: Array) -> Array:
            along = xp.sum(dy * value) / sigma**2
            return dy / sigma - xp.reshape(v.T @ u, value.shape) * along

        return _Divided(value / sigma, self.kernel, pull_back)

    def _iterated(self, rows: Array, u: Array) -> tuple[Array, Array]:
        """The vectors u (1, n) and v (1, m) of a matrix (m, n); u as it was where the matrix is 0."""
        xp, before = array_namespace(rows), u
        for _ in range(self.power_iterations):
            v = _of_length_one(u @ rows.T)
            u = _of_length_one(v @ rows)
        return xp.where(xp.any(rows != 0.0), u, before), v

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)


def _of_length_one(vector: Array) -> Array:
    xp = array_namespace(vector)
    return vector / xp.sqrt(xp.maximum(xp.sum(vector * vector), 1e-12))


class _Divided(Parameter):
    """A parameter's value divided by a number, in its place: what it receives goes to the parameter itself."""

    __slots__ = ("_kernel", "_pull_back")

    def __init__(self, value: Array, kernel: Parameter, pull_back: Callable[[Array], Array]) -> None:
        super().__init__(value, kernel.name)
        self._kernel, self._pull_back = kernel, pull_back

    @property
    def backward(self) -> Any:
        """The kernel's, also where gradients are asked for by what did not train it when this was made."""
        return self._kernel.backward

    @backward.setter
    def backward(self, backward: Any) -> None:
        """Nothing: it is the kernel's."""

    def receive(self, cotangent: Array) -> None:
        self._kernel.receive(self._pull_back(cotangent))
