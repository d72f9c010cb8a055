"""Images read through affine maps, for CuPy: one launch for the maps, one for the images, one for their cotangents.

Each pixel of the result reads the four pixels around its place, or the nearest one. In the pullback it adds to them, by
atomic additions, whose order changes the last digit from run to run: `nnx.set_deterministic`.
"""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import Pullback

_FILL_MODES = {"constant": 0, "nearest": 1, "reflect": 2, "wrap": 3}
_INTERPOLATIONS = ("bilinear", "nearest")

_READING = """
__device__ long long nnx_in_range(long long index, long long size, int fill_mode) {
    if (fill_mode < 2) return index < 0 ? 0 : index < size ? index : size - 1;
    const long long period = fill_mode == 2 ? 2 * size : size;
    index %= period;
    if (index < 0) index += period;
    return index < size ? index : period - 1 - index;
}
// Along one axis, the indices that a place between pixels is read from, and their weights.
template <class W> __device__ void nnx_along(
    W place, long long size, bool nearest, int fill_mode, long long* index, W* weight
) {
    #pragma unroll
    for (int k = 0; k < 2; ++k) {
        const W whole = nearest ? (place < 0 ? ceil(place - (W)0.5) : floor(place + (W)0.5)) : floor(place) + k;
        const long long given = (long long)whole;
        index[k] = nnx_in_range(given, size, fill_mode);
        weight[k] = nearest ? (W)(1 - k) : (W)1 - fabs(place - whole);
        if (fill_mode == 0 && index[k] != given) weight[k] = 0;
    }
}
"""
_MAP = "raw S maps, int64 height, int64 width, int64 channels, bool nearest, int32 fill_mode"
_PLACES = """
    const long long channel = i % channels, pixel = i / channels, u = pixel % width, v = pixel / width % height;
    const long long image = pixel / width / height, start = 6 * image;
    const S a0 = maps[start], a1 = maps[start + 1], a2 = maps[start + 2];
    const S b0 = maps[start + 3], b1 = maps[start + 4], b2 = maps[start + 5];
    long long rows[2], columns[2];
    W row_weights[2], column_weights[2];
    nnx_along<W>(a0 * (W)u + a1 * (W)v + a2, width, nearest, fill_mode, columns, column_weights);
    nnx_along<W>(b0 * (W)u + b1 * (W)v + b2, height, nearest, fill_mode, rows, row_weights);
"""


def _each_reading(statement: str) -> str:
    """A statement for each pixel that is read: its element of x is `place`, and its weight `weight`."""
    return f"""
    #pragma unroll
    for (int a = 0; a < 2; ++a) {{
        #pragma unroll
        for (int b = 0; b < 2; ++b) {{
            if (nearest && (a || b)) continue;
            const W weight = row_weights[a] * column_weights[b];
            const long long place = ((image * height + rows[a]) * width + columns[b]) * channels + channel;
            {statement}
        }}
    }}
    """


_READ = ElementwiseKernel(
    "affine_transform",
    f"raw T x, {_MAP}, float64 fill_value",
    "T y",
    f"""{_PLACES}
    W sum = 0, total = 0;
    {_each_reading("sum += (W)x[place] * weight; total += weight;")}
    y = fill_mode == 0 && fill_value != 0 ? sum + (W)fill_value * ((W)1 - total) : sum;
    """,
    _READING,
)
_ADD = ElementwiseKernel(
    "affine_transform_pullback",
    f"T dy, {_MAP}",
    "raw S dx",
    f"{_PLACES}{_each_reading('atomicAdd(&dx[place], (W)dy * weight);')}",
    _READING,
)


def _accepts(
    x: Array,
    transform: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str = "channels_last",
) -> bool:
    known = interpolation in _INTERPOLATIONS and fill_mode in _FILL_MODES and data_format == "channels_last"
    return known and is_floating(x) and x.ndim == 4 and x.size > 0 and transform.shape == (x.shape[0], 6)


@backend_kernel(KERNELS, accepts=_accepts, deterministic=False)
def affine_transform(
    x: Array,
    transform: Array,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str = "channels_last",
) -> tuple[Array, Pullback]:
    wide = "float64" if x.dtype == "float64" else "float32"
    maps = contiguous(transform.astype(wide, copy=False))
    how = (maps, *x.shape[1:], interpolation == "nearest", _FILL_MODES[fill_mode])
    y = CUPY.xp.empty(x.shape, dtype=x.dtype, device=x.device)
    _READ(contiguous(x), *how, fill_value, y)

    def pullback(dy: Array) -> Array:
        dx = CUPY.xp.zeros(dy.shape, dtype=wide, device=dy.device)
        _ADD(dy, *how, dx)
        return dx.astype(dy.dtype, copy=False)

    return y, pullback


def _maps(name: str, given: str, *elements: str, start: str = "") -> ElementwiseKernel:
    """A kernel that writes the six numbers of the map of each image."""
    written = " ".join(f"maps[6 * i + {index}] = {element};" for index, element in enumerate(elements))
    return ElementwiseKernel(name, given, "raw T maps", start + written)


_MIDDLE = "const T u = 0.5 * (width - 1), v = 0.5 * (height - 1);"
_TRANSLATIONS = _maps("translations", "T right, T down", "1", "0", "-right", "0", "1", "-down")
_SHEARS = _maps("shears", "T right, T down, T sign", "1", "sign * right", "0", "sign * down", "1", "0")
_ZOOMS = _maps(
    "zooms",
    "T horizontal, T vertical, int64 height, int64 width",
    *("horizontal", "0", "u * (1 - horizontal)", "0", "vertical", "v * (1 - vertical)"),
    start=_MIDDLE,
)
_ROTATIONS = _maps(
    "rotations",
    "T angle, int64 height, int64 width",
    *("cosine", "-sine", "u - u * cosine + v * sine", "sine", "cosine", "v - u * sine - v * cosine"),
    # of multiples of pi, as the reduction of other angles, which may be large, needs memory
    start=f"{_MIDDLE} const double half_turns = angle * 0.3183098861837907;"
    "const T sine = sinpi(half_turns), cosine = cospi(half_turns);",
)


def _accepts_numbers(*arguments: Any) -> bool:
    arrays = [argument for argument in arguments if hasattr(argument, "dtype")]
    return is_floating(*arrays) and arrays[0].dtype != "float16"


def _of_images(kernel: ElementwiseKernel, first: Array, *others: Any) -> Array:
    maps = CUPY.xp.empty((first.shape[0], 6), dtype=first.dtype, device=first.device)
    kernel(first, *others, maps)
    return maps


@backend_kernel(KERNELS, accepts=_accepts_numbers)
def translations(right: Array, down: Array) -> Array:
    return _of_images(_TRANSLATIONS, right, down)


@backend_kernel(KERNELS, accepts=_accepts_numbers)
def rotations(angle: Array, height: int, width: int) -> Array:
    return _of_images(_ROTATIONS, angle, height, width)


@backend_kernel(KERNELS, accepts=_accepts_numbers)
def zooms(horizontal: Array, vertical: Array, height: int, width: int) -> Array:
    return _of_images(_ZOOMS, horizontal, vertical, height, width)


@backend_kernel(KERNELS, accepts=_accepts_numbers)
def shears(right: Array, down: Array, sign: Array) -> Array:
    return _of_images(_SHEARS, right, down, sign)
