"""fit, evaluate, predict and a call of a network 30-64-64-2, by nnx, PyTorch, JAX, onnxruntime and scikit-learn."""

from __future__ import annotations

import functools
import itertools
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import torch
from peers_of_steps import Runs, adam
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import nnx

warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch is what is timed

SIZES, BATCH, ROWS = (30, 64, 64, 2), 32, 10_000


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.random((rows, SIZES[0]), dtype=np.float32), generator.integers(0, SIZES[-1], rows)


def network() -> nnx.Sequential:
    hidden = [nnx.layers.Dense(size, "relu") for size in SIZES[1:-1]]
    model = nnx.Sequential([nnx.Input(SIZES[:1]), *hidden, nnx.layers.Dense(SIZES[-1], "softmax")])
    model.compile(nnx.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def module() -> torch.nn.Sequential:
    pairs = itertools.pairwise(SIZES)
    return torch.nn.Sequential(*[part for n, m in pairs for part in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1])


def classifier(**options: Any) -> MLPClassifier:
    return MLPClassifier(SIZES[1:-1], max_iter=1, **options)


def logits(values: Any, x: Any) -> Any:
    """The network in JAX; values : kernel and bias, kernel and bias, ..."""
    for kernel, bias in zip(values[:-2:2], values[1:-2:2], strict=True):
        x = jax.nn.relu(x @ kernel + bias)
    return x @ values[-2] + values[-1]


def session(model: nnx.Sequential) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        model.export(f"{folder}/model.onnx", verbose=False)
        return onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])


def inference(rows: int, call: bool = False) -> Runs:
    """Probabilities of so many rows. call : by `model(x)`, without the apparatus of `predict`."""
    (x, _), model, net = data(rows), network(), torch.nn.Sequential(module(), torch.nn.Softmax(1)).eval()
    batch = BATCH if rows < ROWS else 1024
    runtime, fitted = session(model), classifier().fit(*data(100))
    name = runtime.get_inputs()[0].name
    values = [jnp.asarray(weight) for weight in model.get_weights()]
    probabilities = jax.jit(lambda values, x: jax.nn.softmax(logits(values, x)))

    def of_torch() -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()

    return {
        "nnx": (lambda: model(x)) if call else (lambda: model.predict(x, batch_size=batch, verbose=0)),
        "torch": of_torch,
        "jax": lambda: np.asarray(probabilities(values, x)),
        "onnx": lambda: runtime.run(None, {name: x})[0],
        "sklearn": lambda: fitted.predict_proba(x),
    }


def evaluation() -> Runs:
    (x, y), model, net = data(ROWS), network(), module().eval()
    fitted, loss_function = classifier().fit(x[:100], y[:100]), torch.nn.CrossEntropyLoss()

    def of_torch() -> tuple[float, float]:
        with torch.inference_mode():
            total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for rows, labels in zip(torch.from_numpy(x).split(BATCH), torch.from_numpy(y).split(BATCH), strict=True):
                output = net(rows)
                total += loss_function(output, labels) * len(labels)
                right += (output.argmax(1) == labels).sum()
            return float(total), float(right)

    return {
        "nnx": lambda: model.evaluate(x, y, verbose=0),
        "torch": of_torch,
        "sklearn": lambda: fitted.score(x, y),
    }


def step_of_jax(values: Any, m: Any, v: Any, count: Any, total: Any, right: Any, x: Any, y: Any) -> Any:
    """One step, and the running loss and number of hits."""

    def loss_of(values: Any) -> Any:
        output = logits(values, x)
        loss = -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], 1))
        return loss, (output.argmax(1) == y).sum()

    (loss, hits), gradients = jax.value_and_grad(loss_of, has_aux=True)(values)
    values, m, v = adam(values, gradients, m, v, count + 1)
    return values, m, v, count + 1, total + loss * len(y), right + hits


@functools.partial(jax.jit, donate_argnums=range(4))
def epoch_of_jax(values: Any, m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
    """An epoch of batches as one compiled loop."""
    start = (values, m, v, count, jnp.zeros(()), jnp.zeros((), jnp.int32))
    return jax.lax.scan(lambda state, batch: (step_of_jax(*state, *batch), None), start, (x, y))[0]


def training() -> Runs:
    """An epoch of shuffled batches, with loss and accuracy."""
    (x, y), model, net, generator = data(ROWS), network(), module(), np.random.default_rng(1)
    tx, ty, loss_function = torch.from_numpy(x), torch.from_numpy(y), torch.nn.CrossEntropyLoss()
    optimizer, fitted = torch.optim.Adam(net.parameters(), fused=True), classifier(batch_size=BATCH, warm_start=True)

    def of_torch() -> tuple[float, float]:
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for rows in torch.randperm(ROWS).split(BATCH):
            optimizer.zero_grad()
            output = net(tx[rows])
            loss = loss_function(output, ty[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
            right += (output.argmax(1) == ty[rows]).sum()
        return float(total) / ROWS, float(right) / ROWS

    def state() -> list[Any]:
        values = [jnp.array(weight) for weight in model.get_weights()]
        return [values, *([jnp.zeros_like(value) for value in values] for _ in range(2)), jnp.zeros(())]

    looped, scanned, step = state(), state(), jax.jit(step_of_jax, donate_argnums=range(4))

    def loop_of_jax() -> tuple[float, float]:
        total, right, order = jnp.zeros(()), jnp.zeros((), jnp.int32), generator.permutation(ROWS)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            *looped[:], total, right = step(*looped, total, right, x[rows], y[rows])
        return float(total) / ROWS, float(right) / ROWS

    def scan_of_jax() -> tuple[float, float]:
        order = generator.permutation(ROWS)[: ROWS // BATCH * BATCH]
        *scanned[:], total, right = epoch_of_jax(
            *scanned, x[order].reshape(-1, BATCH, SIZES[0]), y[order].reshape(-1, BATCH)
        )
        return float(total) / ROWS, float(right) / ROWS

    return {
        "nnx": lambda: model.fit(x, y, batch_size=BATCH, verbose=0),
        "torch": of_torch,
        "jax loop": loop_of_jax,
        "jax scan": scan_of_jax,
        "sklearn": lambda: fitted.fit(x, y),
    }


CASES: dict[str, tuple[float, Callable[[], Runs]]] = {
    "predict, 1 row": (4.0, functools.partial(inference, 1)),
    "predict, 100 rows": (3.0, functools.partial(inference, 100)),
    "predict, 100,000 rows": (1.7, functools.partial(inference, 100_000)),
    "model(x), 1 row": (2.5, functools.partial(inference, 1, call=True)),
    "evaluate, 10,000 rows": (1.5, evaluation),
    "fit, 10,000 rows, batch 32": (2.4, training),
}
