"""What all optimisers share: clipping, decay, accumulation, averages, constraints, and slots that follow parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.optimizers import SGD, Adam, AdamW, RMSprop
from nnx.parameters import FlatParameters
from nnx.testing import assert_close, no_synchronization

EVERYTHING = {
    "weight_decay": 0.1,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2,
    "loss_scale_factor": 4.0,
    "decay": 0.01,
}


# tests/optimizers/test_multi_optimizer.py has the other one
OF_ONE_RATE = [name for name in nnx.optimizers.optimizers.objects if name != "MultiOptimizer"]


def host(array) -> np.ndarray:
    return nnx.to_numpy(array).copy()


def set_gradients(flat, value) -> None:
    flat.grads[...] = flat.placement.asarray(np.broadcast_to(np.asarray(value, "float32"), flat.grads.shape).copy())


def change(optimizer, flat, gradients) -> np.ndarray:
    before = host(flat.values)
    set_gradients(flat, gradients)
    optimizer.apply(flat)
    return host(flat.values) - before


# Clipping

GRADIENTS = np.asarray([3.0, -4.0, 0.0, 0.0, 0.0, 0.0, 0.3, -0.4, 12.0], "float32")  # norms 5, 0.5 and 12: in all 13.01


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"clipvalue": 1.0}, np.clip(GRADIENTS, -1.0, 1.0)),
        ({"clipnorm": 1.0}, [0.6, -0.8, 0.0, 0.0, 0.0, 0.0, 0.3, -0.4, 1.0]),
        ({"global_clipnorm": 1.0}, GRADIENTS / math.sqrt(169.25)),
        ({"global_clipnorm": 100.0}, GRADIENTS),
        ({"clipnorm": 0.0}, GRADIENTS),  # as in Keras, 0 is no limit
        ({}, GRADIENTS),
    ],
)
def test_clipping(limit, expected, backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(1.0, **limit)
    assert_close(change(optimizer, flat, GRADIENTS), -np.asarray(expected), rtol=1e-5, atol=1e-6)
    assert_close(flat.grads, GRADIENTS, rtol=0.0)  # gradients can still be read


@pytest.mark.parametrize("limit", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_gradients_of_zero_are_clipped_to_zero(limit, backend, make_flat):
    flat = make_flat(backend)
    assert not change(SGD(1.0, **{limit: 1.0}), flat, 0.0).any()


# Weight decay


def test_weight_decay_is_apart_from_the_gradient(backend, make_flat):
    flat = make_flat(backend)
    before = host(flat.values)
    assert_close(change(SGD(0.5, weight_decay=0.1), flat, 0.0), -0.05 * before, rtol=1e-5)


def test_parameters_can_be_excluded_from_weight_decay(backend, make_flat):
    flat = make_flat(backend)
    optimizer = AdamW(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[flat.parameters[2]], var_names=["bias"])
    before = host(flat.values)
    expected = np.where(np.arange(9) < 6, -0.05 * before, 0.0)
    assert_close(change(optimizer, flat, 0.0), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="before the optimizer's first step"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_names_are_searched_as_regular_expressions(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(1.0, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["^gam", "nel$"])
    moved = change(optimizer, flat, 0.0) != 0.0
    assert moved.tolist() == [False] * 6 + [True] * 2 + [False]


def test_variables_of_no_layer_are_told_apart():
    one, other = nnx.Variable([2.0]), nnx.Variable([2.0])
    optimizer = SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[other])
    optimizer.apply([[0.0], [0.0]], [one, other])
    assert (float(one[0]), float(other[0])) == (1.0, 2.0)


def test_slots_are_there_once_it_is_built(backend):
    weights = [nnx.Variable([2.0], name="a"), nnx.Variable([[1.0], [3.0]], name="b")]
    optimizer = Adam(0.5)
    optimizer.build([])
    assert len(optimizer.variables) == 2
    optimizer.build(weights)
    assert sorted(one.shape for one in optimizer.variables[2:]) == [(1,), (1,), (2, 1), (2, 1)]
    optimizer.apply([backend.asarray([1.0]), backend.asarray([[0.0], [0.0]])], weights)
    assert_close(weights[0].value, [1.5], rtol=1e-5)
    assert_close(optimizer.variables[2].value, [0.1], rtol=1e-5)


# Accumulation, scaling, averages, constraints


def test_accumulation_updates_by_the_mean_at_every_second_step(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(1.0, gradient_accumulation_steps=2)
    moves = [change(optimizer, flat, float(g))[0] for g in (1, 3, 5, 6)]
    assert_close(moves, [0.0, -2.0, 0.0, -5.5], rtol=1e-6)
    assert optimizer.iterations == 2


def test_gradients_are_divided_by_the_scale_of_the_loss(backend, make_flat):
    flat = make_flat(backend)
    assert_close(change(SGD(1.0, loss_scale_factor=8.0), flat, 4.0), np.full(9, -0.5), rtol=1e-6)


def test_moving_average(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
    expected = None
    for step in range(3):
        change(optimizer, flat, step + 1.0)
        values = host(flat.values)
        expected = values if expected is None else 0.75 * expected + 0.25 * values
    assert not np.allclose(host(flat.values), expected)
    optimizer.finalize(flat)
    assert_close(flat.values, expected, rtol=1e-6)


def test_moving_average_overwrites_the_parameters(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    assert_close([change(optimizer, flat, 1.0)[0] for _ in range(4)], [-1.0, -0.5, -1.0, -0.25], rtol=1e-5)


def test_a_step_that_only_accumulates_moves_nothing(backend, make_flat):
    flat = make_flat(backend)
    flat.parameters[1].constraint = lambda w: 0.5 * w
    flat = FlatParameters(flat.parameters, backend)
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}
    optimizer = SGD(1.0, gradient_accumulation_steps=2, **options)
    twin = SGD(1.0, **options)
    with nnx.backend("numpy") as numpy:
        other = make_flat(numpy)
        other.parameters[1].constraint = lambda w: 0.5 * w
        other = FlatParameters(other.parameters, numpy)
    for _ in range(4):
        averages = [host(average) for name, average in optimizer.slots.items() if name == "average"]
        assert not change(optimizer, flat, 1.0).any()
        assert all((host(optimizer.slots["average"]) == average).all() for average in averages)
        change(optimizer, flat, 1.0)
        change(twin, other, 1.0)
        assert_close(flat.values, other.values, rtol=1e-6, like=flat.grads)
        assert_close(optimizer.slots["average"], twin.slots["average"], rtol=1e-6, like=flat.grads)


def test_finalize_without_averages_changes_nothing(backend, make_flat):
    flat = make_flat(backend)
    before = host(flat.values)
    SGD().finalize(flat)
    SGD(use_ema=True).finalize(flat)  # no step yet
    assert_close(flat.values, before, rtol=0.0)


def test_constraints_hold_after_the_step(backend, make_flat):
    flat = make_flat(backend)
    flat.parameters[1].constraint = lambda w: 0.0 * w + 7.0
    flat = FlatParameters(flat.parameters, backend)
    moved = change(SGD(1.0), flat, 1.0)
    assert host(flat.values)[6:8].tolist() == [7.0, 7.0]
    assert_close(moved[:6], np.full(6, -1.0), rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "nadam"])
@pytest.mark.parametrize("limit", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_nothing_waits_for_the_device(name, limit, backend, make_flat):
    flat = make_flat(backend)
    flat.parameters[0].constraint = lambda w: 0.5 * w
    flat = FlatParameters(flat.parameters, backend)
    optimizer = type(nnx.optimizers.get(name))(**EVERYTHING, **{limit: 0.5})
    before = flat.values
    with no_synchronization():
        for step in range(4):
            flat.grads[...] = 0.5 * step
            optimizer.apply(flat)
    assert optimizer.iterations == 2
    assert_close(flat.values, host(before), rtol=0.0, like=before)
    assert all(slot.dtype == before.dtype for slot in optimizer.slots.values())


def test_step_takes_what_was_gathered_and_starts_again(backend, make_flat):
    class Model:
        flat = make_flat(backend)

    flat = Model.flat
    kernel = flat.parameters[0]
    optimizer = SGD(1.0)
    before = host(flat.values)
    ones = backend.asarray(np.ones((3, 2)))
    for gathered in (2, 1):
        for _ in range(gathered):
            kernel.receive(ones)
        optimizer.step(Model)
    assert_close(host(flat.values) - before, [-3.0] * 6 + [0.0] * 3, rtol=1e-5)
    assert_close(kernel.grad, np.ones((3, 2)), rtol=0.0)


def test_a_model_without_parameters(backend):
    flat = FlatParameters([], backend)
    optimizer = Adam(clipnorm=1.0)
    optimizer.apply(flat)
    optimizer.finalize(flat)
    assert optimizer.iterations == 0


# Learning rates


def test_learning_rate_can_be_read_and_set():
    optimizer = SGD(lr=1)
    assert optimizer.learning_rate == optimizer.lr == 1.0
    optimizer.lr = 0.5
    optimizer.learning_rate *= 0.5
    assert optimizer.lr == 0.25
    for value in (np.float32(0.5), np.asarray(0.5), 1):
        optimizer.learning_rate = value
        assert isinstance(optimizer.learning_rate, float)
        assert optimizer.get_config()["learning_rate"] == value


def test_schedule_is_a_function_of_all_steps(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(nnx.schedules.PiecewiseConstantDecay([1, 3], [1.0, 0.5, 0.25]), gradient_accumulation_steps=2)
    moves = [change(optimizer, flat, 1.0)[0] for _ in range(6)]
    assert_close(moves, [0.0, -1.0, 0.0, -0.5, 0.0, -0.25], rtol=1e-4)
    with pytest.raises(TypeError, match="follows PiecewiseConstantDecay and cannot be set"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = nnx.schedules.ExponentialDecay(0.5, 6, 0.5)
    assert optimizer.lr == 0.25


def test_functions_as_learning_rates():
    optimizer = SGD(lambda step: 0.1 * (step + 1))
    optimizer.iterations = 2
    assert optimizer.lr == pytest.approx(0.3)
    assert SGD(lambda: 0.2).lr == 0.2
    optimizer.learning_rate = 0.5
    assert optimizer.lr == 0.5


def test_decay_of_old_keras(backend, make_flat):
    flat = make_flat(backend)
    optimizer = SGD(lr=1.0, decay=1.0)
    assert_close([change(optimizer, flat, 1.0)[0] for _ in range(3)], [-1.0, -1 / 2, -1 / 3], rtol=1e-5)
    assert optimizer.lr == 1.0


# Slots that follow their parameters


def test_state_of_a_frozen_parameter_comes_back(backend, make_flat):
    flat = make_flat(backend)
    kernel, bias, gamma = flat.parameters
    optimizer = SGD(1.0, momentum=0.5)
    change(optimizer, flat, np.arange(9.0))
    without_bias = FlatParameters([gamma, kernel], backend)
    assert_close(change(optimizer, without_bias, 0.0), [-4.0, *(-0.5 * np.arange(6.0))], rtol=1e-5, atol=1e-6)
    again = FlatParameters([kernel, bias, gamma], backend)
    expected = [*(-0.25 * np.arange(6.0)), -3.0, -3.5, -2.0]
    assert_close(change(optimizer, again, 0.0), expected, rtol=1e-5, atol=1e-6)
    assert optimizer.iterations == 3


def test_a_new_parameter_starts_fresh(backend, make_flat):
    flat = make_flat(backend)
    kernel, bias, _ = flat.parameters
    optimizer = SGD(1.0, momentum=0.5, use_ema=True, ema_momentum=0.5)
    change(optimizer, FlatParameters([kernel], backend), 1.0)
    both = FlatParameters([kernel, bias], backend)
    start = host(both.values)
    assert_close(change(optimizer, both, 0.0), [-0.5] * 6 + [0.0] * 2, rtol=1e-5)
    optimizer.finalize(both)
    assert_close(host(both.values)[6:], start[6:], rtol=1e-6)  # the average of a new parameter starts at its value


def test_slots_move_with_the_model(backend, make_flat):
    """What a model does that moves to another backend: the same parameters, with values there, in a new buffer."""
    with nnx.backend("numpy") as numpy:
        flat = make_flat(numpy)
        twin = make_flat(numpy)
        optimizer, twin_optimizer = Adam(0.1), Adam(0.1)
        change(optimizer, flat, 1.0)
        change(twin_optimizer, twin, 1.0)
    for parameter in flat.parameters:
        parameter.memory = backend.asarray(nnx.to_numpy(parameter.value))
    moved = FlatParameters(flat.parameters, backend)
    change(twin_optimizer, twin, 0.5)
    change(optimizer, moved, 0.5)
    assert_close(moved.values, twin.values, rtol=1e-6, like=moved.grads)
    assert_close(optimizer.slots["momentum"], twin_optimizer.slots["momentum"], rtol=1e-6, like=moved.grads)


def test_another_model_starts_afresh_with_a_warning(backend, make_flat):
    first, second = make_flat(backend), make_flat(backend)
    optimizer = Adam(0.1)
    for _ in range(3):
        change(optimizer, first, 1.0)
    with pytest.warns(UserWarning, match="trains other parameters than before"):
        moved = change(optimizer, second, 1.0)
    assert optimizer.iterations == 1
    assert_close(moved, np.full(9, -0.1), rtol=1e-5)


# Saving


@pytest.mark.parametrize("name", OF_ONE_RATE)
def test_training_continues_from_a_saved_state(name, backend, make_flat):
    """From the configuration, the state and the arrays, in the middle of a round of accumulation."""
    options = {**EVERYTHING, **({"amsgrad": True} if name.startswith("Adam") and name != "Adamax" else {})}
    optimizer = getattr(nnx.optimizers, name)(**options)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    flat = make_flat(backend)
    for step in range(3):
        change(optimizer, flat, step + 1.0)
    arrays = {key: host(view) for key, view in optimizer.state_arrays(flat).items()}
    assert arrays["average/dense/kernel"].shape == (3, 2)
    twin = make_flat(backend)
    twin.values[...] = flat.values
    again = nnx.optimizers.deserialize(nnx.optimizers.serialize(optimizer))
    again.set_state(optimizer.state())
    again.load_state_arrays(twin, arrays)
    assert again.iterations == optimizer.iterations == 1
    for step in range(3):
        change(optimizer, flat, step - 1.5)
        change(again, twin, step - 1.5)
    assert_close(twin.values, flat.values, rtol=0.0)


def test_state_before_the_first_step_is_empty(backend, make_flat):
    flat = make_flat(backend)
    optimizer = Adam()
    assert optimizer.state_arrays(flat) == {}
    change(optimizer, flat, 1.0)
    optimizer.load_state_arrays(flat, {})
    assert optimizer.slots == {}


def test_learning_rate_of_the_state():
    plateau = Adam(0.1)
    plateau.learning_rate = 0.01
    again = Adam(0.1)
    again.set_state(plateau.state())
    assert again.lr == 0.01
    scheduled = Adam(nnx.schedules.CosineDecay(0.1, 10))
    scheduled.set_state(plateau.state())
    assert scheduled.lr == 0.1
    scheduled.set_state(scheduled.state())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays: arrays.pop("velocity/dense/bias"), "'velocity/dense/bias' is missing"),
        (lambda arrays: arrays.update({"norm/dense/bias": np.zeros(2)}), "'norm/dense/bias' is not one of its arrays"),
        (lambda arrays: arrays.update({"velocity/dense/bias": np.zeros(3)}), r"has shape \(3,\), expected \(2,\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, message, backend, make_flat):
    flat = make_flat(backend)
    optimizer = Adam()
    change(optimizer, flat, 1.0)
    before = host(optimizer.slots["velocity"])
    arrays = {key: 0.0 * host(view) for key, view in optimizer.state_arrays(flat).items()}
    spoil(arrays)
    with pytest.raises(ValueError, match=f"does not fit the optimizer adam: .*{message}"):
        optimizer.load_state_arrays(flat, arrays)
    assert_close(optimizer.slots["velocity"], before, rtol=0.0)


# Configuration


@pytest.mark.parametrize("name", OF_ONE_RATE)
def test_configuration_round_trip(name):
    cls = getattr(nnx.optimizers, name)
    optimizer = cls(nnx.schedules.CosineDecay(0.1, 10), clipnorm=0.5, name="mine", **EVERYTHING)
    again = nnx.optimizers.deserialize(nnx.optimizers.serialize(optimizer))
    assert type(again) is cls
    assert again.get_config() == optimizer.get_config()
    assert cls.from_config(cls().get_config()).get_config() == cls().get_config()
    assert set(again.get_config()) >= {"learning_rate", "clipnorm", "name", *EVERYTHING}
    assert again.learning_rate == 0.1


def linear_rate(step: int) -> float:
    return 0.1 * (step + 1)


def test_a_function_as_learning_rate_is_found_among_custom_objects():
    config = nnx.optimizers.serialize(SGD(linear_rate))
    assert config["config"]["learning_rate"] == "linear_rate"
    assert nnx.optimizers.deserialize(config, custom_objects={"linear_rate": linear_rate}).lr == 0.1
    with pytest.raises(ValueError, match="unknown learning-rate schedule 'linear_rate'"):
        nnx.optimizers.deserialize(config)


@pytest.mark.parametrize("name", OF_ONE_RATE)
def test_names_in_any_case(name):
    cls = getattr(nnx.optimizers, name)
    for spelling in (name, name.lower(), name.upper(), cls):
        assert type(nnx.optimizers.get(spelling)) is cls
    assert nnx.optimizers.get(name).name == name.lower()
    optimizer = cls()
    assert nnx.optimizers.get(optimizer) is optimizer
    assert optimizer.learning_rate == {"SGD": 0.01, "ScheduleFreeAdamW": 0.0025}.get(name, 0.001)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nnx.optimizers.get("adaam"), ValueError, "unknown optimizer 'adaam': did you mean 'Adam'"),
        (lambda: nnx.optimizers.get(3), ValueError, "optimizer must be a name such as 'adam'"),
        (lambda: SGD("0.1"), TypeError, "learning_rate must be a number, got '0.1'"),
        (lambda: SGD(lr=None), TypeError, "learning_rate must be a number"),
        (lambda: SGD(-0.1), ValueError, "learning_rate must be at least 0"),
        (lambda: SGD(math.nan), ValueError, "learning_rate must be"),
        (lambda: SGD(nnx.schedules.CosineDecay), TypeError, "learning_rate must be a number"),
        (lambda: SGD(momentum=1.5), ValueError, "momentum must be at least 0 and at most 1, got 1.5"),
        (lambda: RMSprop(rho=1.0), ValueError, "rho must be at least 0 and below 1, got 1"),
        (lambda: RMSprop(epsilon="1e-7"), TypeError, "epsilon must be a number"),
        (lambda: Adam(beta_1=1.0), ValueError, "beta_1 must be"),
        (lambda: Adam(beta_2=-0.1), ValueError, "beta_2 must be"),
        (lambda: nnx.optimizers.Adadelta(rho=-1), ValueError, "rho must be"),
        (lambda: nnx.optimizers.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value must be"),
        (lambda: nnx.optimizers.Lion(beta_1=0.0), ValueError, "beta_1 must be greater than 0"),
        (lambda: AdamW(weight_decay=None), TypeError, "weight_decay of AdamW must be a number"),
        (lambda: SGD(weight_decay=-1.0), ValueError, "weight_decay must be"),
        (lambda: SGD(clipnorm=-1.0), ValueError, "clipnorm must be"),
        (
            lambda: SGD(clipnorm=1.0, clipvalue=0.5),
            ValueError,
            "only one of .* can be set, got clipnorm=1.0, clipvalue",
        ),
        (lambda: SGD(use_ema=True, ema_momentum=2.0), ValueError, "ema_momentum must be"),
        (
            lambda: SGD(ema_overwrite_frequency=0),
            ValueError,
            "ema_overwrite_frequency must be None or an integer of at",
        ),
        (lambda: SGD(gradient_accumulation_steps=1), ValueError, "gradient_accumulation_steps must be None or"),
        (lambda: SGD(loss_scale_factor=0.0), ValueError, "loss_scale_factor must be greater than 0"),
        (lambda: SGD(decay=-1.0), ValueError, "decay must be"),
        (lambda: SGD(learnin_rate=0.1), TypeError, "SGD has no argument 'learnin_rate': did you mean 'learning_rate'"),
        (lambda: AdamW(beta1=0.1), TypeError, "AdamW has no argument 'beta1': did you mean 'beta_1'"),
        (lambda: nnx.optimizers.Optimizer(0.1).update(0, 0, 0), NotImplementedError, "must define update"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_old_scripts_write():
    optimizer = Adam(lr=0.01, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0, amsgrad=False)
    assert (optimizer.lr, optimizer.epsilon, optimizer.decay) == (0.01, 1e-7, 0.0)
    assert RMSprop(lr=1e-4, decay=1e-6).decay == 1e-6


def test_an_optimizer_of_ones_own(backend, make_flat):
    class Signs(nnx.optimizers.Optimizer):
        def __init__(self, learning_rate=0.5, **common):
            super().__init__(learning_rate, **common)

        def slot_starts(self):
            return {"last": 1.0}

        def update(self, w, g, learning_rate):
            w -= learning_rate * self.slots["last"]
            self.slots["last"][...] = g

    flat = make_flat(backend)
    optimizer = nnx.optimizers.deserialize(nnx.optimizers.serialize(Signs(0.25)), {"Signs": Signs})
    assert_close([change(optimizer, flat, g)[0] for g in (3.0, 0.0)], [-0.25, -0.75], rtol=1e-5)
