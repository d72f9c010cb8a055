"""Gradient tapes: what they give for parameters and arrays, what they refuse, and derivatives of derivatives."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.autodiff.array import TrackedArray
from nnx.autodiff.tape import Tape
from nnx.backends import Placement
from nnx.structure import leaves
from nnx.testing import assert_close
from nnx.testing.rows.layer_case import IndexCase, MergeCase
from nnx.testing.rows.layers import LAYERS

RNG = np.random.default_rng(0)
X, Y = RNG.random((5, 3)).astype("float32"), RNG.random((5, 1)).astype("float32")


def xp_of(x: Any) -> Any:
    return nnx.array_namespace(x)


def mean_square(x: Any) -> Any:
    return xp_of(x).mean(x * x)


@pytest.fixture
def model(backend):
    nnx.random.set_seed(1)
    return nnx.Sequential(
        [layers.Dense(4, activation="tanh", input_dim=3), layers.BatchNormalization(), layers.Dense(1)]
    )


# First order


def test_gradient_of_a_watched_array(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray([1.0, 3.0]))
        y = xp_of(x).sum(x**3)
    gradient = tape.gradient(y, x)
    assert_close(gradient, [3.0, 27.0])
    assert not isinstance(gradient, TrackedArray)
    assert type(gradient) is type(backend.asarray([1.0]))


def test_gradients_come_in_the_structure_of_the_sources(backend):
    with nnx.GradientTape() as tape:
        both = tape.watch({"b": backend.asarray([2.0]), "a": [backend.asarray([3.0])]})
        y = (both["b"] * both["a"][0])[0]
    gradients = tape.gradient(y, both)
    assert_close(gradients["b"], [3.0])
    assert_close(gradients["a"][0], [2.0])


def test_gradients_of_a_model_are_those_of_its_pullback(backend, model):
    x, y = backend.asarray(X), backend.asarray(Y)
    with nnx.GradientTape() as tape:
        loss = mean_square(model(x, training=True) - y)
    gradients = tape.gradient(loss, model.trainable_variables)
    output, pullback = model.forward(x, training=True)
    pullback((output - y) * (2.0 / 5))
    for parameter, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert_close(gradient, parameter.grad, rtol=1e-5, atol=1e-6)


def test_gradient_leaves_the_gradients_of_a_model_alone(backend, model):
    x = backend.asarray(X)
    y, pullback = model.forward(x)
    pullback(y)
    before = nnx.to_numpy(model.flat.grads).copy()
    with nnx.GradientTape() as tape:
        loss = mean_square(model(x))
    tape.gradient(loss, model.trainable_variables)
    assert_close(model.flat.grads, before)
    y, pullback = model.forward(x)
    pullback(y)  # and they go on gathering
    assert_close(model.flat.grads, 2.0 * before, rtol=1e-5)


def test_backward_sends_gradients_into_the_model(backend, model):
    x = backend.asarray(X)
    with nnx.GradientTape(persistent=True) as tape:
        loss = mean_square(model(x, training=True))
    wanted = tape.gradient(loss, model.trainable_variables)
    model.flat.start_pass()
    tape.backward(loss, model)
    for parameter, gradient in zip(model.trainable_variables, wanted, strict=True):
        assert_close(parameter.grad, gradient)
    tape.backward(loss, model)  # gradients are gathered until the optimizer steps
    for parameter, gradient in zip(model.trainable_variables, wanted, strict=True):
        assert_close(parameter.grad, 2.0 * gradient, rtol=1e-5, atol=1e-7)
    before = model.get_weights()
    nnx.optimizers.SGD(0.5).step(model)
    assert_close(model.get_weights()[0], before[0] - nnx.to_numpy(wanted[0]), rtol=1e-5, atol=1e-6)


def test_backward_into_one_model_leaves_another_alone(backend, model):
    other = nnx.Sequential([layers.Dense(3, input_dim=3)])
    for one in (model, other):
        one.flat.grads[...] = 7.0
    with nnx.GradientTape() as tape:
        loss = mean_square(model(other(backend.asarray(X))))
    tape.backward(loss, model)
    assert_close(other.flat.grads, np.full(12, 7.0))
    assert not np.any(nnx.to_numpy(model.trainable_variables[0].grad) == 7.0)


def test_a_parameter_without_a_path_has_no_gradient(backend):
    used, unused = layers.Dense(1), layers.Dense(1)
    x = backend.asarray(X)
    unused(x)
    with nnx.GradientTape() as tape:
        loss = mean_square(used(x))
        unused(x)
    assert tape.gradient(loss, [used.kernel, unused.kernel])[1] is None


def test_parameters_in_expressions_and_in_layers_add_up(backend):
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    x = backend.asarray(X)
    dense(x)
    with nnx.GradientTape() as tape:
        y, doubled = dense(x), dense.kernel * 2.0
        loss = xp_of(y).sum(y) + xp_of(y).sum(doubled)
    assert_close(tape.gradient(loss, dense.kernel), X.sum(axis=0)[:, None] + 2.0, rtol=1e-5)


def test_a_parameter_of_integers_is_a_constant(backend):
    with nnx.backend(backend.name, device=backend.device, dtype=backend.dtype):
        steps, weight = nnx.Variable(3, dtype="int32"), nnx.Variable(2.0)
    with nnx.GradientTape() as tape:
        loss = weight * nnx.ops.cast(steps, "float32")
    found = tape.gradient(loss, [steps, weight])
    assert found[0] is None
    assert float(found[1]) == 3.0
    with nnx.GradientTape() as tape:
        square = steps * steps
    with pytest.raises(ValueError, match="integers and comparisons have no derivative"):
        tape.gradient(square, steps)


def test_who_writes_into_a_watched_array_changes_no_gradient(backend):
    given = backend.asarray([1.0, 3.0])
    with nnx.GradientTape() as tape:
        x = tape.watch(given)
        y = nnx.ops.sum(x * x)
    given[...] = 7.0
    assert float(y) == 10.0
    assert_close(tape.gradient(y, x), [2.0, 6.0])


def test_what_pytorch_records_itself_is_no_part_of_a_watched_array():
    torch = pytest.importorskip("torch")
    given = torch.ones(3, requires_grad=True)
    with nnx.GradientTape() as tape:
        x = tape.watch(given)
        y = nnx.ops.sum(x * x)
    gradient = tape.gradient(y, x)
    assert gradient.tolist() == [2.0, 2.0, 2.0]
    assert gradient.grad_fn is None


def test_a_parameter_that_is_not_trained_may_be_watched(backend):
    with nnx.backend(backend.name, device=backend.device, dtype=backend.dtype):
        frozen = nnx.Variable(3.0, trainable=False)
    with nnx.GradientTape() as tape:
        x = tape.watch(frozen)
        y = x * x + frozen
    assert float(tape.gradient(y, x)) == 6.0


def test_several_targets_count_together(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray(2.0))
        targets = [x * x, 3.0 * x]
    assert_close(tape.gradient(targets, x), 7.0)


def test_output_gradients_are_cotangents(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray([2.0, 3.0]))
        y = x * x
    assert_close(tape.gradient(y, x, backend.asarray([1.0, 10.0])), [4.0, 60.0])


def test_gradient_of_something_in_the_middle(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray(2.0))
        middle = x * x
        y = middle * middle
    of_middle, of_x = tape.gradient(y, [middle, x])
    assert_close(of_middle, 8.0)
    assert_close(of_x, 32.0)


# Persistence


def test_a_tape_gives_its_gradients_once(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray(2.0))
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match=r"gives its gradients once.*GradientTape\(persistent=True\)"):
        tape.gradient(y, x)


def test_tracked_arrays_are_plain_numbers_afterwards(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray(2.0))
        y = x * x
    with pytest.raises(TypeError, match=r"nnx\.stop_gradient"):
        np.asarray(y)
    tape.gradient(y, x)
    if backend.name == "numpy":
        assert np.asarray(y) == 4.0
    assert float(y) == 4.0


def test_a_persistent_tape_may_be_asked_often(backend):
    with nnx.GradientTape(persistent=True) as tape:
        x = tape.watch(backend.asarray(2.0))
        y = x * x
        z = y * x
        assert_close(tape.gradient(y, x), 4.0)  # inside of the block too
        w = z * x
    assert_close(tape.gradient(z, x), 12.0)
    assert_close(tape.gradient(w, x), 32.0)


def _apply(model, gradients):
    model.optimizer.apply(gradients, model.trainable_variables)


def _step(model, gradients):
    for parameter, gradient in zip(model.flat.parameters, gradients, strict=True):
        parameter.receive(gradient)
    nnx.optimizers.SGD(0.5).step(model)


def _assign(model, gradients):
    for parameter, gradient in zip(model.trainable_variables, gradients, strict=True):
        parameter.assign_sub(0.5 * gradient)


def _set_weights(model, gradients):
    model.set_weights([weight + 0.5 for weight in model.get_weights()])


@pytest.mark.parametrize("change", [_apply, _step, _assign, _set_weights])
@pytest.mark.parametrize("in_block", [False, True], ids=["after the block", "in the block"])
def test_gradients_are_taken_where_the_parameters_were(backend, change, in_block):
    """Though they have been changed since, in the flat buffer too."""
    nnx.random.set_seed(1)
    model = nnx.Sequential([layers.Dense(4, activation="tanh", input_dim=3), layers.Dense(1)])
    model.compile(nnx.optimizers.Adam(0.5), "mse")
    x, parameters = backend.asarray(X), model.trainable_variables
    for _ in range(2):
        before = model.get_weights()
        with nnx.GradientTape(persistent=True) as tape:
            y = model(x)
            first, second = mean_square(y), mean_square(y - 1.0) + mean_square(parameters[0] * 1.0)
            expected = [nnx.to_numpy(g) for g in tape.gradient(second, parameters)]
            if in_block:
                change(model, tape.gradient(first, parameters))
        if not in_block:
            change(model, tape.gradient(first, parameters))
        assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
        for found, right in zip(tape.gradient(second, parameters), expected, strict=True):
            assert_close(found, right, length=20)


def test_a_tape_that_was_asked_keeps_no_parameter_from_changing_in_place(backend, model):
    model.compile("sgd", "mse")
    parameters = model.trainable_variables
    for persistent in (False, True):
        with nnx.GradientTape(persistent) as tape:
            loss = mean_square(model(backend.asarray(X)))
        tape.gradient(loss, parameters)
        if persistent:
            del tape
        flat = model.flat
        parameters[0].assign_add(1.0)
        assert model.flat is flat


def test_two_networks_change_one_after_the_other(backend):
    """Each has its tape, and the loss of the second goes through the first."""
    nnx.random.set_seed(1)
    critic, maker = (nnx.Sequential([layers.Dense(3, "tanh", input_dim=3), layers.Dense(3)]) for _ in range(2))
    optimizers = nnx.optimizers.SGD(0.5), nnx.optimizers.SGD(0.5)
    x = backend.asarray(X)
    for _ in range(2):
        with nnx.GradientTape() as of_critic, nnx.GradientTape() as of_maker:
            made = critic(maker(x))
            first, second = mean_square(made), mean_square(made - 1.0)
        with nnx.GradientTape() as alone:
            loss = mean_square(critic(maker(x)) - 1.0)
        expected = alone.gradient(loss, maker.trainable_variables)
        optimizers[0].apply(of_critic.gradient(first, critic.trainable_variables), critic.trainable_variables)
        found = of_maker.gradient(second, maker.trainable_variables)
        for one, right in zip(found, expected, strict=True):
            assert_close(one, nnx.to_numpy(right), length=20)
        optimizers[1].apply(found, maker.trainable_variables)


def test_gradient_inside_of_the_block(backend):
    with nnx.GradientTape() as tape:
        x = tape.watch(backend.asarray(2.0))
        y = x * x
        assert_close(tape.gradient(y, x), 4.0)
        assert float(x * y) == 8.0
    assert nnx.grad(lambda x: x * x)(backend.asarray(3.0)) == 6.0


def test_nothing_stays_alive(backend, model):
    x = backend.asarray(X)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(one) is Tape for one in gc.get_objects())
        for _ in range(3):
            with nnx.GradientTape() as tape:
                loss = mean_square(model(x))
            tape.gradient(loss, model.trainable_variables)
        with nnx.GradientTape() as tape:
            mean_square(model(x))
        del tape, loss
        assert sum(type(one) is Tape for one in gc.get_objects()) == before
    finally:
        gc.enable()


# Errors


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (lambda x, plain: x, r"target of shape \(2,\): take nnx.ops.mean or nnx.ops.sum"),
        (lambda x, plain: plain, "the target, an array of shape .* was not recorded"),
        (lambda x, plain: 3.0, "the target, float, was not recorded"),
        (lambda x, plain: nnx.stop_gradient(x)[0], "without nnx.stop_gradient"),
        (lambda x, plain: xp_of(x).argmax(x), "integers and comparisons have no derivative"),
    ],
)
def test_targets_that_have_no_gradient(backend, target, says):
    with nnx.GradientTape() as tape:
        plain = backend.asarray([1.0, 2.0])
        x = tape.watch(plain)
        y = target(x, plain)
    with pytest.raises(ValueError, match=says):
        tape.gradient(y, x)


def test_sources_that_have_no_gradient(backend):
    plain, integers = backend.asarray([1.0]), backend.asarray([1], "int64")
    with nnx.GradientTape(persistent=True) as tape:
        x = tape.watch(plain)
        y = x[0]
    with pytest.raises(ValueError, match=r"does not watch this array of shape \(1,\): .*x = tape.watch\(x\)"):
        tape.gradient(y, plain)
    with pytest.raises(TypeError, match="floating numbers, got an array of"):
        tape.gradient(y, integers)
    with pytest.raises(TypeError, match="parameters and arrays, got str"):
        tape.gradient(y, "kernel")
    with pytest.raises(TypeError, match="watches floating numbers"):
        tape.watch(integers)
    with pytest.raises(TypeError, match=r"watches arrays, got float: write tape.watch\(nnx.asarray\(x\)\)"):
        tape.watch(1.0)


def test_a_tape_before_its_block():
    with pytest.raises(RuntimeError, match=r"with nnx\.GradientTape"):
        nnx.GradientTape().watch(np.ones(2))


def test_backward_into_a_model_that_was_not_called(backend, model):
    other = nnx.Sequential([layers.Dense(3, input_dim=3)])
    with nnx.GradientTape() as tape:
        loss = mean_square(other(backend.asarray(X)))
    with pytest.raises(ValueError, match="depends on no parameter that sequential trains"):
        tape.backward(loss, model)


# Derivatives of derivatives


def test_tapes_inside_tapes(backend):
    with nnx.GradientTape() as outer:
        x = outer.watch(backend.asarray(3.0))
        with nnx.GradientTape() as inner:
            z = inner.watch(x)
            y = z**3
        slope = inner.gradient(y, z)
    assert float(slope) == 27.0
    assert_close(outer.gradient(slope, x), 18.0)


@pytest.mark.parametrize("first", ["outer", "inner"])
@pytest.mark.parametrize("way", ["gradient", "backward"])
def test_two_tapes_of_one_block(backend, first, way):
    """As tutorials train two networks against each other: each tape has the gradients of one of them."""
    nnx.random.set_seed(1)
    maker = nnx.Sequential([layers.Dense(4, "tanh", input_dim=3), layers.BatchNormalization(), layers.Dense(3)])
    critic = nnx.Sequential([layers.Dense(3, "tanh", input_dim=3), layers.Dense(1)])
    x = backend.asarray(X)

    def losses():
        made, real = critic(maker(x)), critic(x)
        return mean_square(made - 1.0), mean_square(made) + mean_square(real - 1.0)

    def take(tape, loss, network):
        if way == "gradient":
            return tape.gradient(loss, network.trainable_variables)
        network.flat.start_pass()
        tape.backward(loss, network)
        return [parameter.grad * 1.0 for parameter in network.trainable_variables]

    expected = []
    for number, network in enumerate((maker, critic)):
        with nnx.GradientTape() as tape:
            both = losses()
        expected.append(take(tape, both[number], network))
    with nnx.GradientTape() as outer, nnx.GradientTape() as inner:
        both = losses()
    asked = [(outer, both[0], maker), (inner, both[1], critic)]
    found = [take(*one) for one in (asked if first == "outer" else asked[::-1])]
    for mine, right in zip(found if first == "outer" else found[::-1], expected, strict=True):
        for one, other in zip(mine, right, strict=True):
            assert backend.holds(one)
            assert_close(one, nnx.to_numpy(other), length=30)


def test_arrays_of_two_tapes_of_one_block(backend):
    with nnx.GradientTape() as outer, nnx.GradientTape() as inner:
        x, z = outer.watch(backend.asarray(2.0)), inner.watch(backend.asarray(3.0))
        square = x * x
        y = square * z
    assert [float(one) for one in outer.gradient(y, [x, square])] == [12.0, 3.0]
    assert_close(inner.gradient(y, z), 4.0)


def test_a_gradient_inside_of_a_tape(backend, model):
    x = backend.asarray(X)
    with nnx.GradientTape() as tape:
        slope = nnx.grad(lambda z: xp_of(z).sum(model(z)))(x)
        penalty = mean_square(slope)
    gradients = tape.gradient(penalty, model.trainable_variables)
    assert gradients[3] is None  # of the shift of the normalisation, on which the slope does not depend
    assert tuple(gradients[0].shape) == (3, 4)


def test_products_with_the_second_derivatives(backend):
    x, v = backend.asarray([1.0, 2.0]), backend.asarray([1.0, -1.0])

    def f(z):
        return xp_of(z).sum(z**3) + z[0] * z[1]

    product = nnx.grad(lambda z: xp_of(z).sum(nnx.grad(f)(z) * v))(x)
    assert_close(product, [6.0 - 1.0, 1.0 - 12.0])
    value, tangent = nnx.jvp(nnx.grad(f), (x,), (v,))
    assert_close(value, [5.0, 13.0])
    assert_close(tangent, [5.0, -11.0])


def _penalty(layer, inputs, alone, training, weights):
    """A number that depends on the derivative of a layer with respect to its inputs, on a tape."""
    with nnx.GradientTape() as tape:
        watched = tape.watch(inputs)
        with nnx.GradientTape() as inner:
            zs = inner.watch(watched)
            outputs = leaves(layer(zs[0] if alone else zs, training=training))
            number = sum(xp_of(y).sum(xp_of(y).sin(y) * w) for y, w in zip(outputs, weights, strict=True))
        slopes = inner.gradient(number, zs)
        penalty = sum(xp_of(d).sum(d * d) for d in slopes if d is not None)
    return tape, penalty, watched


STEPS = ("RandomPosterization", "RandAugment")  # their outputs are steps, or may be, and have no derivative
FLOATING = [
    case for name, cases in LAYERS.items() if name not in STEPS for case in cases if not isinstance(case, IndexCase)
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", FLOATING, ids=str)
def test_gradient_penalties_through_every_layer(case, training):
    """Of inputs and parameters, in float64, against differences along a random direction."""
    with nnx.backend("numpy", dtype="float64"):
        nnx.random.set_seed(5)
        rng, alone = np.random.default_rng(7), not isinstance(case, MergeCase)
        layer, given = case.make(), case.input()
        inputs = [given] if alone else list(given)
        outputs = leaves(layer(inputs[0] if alone else inputs, training=training))
        weights = [np.cos(np.arange(y.size)).reshape(y.shape) for y in outputs]
        for parameter in layer.trainable_weights:
            parameter.value += 0.1 * np.sin(np.arange(parameter.size)).reshape(parameter.shape)
        kept = [(parameter, parameter.value.copy()) for parameter in layer.weights]
        streams = [(one.random, one.random.state()) for _, one in layer.walk() if one.random is not None]

        def penalty(moves=(), step=0.0):
            for parameter, value in kept:
                parameter.value[...] = value
            for stream, state in streams:
                stream.set_state(state)
            moved = [x + step * v for x, v in zip(inputs, moves or inputs, strict=False)]
            for parameter, move in zip(layer.trainable_weights, moves[len(inputs) :], strict=False):
                parameter.value += step * move
            return _penalty(layer, moved, alone, training, weights)

        tape, value, watched = penalty()
        found = tape.gradient(value, [*watched, *layer.trainable_weights])
        shapes = [x.shape for x in (*inputs, *layer.trainable_weights)]
        moves = [rng.normal(size=shape) for shape in shapes]
        derived = sum(float(np.sum(g * v)) for g, v in zip(found, moves, strict=True) if g is not None)
        scale = max(abs(derived), float(value), 1e-3)

        def agrees(step):
            difference = (float(penalty(moves, step)[1]) - float(penalty(moves, -step)[1])) / (2 * step)
            return abs(difference - derived) < 1e-6 * scale

        assert any(map(agrees, (1e-5, 1e-4, 1e-6)))


@pytest.mark.parametrize("case", FLOATING, ids=str)
def test_gradients_of_a_layer_without_a_model(backend, case):
    """Also where the values of its parameters are not contiguous, such as those of a transposed matrix."""
    nnx.random.set_seed(5)
    alone, layer, given = not isinstance(case, MergeCase), case.make(), case.input()
    inputs = [backend.asarray(np.float32(x)) for x in ([given] if alone else given)]
    layer(inputs[0] if alone else inputs, training=False)

    def gradients():
        with nnx.GradientTape() as tape:
            outputs = leaves(layer(inputs[0] if alone else inputs, training=False))
            number = sum(xp_of(y).sum(xp_of(y).sin(y)) for y in outputs)
        return tape.gradient(number, layer.trainable_weights) if layer.trainable_weights else []

    expected = gradients()
    for parameter in layer.trainable_weights:
        twice = xp_of(parameter.value).stack([parameter.value, parameter.value], axis=-1)
        parameter.value = twice[..., 0]
    for mine, theirs in zip(gradients(), expected, strict=True):
        if theirs is not None:
            assert_close(mine, nnx.to_numpy(theirs), length=50)


def test_gradient_penalties_of_a_model_train_it(backend):
    nnx.random.set_seed(2)
    critic = nnx.Sequential([layers.Dense(8, activation="tanh", input_dim=3), layers.Dense(1)])
    optimizer, x, values = nnx.optimizers.Adam(0.02), backend.asarray(X), []
    for _ in range(30):
        with nnx.GradientTape() as tape:
            slope = nnx.grad(lambda z: xp_of(z).sum(critic(z)))(x)
            norm = xp_of(slope).sqrt(xp_of(slope).sum(slope * slope, axis=-1))
            loss = mean_square(norm - 1.0)
        tape.backward(loss, critic)
        optimizer.step(critic)
        values.append(float(loss))
    assert values[-1] < 0.1 * values[0]


def test_jacobians(backend_float64):
    ops = nnx.ops
    start = np.random.default_rng(0).random((3, 2))

    def function(x):
        return ops.stack([ops.sum(x, axis=1), x[:, 0] * x[:, 1], ops.zeros_like(x[:, 0])], axis=1)

    expected, step = np.zeros((3, 3, 3, 2)), 1e-6
    for place in np.ndindex(3, 2):
        move = np.zeros((3, 2))
        move[place] = step
        expected[(..., *place)] = (function(start + move) - function(start - move)) / (2 * step)
    with nnx.GradientTape(persistent=True) as tape:
        x = tape.watch(backend_float64.asarray(start))
        y = function(x)
    assert_close(tape.jacobian(y, x), expected, atol=1e-8)
    assert_close(tape.batch_jacobian(y, x), [expected[row, :, row] for row in range(3)], atol=1e-8)
    assert tape.jacobian(y, {"none": nnx.Variable(1.0)}) == {"none": None}
    with pytest.raises(ValueError, match=r"batch_jacobian is of a target \(batch, ...\) .* got \(3, 3\) by \(\)"):
        tape.batch_jacobian(y, nnx.Variable(1.0))


def test_a_hessian_and_the_jacobian_of_a_layer(backend):
    with nnx.GradientTape() as outer:
        x = outer.watch(backend.asarray([1.0, 2.0]))
        with nnx.GradientTape() as inner:
            z = inner.watch(x)
            y = nnx.ops.sum(z**3)
        slope = inner.gradient(y, z)
    assert_close(outer.jacobian(slope, x), [[6.0, 0.0], [0.0, 12.0]])
    with pytest.raises(RuntimeError, match="gives its gradients once"):
        outer.jacobian(slope, x)
    layer = layers.Dense(2)
    layer.build((None, 3))
    with nnx.GradientTape() as tape:
        y = layer(backend.asarray(np.ones((4, 3))))
    assert [tuple(one.shape) for one in tape.jacobian(y, layer.trainable_weights)] == [(4, 2, 3, 2), (4, 2, 2)]


def test_what_changes_arrays_in_place_does_so_once(backend_float64: Placement):
    average, w = backend_float64.asarray([1.0, 0.0]), backend_float64.asarray([0.0, 4.0])
    with nnx.GradientTape() as tape:
        average, w = tape.watch(average), tape.watch(w)
        nnx.functional.updates.moving_average(average, w, 0.5)
        loss = nnx.ops.sum(average * average)
    assert_close(tape.gradient(loss, w), [0.5, 2.0])  # the average is [0.5, 2]


def test_moving_averages_of_a_model_inside_of_a_model_move_once(backend: Placement):
    class Pair(nnx.layers.Layer):
        def call(self, x: Any, y: Any) -> Any:
            return x * 1.0, y * 2.0

    class Whole(nnx.Model):
        def __init__(self) -> None:
            super().__init__()
            x, y = nnx.Input((2,)), nnx.Input((2,))
            self.norm = nnx.layers.BatchNormalization(momentum=0.5)
            dense = nnx.layers.Dense(2, kernel_initializer="identity")
            self.inner = nnx.Model([x, y], Pair()(self.norm(dense(x)), y))

        def call(self, inputs: Any, training: bool = False) -> Any:
            return self.inner(inputs, training=training)

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, **_: Any) -> Any:
            return nnx.ops.mean(y_pred[0])

    model, x = Whole(), np.full((4, 2), 8.0, "float32")
    model.compile("sgd")
    model.fit([x, x], batch_size=4, verbose=0)
    assert_close(model.norm.moving_mean.value, [4.0, 4.0])


def gradients_and_values(model, x, number, sources):
    with nnx.GradientTape() as tape:
        outputs = model(x)
        made = number(outputs)
    return [nnx.to_numpy(g) for g in tape.gradient(made, sources(outputs))]


def test_the_gradient_of_an_output_by_another_one(backend):
    """As Grad-CAM asks for it: of a class by the features that the same model returns."""
    nnx.random.set_seed(3)
    start = nnx.Input((6, 6, 1))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(start))
    features = layers.Conv2D(4, 2, activation="relu")(x)
    model = nnx.Model(start, [features, layers.Dense(2)(layers.GlobalAveragePooling2D()(features))])
    alone = nnx.Model(start, model.outputs[1])
    images = backend.asarray(np.random.default_rng(0).standard_normal((3, 6, 6, 1)))
    (of_features,) = gradients_and_values(model, images, lambda y: nnx.ops.sum(y[1][:, 1]), lambda y: [y[0]])
    kernel = nnx.to_numpy(model.layers[-1].kernel.value)
    expected = np.broadcast_to(kernel[:, 1] / 9, of_features.shape)
    assert_close(backend.asarray(of_features), expected, rtol=1e-6)
    weights = model.trainable_weights
    found = gradients_and_values(model, images, lambda y: nnx.ops.sum(y[1][:, 1]), lambda _: weights)
    for mine, theirs in zip(
        found, gradients_and_values(alone, images, lambda y: nnx.ops.sum(y[:, 1]), lambda _: weights), strict=True
    ):
        assert_close(backend.asarray(mine), theirs, length=50)


class Sampled(layers.Layer):
    def call(self, inputs, training=False):
        mean, spread = inputs
        return mean + nnx.ops.exp(spread) * (0.5 if training else 0.25)


@pytest.mark.parametrize("training", [False, True])
def test_outputs_of_an_encoder_that_are_computed_from_each_other(backend, training):
    """With masks, a layer that is written as `call`, and a model inside of another one."""
    nnx.random.set_seed(4)
    words = nnx.Input((4,), dtype="int32")
    x = layers.LSTM(5)(layers.Embedding(9, 3, mask_zero=True)(words))
    mean, spread = layers.Dense(2)(x), layers.Dense(2)(x)
    encoder = nnx.Model(words, [mean, spread, Sampled()([mean, spread])])
    outer_words = nnx.Input((4,), dtype="int32")
    first, _, sample = encoder(outer_words)
    outer = nnx.Model(outer_words, {"mean": first, "end": layers.Dense(1)(sample)})
    batch = backend.asarray(np.asarray([[1, 2, 0, 0], [3, 4, 5, 0]]), "int32")

    def loss(y):
        return nnx.ops.sum(y[2] * y[2])

    with nnx.GradientTape(persistent=True) as tape:
        outputs = encoder(batch, training=training)
        number = loss(outputs)
    plain = [nnx.to_numpy(y) for y in encoder(batch, training=training)]
    for mine, theirs in zip(outputs, plain, strict=True):
        assert_close(nnx.stop_gradient(mine), theirs, length=5)
    of_mean, of_spread = tape.gradient(number, list(outputs[:2]))
    assert_close(of_mean, 2 * plain[2], length=5)
    assert_close(of_spread, 2 * plain[2] * np.exp(plain[1]) * (0.5 if training else 0.25), length=5)
    single, weights = nnx.Model(words, encoder.outputs[2]), encoder.trainable_weights
    with nnx.GradientTape() as other:
        y = single(batch, training=training)
        alone = nnx.ops.sum(y * y)
    for mine, theirs in zip(tape.gradient(number, weights), other.gradient(alone, weights), strict=True):
        assert_close(mine, nnx.to_numpy(theirs), length=50)
    (of_first,) = gradients_and_values(outer, batch, lambda y: nnx.ops.sum(y["end"]), lambda y: [y["mean"]])
    kernel = nnx.to_numpy(outer.layers[-1].kernel.value)[:, 0]
    assert_close(backend.asarray(of_first), np.broadcast_to(kernel, of_first.shape), rtol=1e-6)


@pytest.mark.parametrize("kind", [layers.GRU, layers.SimpleRNN])
def test_second_derivatives_by_an_initial_state(kind, backend):
    start, given = nnx.Input((3, 2)), nnx.Input((4,))
    model = nnx.Model([start, given], kind(4)(start, initial_state=given))
    x = backend.asarray(np.random.default_rng(1).random((2, 3, 2)))

    def penalty(state):
        """The squared gradient by the state, and its own gradient."""
        with nnx.GradientTape() as outer:
            state = outer.watch(state)
            with nnx.GradientTape() as inner:
                watched = inner.watch(state)
                number = nnx.ops.sum(model([x, watched]) ** 2)
            value = nnx.ops.sum(inner.gradient(number, watched) ** 2)
        return float(nnx.stop_gradient(value)), nnx.to_numpy(outer.gradient(value, state))

    state, step = np.random.default_rng(2).random((2, 4)).astype(np.float32), 1e-2
    _, gradient = penalty(backend.asarray(state))
    ahead, behind = state.copy(), state.copy()
    ahead[0, 1] += step
    behind[0, 1] -= step
    difference = (penalty(backend.asarray(ahead))[0] - penalty(backend.asarray(behind))[0]) / (2 * step)
    np.testing.assert_allclose(gradient[0, 1], difference, rtol=2e-2, atol=1e-3)


def test_a_kernel_that_is_divided_by_its_norm_has_its_gradient(backend):
    """Before anything else has trained the model, and with training=True, when the layer holds the quotient."""

    def gradients(nested):
        nnx.random.set_seed(1)
        model = nnx.Sequential([nnx.Input((3,)), layers.SpectralNormalization(layers.Dense(2))])
        with nnx.GradientTape() if nested else contextlib.nullcontext(), nnx.GradientTape() as tape:
            number = mean_square(model(backend.asarray(X), training=True))
        return [nnx.to_numpy(nnx.stop_gradient(g)) for g in tape.gradient(number, model.trainable_variables)]

    for mine, theirs in zip(gradients(False), gradients(True), strict=True):
        assert_close(backend.asarray(mine), theirs, length=50)
