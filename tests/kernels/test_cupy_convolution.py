"""What the table cannot ask of CuPy's convolutions: a batch in several pieces."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.backends.base import find_backend
from nnx.kernels.cupy import convolution as cupy_convolution
from nnx.testing import assert_close
from nnx.testing.kernel_examples import Values
from nnx.windows import Windows, windows_of

CUPY = find_backend("cupy")
pytestmark = pytest.mark.skipif(CUPY.problem() is not None, reason=f"cupy cannot be used: {CUPY.problem()}")

WINDOWS = windows_of("test", (5, 6), (3, 3), (1, 1), "same")


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("images_of_piece", [1, 2, 3])
def test_a_batch_in_pieces_is_the_batch(groups: int, images_of_piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = Values(CUPY, "float32", "contiguous", 5)
    x, y, kernel = values.normal(5, 5, 6, 4), values.normal(5, 5, 6, 6), values.normal(3, 3, 4 // groups, 6)

    def results(windows: Windows) -> list[np.ndarray]:
        return [
            cupy_convolution.correlate(x, kernel, windows, groups),
            cupy_convolution.correlate_transposed(y, kernel, windows, groups),
            cupy_convolution.correlate_kernel(x, y, windows, groups),
        ]

    whole = results(WINDOWS)
    of_image = 4 * 30 * 9 * 4  # bytes of the columns of an image
    monkeypatch.setattr(cupy_convolution, "_MOST", images_of_piece * of_image)
    assert len(list(cupy_convolution._pieces(5, WINDOWS, 4, groups, x))) == -(-5 // images_of_piece)
    for found, expected in zip(results(WINDOWS), whole, strict=True):
        assert_close(found, expected, length=150, like=expected)
