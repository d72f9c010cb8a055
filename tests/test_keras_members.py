"""Members that Keras' objects have: each is there, or its AttributeError says what to write."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import keras_members
from nnx.layers import HashedCrossing, Hashing, IntegerLookup, StringLookup, TextVectorization
from tests.reference.members_of_keras import objects, read_record

# of old scripts
OF_KERAS_2 = {
    "Dense": (
        *("updates", "add_update", "get_input_at", "get_output_at", "input_shape", "output_shape", "inbound_nodes"),
        *("outbound_nodes", "get_updates_for", "get_losses_for", "dynamic", "submodules", "input_mask", "output_mask"),
    ),
    "Sequential": (
        *("uses_learning_phase", "state_updates", "total_loss", "targets", "sample_weight_mode", "compiled_loss"),
        *("compiled_metrics", "distribute_strategy"),
    ),
    "Adam": (
        *("get_updates", "get_gradients", "get_weights", "minimize", "aggregate_gradients", "get_slot", "add_slot"),
        "get_slot_names",
    ),
    "Mean of metrics": ("updates", "reset_states"),
    "Variable": ("read_value", "eval", "handle"),
    "EarlyStopping": ("validation_data",),
}


@pytest.fixture(scope="module")
def things() -> dict[str, Any]:
    lookups = {
        "IntegerLookup": IntegerLookup(vocabulary=[1]),
        "StringLookup": StringLookup(vocabulary=["a"]),
        "TextVectorization": TextVectorization(),
        "Hashing": Hashing(3),
        "HashedCrossing": HashedCrossing(3),
    }
    return {**dict(objects(nnx)), **lookups}


def complaint(thing: Any, member: str) -> str | None:
    """What is wrong with the error of a member that is not there; None where all is well."""
    try:
        getattr(thing, member)
    except AttributeError as error:
        text, guesses = str(error), " did you mean " in str(error) or "dir() of it" in str(error)
        says_it = ": " in text and "object has no attribute" not in text and not guesses
        return None if says_it and not hasattr(thing, member) else text
    return None


def test_each_member_is_there_or_its_error_says_what_to_write(things: dict[str, Any]) -> None:
    recorded = read_record()
    asked = [(name, member) for name, members in recorded.items() for member in members]
    asked += [(name, member) for name, members in OF_KERAS_2.items() for member in members]
    assert len(asked) > 10_000
    wrong = {f"{name}.{member}": complaint(things[name], member) for name, member in asked}
    assert not {path: text for path, text in wrong.items() if text is not None}


def test_the_table_is_of_what_is_not_there(things: dict[str, Any]) -> None:
    kinds = {base.__name__: base for thing in things.values() for base in type(thing).__mro__}
    assert set(keras_members.INSTEAD) <= set(kinds)
    there = [
        f"{kind}.{name}"
        for kind, members in keras_members.INSTEAD.items()
        for name in members
        if hasattr(kinds[kind], name)
    ]
    assert not there
    # `without` lists the names of the classes that have no `__getattr__`
    assert not [name for name in keras_members.INSTEAD["Optimizer"] if name not in dir(nnx.optimizers.Optimizer)]
    assert not [name for name in keras_members.INSTEAD["Parameter"] if name not in dir(kinds["Parameter"])]


def test_near_names_and_errors_of_properties() -> None:
    for thing, name, near in (
        (nnx.layers.Dense(2), "unit", "units"),
        (nnx.metrics.Mean(), "update_stat", "update_state"),
        (nnx.callbacks.EarlyStopping(), "patiences", "patience"),
        (nnx.losses.Huber(), "delt", "delta"),
        (nnx.initializers.Constant(1.0), "valu", "value"),
    ):
        with pytest.raises(AttributeError, match=f"^{type(thing).__name__} has no {name!r}: did you mean {near!r}"):
            getattr(thing, name)

    class Broken(nnx.metrics.Mean):
        @property
        def half(self) -> Any:
            return self.nothing_of_the_kind / 2

    with pytest.raises(AttributeError, match=r"^Broken has no 'nothing_of_the_kind'"):
        Broken().half  # noqa: B018
    with pytest.raises(AttributeError, match="_private"):
        nnx.metrics.Mean()._private  # noqa: B018


def test_copies_and_errors_in_other_processes(things: dict[str, Any]) -> None:
    for name in ("Adam", "Mean of metrics", "Huber", "GlorotUniform", "EarlyStopping", "L2", "SeedGenerator"):
        for other in (copy.copy(things[name]), copy.deepcopy(things[name]), pickle.loads(pickle.dumps(things[name]))):
            assert type(other) is type(things[name])
            assert vars(other).keys() == vars(things[name]).keys()
    with pytest.raises(AttributeError) as caught:
        things["Dense"].quantize("int8")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


UNCALLED: dict[str, tuple[type, str]] = {
    "make_train_function": (nnx.Model, r"override train_step\(self, data\)"),
    "make_test_function": (nnx.Model, r"override test_step\(self, data\)"),
    "make_predict_function": (nnx.Sequential, r"override predict_step\(self, data\)"),
    "stateless_compute_loss": (nnx.Model, "override compute_loss"),
    "compute_loss_and_updates": (nnx.Model, "override train_step"),
    "quantized_call": (nnx.layers.Dense, "does not quantise"),
    "symbolic_call": (nnx.layers.Layer, "compute_output_shape"),
    "stateless_call": (nnx.layers.Layer, r"layer\(x\)"),
    "rematerialized_call": (nnx.layers.Layer, "gradient_accumulation_steps"),
    "stateless_apply": (nnx.optimizers.SGD, "optimizer.apply"),
    "get_updates": (nnx.optimizers.Optimizer, "override update_step"),
    "stateless_result": (nnx.metrics.Mean, r"metric.result\(\)"),
}


@pytest.mark.parametrize("name", UNCALLED)
def test_a_method_that_would_never_be_called_is_refused(name: str) -> None:
    base, advice = UNCALLED[name]
    with pytest.raises(TypeError, match=rf"^Mine\.{name} would never be called: .*{advice}"):
        type("Mine", (base,), {name: lambda self, *_: None, "__module__": __name__})


def test_steps_with_a_state_are_refused() -> None:
    def with_state(self: Any, state: Any, data: Any) -> Any: ...

    def of_own_loop(self: Any, x: Any, y: Any) -> Any: ...

    for name in ("train_step", "test_step", "predict_step"):
        with pytest.raises(TypeError, match=rf"^Mine\.{name} takes a state, as in Keras on JAX: write {name}\(self"):
            type("Mine", (nnx.Model,), {name: with_state, "__module__": __name__})
        assert type("Mine", (nnx.Model,), {name: of_own_loop, "__module__": __name__})


def test_members_as_in_keras() -> None:
    lstm = nnx.layers.LSTM(3)
    lstm.build((None, 5, 2))
    assert lstm.state_size == [3, 3]
    assert [state.shape for state in lstm.get_initial_state(4)] == [(4, 3), (4, 3)]
    assert nnx.layers.GRU(3).state_size == [3]
    with pytest.raises(TypeError, match=r"must be a layer with call\(inputs, states\)"):
        nnx.layers.RNN(lstm)
    assert nnx.layers.Dense(2, dtype="mixed_float16").dtype_policy == nnx.DTypePolicy("mixed_float16")
    first = nnx.initializers.GlorotUniform(seed=3)
    assert np.array_equal(first((2, 3)), first.clone()((2, 3)))
    seed = nnx.random.SeedGenerator(4)
    assert nnx.random.SeedGenerator.from_config(seed.get_config()).next() == seed.next()
    area = nnx.metrics.AUC(curve="PR")
    assert float(area([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])) == float(area.interpolate_pr_auc())
    overlap = nnx.metrics.MeanIoU(3)
    assert overlap.total_cm.shape == (3, 3)
    overlap.update_state([0, 1, 1], [0, 1, 2])
    assert np.asarray(overlap.total_cm).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_a_list_of_callbacks_tells_all() -> None:
    heard: list[Any] = []

    class Ear(nnx.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append((self.model, self.params, batch))

    callbacks = nnx.callbacks.CallbackList([Ear()])
    callbacks.set_model("model")
    callbacks.set_params({"epochs": 2})
    callbacks.on_batch_begin(0)
    callbacks.on_batch_end(7)
    assert heard == [("model", {"epochs": 2}, 7)]


def test_what_early_stopping_watches_may_be_overridden() -> None:
    class Twice(nnx.callbacks.EarlyStopping):
        def get_monitor_value(self, logs: Any) -> Any:
            return 2 * logs["loss"]

    stopping = Twice("loss")
    stopping.on_epoch_end(0, {"loss": 1.5})
    assert stopping.best == 3.0
    assert stopping.monitor_op(1.0, 2.0)


def test_how_to_compute_is_set_afterwards() -> None:
    calls = []

    class Noisy(nnx.layers.Layer):
        def call(self, x: Any) -> Any:
            calls.append(1)
            return x

    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2), Noisy()])
    assert model.jit_compile == "auto"
    assert not model.run_eagerly
    model.compile("sgd", "mse", jit_compile=True)
    x, y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    for _ in range(4):
        model.train_on_batch(x, y)
    model.run_eagerly = True
    assert model.jit_compile is False
    calls.clear()
    for _ in range(3):
        model.train_on_batch(x, y)
    assert len(calls) == 3
    model.run_eagerly = False
    assert model.jit_compile == "auto"
    with pytest.raises(ValueError, match="jit_compile must be True, False or 'auto'"):
        model.jit_compile = "no"


OPTIMIZERS: list[Callable[[], Any]] = [
    nnx.optimizers.Adam,
    lambda: nnx.optimizers.SGD(nnx.schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9),
    lambda: nnx.optimizers.MultiOptimizer(
        nnx.optimizers.OptimizerMap(nnx.optimizers.Adam(), {"bias": nnx.optimizers.SGD(0.1, momentum=0.9)})
    ),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_weights_of_an_optimizer(make: Callable[[], Any]) -> None:
    layer = nnx.layers.Dense(2)
    layer.build((None, 3))
    first, other = make(), make()
    assert first.variables[0].numpy() == 0
    with pytest.raises(ValueError, match=r"the slots are there after optimizer.build"):
        other.set_weights([0, 0.1, np.ones((3, 2))])
    gradients = [np.ones((3, 2), np.float32), np.ones(2, np.float32)]
    first.apply(gradients, layer.trainable_variables)
    twin = nnx.layers.Dense(2)
    twin.build((None, 3))
    twin.set_weights(layer.get_weights())
    other.build(twin.trainable_variables)
    other.set_weights([variable.numpy() for variable in first.variables])
    for optimizer, trained in ((first, layer), (other, twin)):
        optimizer.apply(gradients, trained.trainable_variables)
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), twin.get_weights(), strict=True))
    assert other.iterations == 2


def test_variables_beside_parameters() -> None:
    class Momentum(nnx.optimizers.Optimizer):
        def build(self, variables: Any) -> None:
            if not self.built:
                super().build(variables)
                self.averages, self.maxima = self.add_optimizer_variables(variables, ["average", "maximum"])

        def update_step(self, gradient: Any, variable: Any, learning_rate: float) -> None:
            average = self.averages[self._get_variable_index(variable)]
            self.assign(average, 0.9 * average + gradient)
            self.assign_sub(variable, learning_rate * average)

    layer = nnx.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    layer.build((None, 1))
    optimizer = Momentum(0.5)
    for _ in range(2):
        optimizer.apply([np.ones((1, 1), np.float32)], layer.trainable_variables)
    assert layer.get_weights()[0].tolist() == [[pytest.approx(1 - 0.5 - 0.5 * 1.9)]]


def test_names_of_keras_that_are_elsewhere() -> None:
    with pytest.raises(ValueError, match=r"unknown activation 'glu': it is nnx.ops.glu: give that function"):
        nnx.activations.get("glu")
    assert nnx.layers.Dense(4, activation=nnx.ops.glu)(np.ones((2, 3), np.float32)).shape == (2, 2)
    for kind in (nnx.losses, nnx.metrics, nnx.initializers, nnx.regularizers, nnx.constraints):
        base = {"losses": "Loss"}.get(name := kind.__name__.rpartition(".")[2], name[:-1].title())
        for find in (kind.get, kind.deserialize):
            with pytest.raises(ValueError, match=rf"unknown {base.lower()} '{base}': it is the base of all: give"):
                find(base)
    written = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    assert nnx.activations.deserialize(written) is nnx.activations.relu


def test_a_symbol_as_an_input() -> None:
    x = nnx.Input((4,))
    hidden = nnx.layers.Dense(3)(x)
    assert nnx.Input(tensor=hidden) is hidden
    assert nnx.Input((3,), tensor=hidden, dtype="float32", batch_shape=(None, 3)) is hidden
    assert nnx.Model(nnx.Input(tensor=hidden), nnx.layers.Dense(2)(hidden)).count_params() == 8
    for wrong in ({"shape": (4,)}, {"batch_size": 2}, {"dtype": "int32"}, {"batch_shape": (None, 4)}):
        with pytest.raises(
            ValueError, match=f"^Input: {next(iter(wrong))}=.*, but that of tensor=.* is .*: leave it out"
        ):
            nnx.Input(tensor=hidden, **wrong)
    with pytest.raises(ValueError, match="takes a symbol; call the model on an array"):
        nnx.Input(tensor=np.ones((2, 3)))


def test_a_dict_by_the_name_of_the_input_of_a_stack() -> None:
    model = nnx.Sequential([nnx.Input((3,), name="flowers"), nnx.layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model.fit({"flowers": x}, y, verbose=0)
    assert np.array_equal(model.predict({"flowers": x}, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match=r"x is a dict of \['a'\], expected the names \['flowers'\]"):
        model.predict({"a": x}, verbose=0)


@pytest.mark.parametrize(("mode", "expected"), [("int", (None, 3)), ("one_hot", (None, 3, 4)), ("count", (None, 4))])
def test_the_output_shape_of_bins_before_adapt(mode: str, expected: tuple[int | None, ...]) -> None:
    layer = nnx.layers.Discretization(num_bins=4, output_mode=mode)
    assert layer.compute_output_shape((None, 3)) == expected
    layer.adapt(np.arange(12.0))
    assert layer.compute_output_shape((None, 3)) == expected
