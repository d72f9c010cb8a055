"""Updates that are replayed: those of the formula to the last bit, and made as ever wherever something has changed."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.optimizers import SGD, Adam, AdamW, Optimizer
from nnx.optimizers.replayed_updates import ReplayedUpdates
from nnx.schedules import ExponentialDecay

SIZE = 12
GRADIENTS = np.random.default_rng(4).normal(size=(40, SIZE)).astype(np.float32)
REPLAYED: dict[str, Callable[[], Optimizer]] = {
    "SGD": lambda: SGD(0.1),
    "SGD with momentum": lambda: SGD(0.1, momentum=0.9),
    "SGD with Nesterov's momentum": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "SGD with weight decay": lambda: SGD(0.1, weight_decay=0.05),
    "SGD by a schedule": lambda: SGD(ExponentialDecay(0.1, 3, 0.5)),
    "SGD by a function": lambda: SGD(lambda step: 0.1 / (1.0 + step)),
    "SGD of the old kind": lambda: SGD(0.1, decay=0.1),
    "Adam": lambda: Adam(0.1),
    "Adam with amsgrad": lambda: Adam(0.1, amsgrad=True),
    "AdamW": lambda: AdamW(0.1, weight_decay=0.3),
    "Adamax": lambda: nnx.optimizers.Adamax(0.1),
    "Nadam": lambda: nnx.optimizers.Nadam(0.1),
    "RMSprop": lambda: nnx.optimizers.RMSprop(0.1),
    "RMSprop with momentum": lambda: nnx.optimizers.RMSprop(0.1, momentum=0.9, centered=True),
    "Adagrad": lambda: nnx.optimizers.Adagrad(0.1),
    "Adadelta": lambda: nnx.optimizers.Adadelta(0.1),
    "Lion": lambda: nnx.optimizers.Lion(0.1),
}
MAKERS = {
    **REPLAYED,
    "clipped": lambda: SGD(0.1, clipnorm=0.5),
    "accumulated": lambda: SGD(0.1, gradient_accumulation_steps=3),
    "averaged": lambda: SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=4),
    "unscaled": lambda: SGD(0.1, loss_scale_factor=4.0),
}


def flat_of(dtype: str = "float32", **options: Any) -> nnx.parameters.FlatParameters:
    with nnx.backend("numpy", dtype=dtype):
        layer = nnx.layers.Dense(2, kernel_initializer="ones", **options)
        model = nnx.Sequential([nnx.layers.Input((5,)), layer])
    assert model.flat.values.shape == (SIZE,)
    KEPT.append(model)
    return model.flat


KEPT: list[nnx.Model] = []  # a buffer does not keep its model


def is_replayed(optimizer: Optimizer) -> bool:
    replays, flat = optimizer._replays, optimizer.slots.flat
    return replays is not None and flat is not None and replays.plan(flat, optimizer.slots) is not None


def both(
    make: Callable[[], Optimizer], change: Callable[[Optimizer, int], None] = lambda *_: None, **options: Any
) -> Optimizer:
    """Train by an optimizer and by its twin that replays nothing: the same parameters and slots to the last bit."""
    replaying, plain = make(), make()
    plain._is_plain = lambda flat: False
    flats = [flat_of(**options), flat_of(**options)]
    for step, gradients in enumerate(GRADIENTS):
        for optimizer, flat in zip((replaying, plain), flats, strict=True):
            change(optimizer, step)
            flat.grads[...] = gradients
            optimizer.train(flat)
        assert not is_replayed(plain)
        assert np.array_equal(flats[0].values, flats[1].values), step
        assert all(np.array_equal(slot, plain.slots[name]) for name, slot in replaying.slots.items())
    assert replaying.iterations == plain.iterations
    return replaying


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAKERS)
def test_updates_are_the_same(name: str, dtype: str) -> None:
    optimizer = both(MAKERS[name], dtype=dtype)
    assert is_replayed(optimizer) == (name in REPLAYED)


def test_the_first_update_after_a_change_is_made_as_ever_and_the_second_makes_the_plan():
    optimizer, flat = SGD(0.1, momentum=0.9), flat_of()
    optimizer.train(flat)  # which makes the slots
    for _ in range(2):
        states = []
        for _ in range(3):
            optimizer.train(flat)
            states.append(is_replayed(optimizer))
        assert states == [False, True, True]
        optimizer.nesterov = True


def set_to(name: str, value: Any) -> Callable[[Optimizer, int], None]:
    def change(optimizer: Optimizer, step: int) -> None:
        if step == 10:
            setattr(optimizer, name, value)

    return change


CHANGES: dict[str, Callable[[Optimizer, int], None]] = {
    "another rate in every step": lambda optimizer, step: setattr(optimizer, "learning_rate", 0.1 / (step + 1)),
    "a rate that is assigned": lambda optimizer, step: optimizer.learning_rate.assign(0.2 - 0.001 * step),
    "a schedule": set_to("learning_rate", ExponentialDecay(0.1, 3, 0.5)),
    "another number of updates": set_to("iterations", 100),
    "another momentum": set_to("momentum", 0.5),
    "another kind of momentum": set_to("nesterov", True),
    "weight decay": set_to("weight_decay", 0.1),
    "clipping": set_to("clipvalue", 0.1),
    "an update of its own": set_to("update", lambda w, g, rate: np.copyto(w, w - rate)),
    "gradients that are scaled": set_to("loss_scale_factor", 8.0),
    "decay": set_to("decay", 0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_between_updates_counts(name: str) -> None:
    both(lambda: SGD(0.1, momentum=0.9), CHANGES[name])


@pytest.mark.parametrize("attribute", ["beta_1", "beta_2", "epsilon"])
def test_what_changes_between_updates_of_adam_counts(attribute: str) -> None:
    both(lambda: Adam(0.1), set_to(attribute, 0.25))


def test_slots_that_are_replaced_count():
    def change(optimizer: Optimizer, step: int) -> None:
        if step == 10:
            optimizer.slots["momentum"] = np.full(SIZE, 0.5, np.float32)
        if step == 20:
            arrays = {name: np.full_like(view, 0.25) for name, view in optimizer.slots.views().items()}
            optimizer.load_state_arrays(optimizer.slots.flat, arrays)

    assert is_replayed(both(lambda: SGD(0.1, momentum=0.9), change))


def test_a_method_of_the_class_that_is_replaced_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer, flat = SGD(0.1), flat_of()
    for _ in range(3):
        optimizer.train(flat)
    calls: list[float] = []
    monkeypatch.setattr(SGD, "update", lambda self, w, g, rate: calls.append(rate), raising=False)
    optimizer.train(flat)
    assert calls == [0.1]


def test_constraints_hold():
    optimizer = both(lambda: SGD(1.0), kernel_constraint=nnx.constraints.NonNeg())
    assert not is_replayed(optimizer)


def test_another_buffer_has_no_plan_yet():
    optimizer, first, second = SGD(0.1, momentum=0.9), flat_of(), flat_of()
    for _ in range(3):
        optimizer.train(first)
    before = second.values.copy()
    second.grads[...] = 1.0
    with pytest.warns(UserWarning, match="other parameters"):
        optimizer.train(second)
    np.testing.assert_array_equal(second.values, before - np.float32(0.1))
    assert not is_replayed(optimizer)


def test_large_buffers_have_no_plan():
    model = nnx.Sequential([nnx.layers.Dense(200, input_dim=200)])
    optimizer = SGD(0.1)
    for _ in range(3):
        optimizer.train(model.flat)
    assert not is_replayed(optimizer)


class Frozen(SGD):
    """A formula that makes a number of Python from a factor, which a plan would keep."""

    __module__ = "nnx.mine"

    def _formula(self, w: Any, g: Any, slots: Any, *factors: Any) -> None:
        w -= float(factors[0]) * g


class Halfway(SGD):
    """A formula that changes parameters before it takes values out of them."""

    __module__ = "nnx.mine"

    def _formula(self, w: Any, g: Any, slots: Any, *factors: Any) -> None:
        w -= 1.0
        w -= factors[0] * float(w[0]) * g


class Branching(SGD):
    """A formula that looks at values."""

    __module__ = "nnx.mine"

    def _formula(self, w: Any, g: Any, slots: Any, *factors: Any) -> None:
        if w[0] > 0.5:
            w -= factors[0]
        w -= factors[0] * g


@pytest.mark.parametrize("kind", [Frozen, Halfway, Branching])
def test_formulas_that_cannot_be_noted_are_computed_as_ever(kind: type[SGD]) -> None:
    optimizer = both(lambda: kind(0.1), CHANGES["another rate in every step"])
    assert not is_replayed(optimizer)


class Wandering(SGD):
    """A class of one's own, whose momentum nobody sets."""

    steps_seen = 0

    @property
    def momentum(self) -> float:
        self.__dict__["steps_seen"] = self.steps_seen + 1
        return 1.0 / self.steps_seen

    @momentum.setter
    def momentum(self, value: float) -> None:
        pass


