"""Affine maps whose kernels have more than two axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.functional.affine import project
from nnx.functional.attention import project_heads, self_attention
from nnx.parameters import Parameter
from nnx.pullbacks import SKIP, Differentiable, LayerPullback, Pullback, linear, zero_cotangent


class Projection:
    """An affine map between several axes: `dense` with the kernel and the output reshaped.

    kernel : (of the input's axes..., of the output's axes...), the first `inner` of which belong to the input.
    bias : (of the output's axes...), or None.
    bias_counts : False where what follows is the same for any bias. Then its gradient is 0, and not the rounding errors
        of a sum that cancels, which an optimiser such as Adam would follow as if they were a direction.
    """

    def __init__(self, kernel: Parameter, bias: Parameter | None, inner: int, bias_counts: bool = True) -> None:
        self.kernel, self.bias, self.inner, self.bias_counts = kernel, bias, inner, bias_counts

    @property
    def parameters(self) -> list[Parameter]:
        """The kernel, and the bias if there is one."""
        return [self.kernel] if self.bias is None else [self.kernel, self.bias]

    def __call__(self, x: Array, end: Differentiable = linear) -> tuple[Array, LayerPullback]:
        bias = None if self.bias is None else self.bias.value
        y, pullback = project(x, self.kernel.value, bias, self.inner, end)
        return y, _routed(pullback, [self])


def project_together(x: Array, projections: Sequence[Projection]) -> tuple[tuple[Array, ...], LayerPullback]:
    """Several projections of one array, whose inner axes are one, all with a bias or all without."""
    values = [parameter.value for projection in projections for parameter in projection.parameters]
    ys, pullback = project_heads(x, *values, biased=projections[0].bias is not None)
    return ys, _routed(pullback, projections)


def attend_to_itself(
    x: Array, mask: Array | None, projections: Sequence[Projection], **options: Any
) -> tuple[tuple[Array, Array], LayerPullback]:
    """Attention of an array to itself, with projections to queries, keys, values and output; see `self_attention`."""
    values = [parameter.value for projection in projections for parameter in projection.parameters]
    found, pullback = self_attention(x, mask, *values, biased=projections[0].bias is not None, **options)
    return found, _routed(pullback, projections)


def _routed(pullback: Pullback, projections: Sequence[Projection]) -> LayerPullback:
    """The pullback that sends cotangents to the parameters, and 0 to a bias that does not count."""
    targets = [(one, parameter) for one in projections for parameter in one.parameters]
    idle = [index for index, (one, p) in enumerate(targets, 1) if p is one.bias and not one.bias_counts]

    def pull_back(dy: Any, out: Sequence[Any]) -> tuple[Array | None, ...]:
        cotangents = list(pullback(dy, out=[SKIP if index in idle else place for index, place in enumerate(out)]))
        for index in idle:
            cotangents[index] = zero_cotangent(targets[index - 1][1].value, out[index])
        return tuple(cotangents)

    return LayerPullback(pull_back, (None, *(parameter for _, parameter in targets)), direct=True)
