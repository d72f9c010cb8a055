"""Initializers: distributions, repeatability, and every way to write one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import nnx
from nnx import initializers
from nnx.initializers import compute_fans
from nnx.random import Generator
from nnx.registry import serialize

SHAPE = (300, 200)

# name: constructor arguments, then mean, standard deviation and largest magnitude for SHAPE (None: no limit)
TABLE = {
    "Constant": ({"value": 2.5}, 2.5, 0.0, 2.5),
    "GlorotNormal": ({}, 0.0, math.sqrt(2 / 500), 2 * math.sqrt(2 / 500) / 0.87962566103423978),
    "GlorotUniform": ({}, 0.0, math.sqrt(2 / 500), math.sqrt(6 / 500)),
    "HeNormal": ({}, 0.0, math.sqrt(2 / 300), 2 * math.sqrt(2 / 300) / 0.87962566103423978),
    "HeUniform": ({}, 0.0, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "Identity": ({"gain": 3.0}, 3.0 / 300, 3.0 * math.sqrt(1 / 300 * 299 / 300), 3.0),
    "LecunNormal": ({}, 0.0, math.sqrt(1 / 300), 2 * math.sqrt(1 / 300) / 0.87962566103423978),
    "LecunUniform": ({}, 0.0, math.sqrt(1 / 300), math.sqrt(3 / 300)),
    "Ones": ({}, 1.0, 0.0, 1.0),
    "Orthogonal": ({"gain": 2.0}, 0.0, 2.0 / math.sqrt(300), None),
    "RandomNormal": ({}, 0.0, 0.05, None),
    "RandomUniform": ({}, 0.0, 0.05 / math.sqrt(3), 0.05),
    "TruncatedNormal": ({}, 0.0, 0.05 * 0.87962566103423978, 0.1),
    "VarianceScaling": (
        {"scale": 0.5, "mode": "fan_out", "distribution": "untruncated_normal"},
        *(0.0, math.sqrt(0.5 / 200), None),
    ),
    "Zeros": ({}, 0.0, 0.0, 0.0),
}
RANDOM = sorted(set(TABLE) - {"Constant", "Identity", "Ones", "Zeros"})


def _make(name, **more):
    return getattr(initializers, name)(**TABLE[name][0], **more)


def test_every_initializer_has_a_row():
    assert {*TABLE, "STFT"} == set(initializers.registry.objects)


def test_stft_is_a_transform_in_a_window():
    length, frequencies = 6, 5
    frame = Generator(1).normal((length,))
    for periodic, scale in ((True, None), (False, "spectrum"), (False, "density")):
        window = np.hanning(length + 1)[:-1] if periodic else np.hanning(length)
        norm = {None: 1.0, "spectrum": window.sum(), "density": np.sqrt((window**2).sum())}[scale]
        expected = np.fft.rfft(frame * window / norm, 2 * (frequencies - 1))
        parts = [
            frame @ initializers.STFT(side, "hann", scale, periodic)((length, 1, frequencies), "float64")[:, 0]
            for side in ("real", "imag")
        ]
        np.testing.assert_allclose(parts, [expected.real, expected.imag], atol=1e-12)
    for name, edge in (("bartlett", 0.0), ("blackman", 0.0), ("hamming", 0.08), ("boxcar", 1.0)):
        drawn = initializers.STFT("real", name, None)((5, 1, 3), "float64")[:, 0, 0]
        np.testing.assert_allclose(drawn[[0, 2, 4]], [edge, 1.0, edge], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_distribution(name):
    _, mean, deviation, largest = TABLE[name]
    values = _make(name)(SHAPE, "float64", Generator(5))
    assert isinstance(values, np.ndarray)
    assert values.shape == SHAPE
    assert abs(values.mean() - mean) <= 5 * deviation / math.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=0.02)
    if largest is not None:
        assert np.abs(values).max() <= largest
        assert np.abs(values).max() >= 0.99 * largest


@pytest.mark.parametrize("name", sorted(TABLE))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_and_default(name, dtype):
    drawn = _make(name)([3, 2], dtype, Generator(1))
    assert drawn.dtype == dtype
    np.testing.assert_array_equal(drawn, _make(name)((3, 2), "float64", Generator(1)).astype(dtype))
    assert _make(name)((3, 2)).dtype == np.float32


@pytest.mark.parametrize("name", RANDOM)
def test_where_the_numbers_come_from(name):
    seeded = _make(name, seed=7)
    first = seeded((4, 3))
    assert (first == seeded((4, 3))).all()
    assert (first == _make(name)((4, 3), generator=Generator(7))).all()
    assert (first == seeded((4, 3), generator=Generator(8))).all()
    stream = Generator(7)
    assert (_make(name)((4, 3), generator=stream) != _make(name)((4, 3), generator=stream)).any()
    nnx.random.set_seed(7)
    assert (first == _make(name)((4, 3))).all()
    assert (first != _make(name)((4, 3))).any()


@pytest.mark.parametrize("name", sorted(TABLE))
def test_config(name):
    initializer = _make(name, **({"seed": 3} if name in RANDOM else {}))
    config = json.loads(json.dumps(serialize(initializer)))
    again = initializers.resolve(config)
    assert type(again) is type(initializer)
    np.testing.assert_array_equal(again((3, 3)), initializer((3, 3)))


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((5,), (5, 5)), ((4, 7), (4, 7)), ((3, 2, 5), (6, 15)), ((3, 3, 8, 16), (72, 144))],
)
def test_fans(shape, fans):
    assert compute_fans(shape) == fans


def test_fans_of_given_axes():
    assert compute_fans((4, 2, 3), input_axes=(0,), output_axes=(1, 2)) == (4, 6)
    limit = math.sqrt(6 / (4000 + 6))
    drawn = initializers.GlorotUniform(input_axes=(0,), output_axes=(1, 2))((4000, 2, 3), "float64")
    assert 0.99 * limit < np.abs(drawn).max() <= limit


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "untruncated_normal", "uniform", "Uniform"])
def test_variance_scaling(mode, distribution):
    shape = (3, 3, 40, 80)
    fan = {"fan_in": 360, "fan_out": 720, "fan_avg": 540}[mode]
    drawn = initializers.VarianceScaling(1.5, mode, distribution)(shape, "float64", Generator(2))
    assert drawn.var() == pytest.approx(1.5 / fan, rel=0.03)


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = initializers.Orthogonal(gain=2.0)(shape, "float64").reshape(-1, shape[-1])
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 4.0 * np.eye(matrix.shape[1]), atol=1e-12)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        *[("normal", "RandomNormal"), ("random_normal", "RandomNormal"), ("uniform", "RandomUniform")],
        *[("random_uniform", "RandomUniform"), ("truncated_normal", "TruncatedNormal"), ("zero", "Zeros")],
        *[("zeros", "Zeros"), ("one", "Ones"), ("ones", "Ones"), ("constant", "Constant"), ("identity", "Identity")],
        *[("glorot_uniform", "GlorotUniform"), ("glorot_normal", "GlorotNormal"), ("he_normal", "HeNormal")],
        *[("he_uniform", "HeUniform"), ("lecun_normal", "LecunNormal"), ("lecun_uniform", "LecunUniform")],
        *[("orthogonal", "Orthogonal"), ("variance_scaling", "VarianceScaling")],
    ],
)
def test_names_of_keras(alias, name):
    wanted = getattr(initializers, name)
    assert getattr(initializers, alias) is wanted
    for identifier in (alias, name, wanted, wanted()):
        assert type(initializers.resolve(identifier)) is wanted


def test_constant_of_an_array(backend):
    values = np.asarray([1.0, 2.0, 3.0])
    initializer = initializers.resolve(backend.asarray(values))
    np.testing.assert_array_equal(initializer((3,)), values)
    assert serialize(initializer) == {"class_name": "Constant", "config": {"value": [1.0, 2.0, 3.0]}}
    np.testing.assert_array_equal(initializers.Constant([1, 2, 3])((2, 3)), [[1, 2, 3], [1, 2, 3]])
    with pytest.raises(ValueError, match=r"a value of shape \(3,\) does not fit a parameter \(2,\)"):
        initializer((2,))


def test_function_of_ones_own(backend):
    def ramp(shape, dtype=None):
        return backend.asarray(np.arange(float(math.prod(shape))).reshape(shape))

    initializer = initializers.resolve(ramp)
    drawn = initializer((2, 3), "float64", generator=Generator(0))
    assert isinstance(drawn, np.ndarray)
    assert drawn.dtype == np.float64
    assert drawn.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert initializers.resolve(initializer) is initializer
    assert serialize(initializer) == "ramp"


def test_function_that_takes_the_generator():
    initializer = initializers.resolve(lambda shape, dtype, generator: generator.normal(shape))
    np.testing.assert_array_equal(initializer((3,), "float64", Generator(1)), Generator(1).normal((3,)))


def test_subclass_in_the_way_of_keras():
    class Half(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 0.5, dtype=dtype)

    assert initializers.resolve(Half())((2,), "float32").tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0.0), "scale must be positive, got 0.0"),
        (lambda: initializers.STFT(window="kaiser"), "window must be one of 'boxcar', 'hann'"),
        (lambda: initializers.STFT(window=[1.0])((2, 1, 3)), r"window must have the shape \(2,\) of a frame"),
        (lambda: initializers.STFT()((2, 2)), r"a shape \(frame_length, 1, frequencies\), got \(2, 2\)"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode must be 'fan_in', 'fan_out' or 'fan_avg', got 'fan'"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "distribution must be .*, got 'cauchy'"),
        (lambda: initializers.Identity()((2, 2, 2)), r"matrices, with a shape of two sizes; got \(2, 2, 2\)"),
        (lambda: initializers.Orthogonal()((2,)), r"shape of two or more sizes; got \(2,\)"),
        (lambda: initializers.resolve("glorot"), "unknown initializer 'glorot': did you mean"),
        (lambda: initializers.resolve(lambda shape, dtype: np.ones(3))((2,)), r"of shape \(2,\), got \(3,\)"),
        (lambda: initializers.RandomNormal(seed=-1)((2,)), "seed must be a non-negative integer"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_not_an_initializer():
    assert initializers.resolve(None) is None
    with pytest.raises(TypeError, match="an initializer is a name such as 'glorot_uniform'"):
        initializers.resolve(3)