def test_classes_of_ones_own_have_no_plan():
    assert not is_replayed(both(lambda: Wandering(0.1, momentum=0.5)))


def test_a_change_in_another_thread_is_no_error():
    """Weight decay comes and goes while updates are made."""
    optimizer, flat = SGD(0.1), flat_of()
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            optimizer.weight_decay = None if optimizer.weight_decay else 0.1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3000):
            optimizer.train(flat)
    finally:
        done.set()
        thread.join()
    assert np.isfinite(flat.values).all()


class Interrupted(SGD):
    """A formula in the middle of which somebody else sets an attribute."""

    __module__ = "nnx.mine"

    def _formula(self, w: Any, g: Any, slots: Any, *factors: Any) -> None:
        super()._formula(w, g, slots, *factors)
        if type(w) is not np.ndarray:  # as a plan is made
            self.momentum = 0.0


def test_a_plan_that_was_begun_before_a_change_is_not_used():
    optimizer, flat = Interrupted(0.1), flat_of()
    for _ in range(6):
        optimizer.train(flat)
        assert not is_replayed(optimizer)


class OfOneself(SGD):
    def update(self, w: Any, g: Any, learning_rate: float) -> None:
        super().update(w, g, 0.5 * learning_rate)


def test_an_update_of_a_subclass_is_called():
    optimizer = both(lambda: OfOneself(0.1))
    assert not is_replayed(optimizer)


def test_copies_have_no_plan():
    optimizer, flat = SGD(0.1), flat_of()
    for _ in range(3):
        optimizer.train(flat)
    for twin in (copy.copy(optimizer), copy.deepcopy(optimizer), pickle.loads(pickle.dumps(SGD(0.1)))):
        assert type(twin._replays) is ReplayedUpdates
        assert twin._replays is not optimizer._replays
        assert not is_replayed(twin)
    assert is_replayed(optimizer)


def test_compiled_kernels_that_are_switched_off_count():
    optimizer, flat = SGD(0.1), flat_of()
    for _ in range(3):
        optimizer.train(flat)
    nnx.config.disable_compiled_kernels()
    try:
        assert not is_replayed(optimizer)
    finally:
        nnx.config.enable_compiled_kernels()
