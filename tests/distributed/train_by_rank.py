"""A script that trains small models, started by test_mpi.py as one process and as several.

    python train_by_rank.py FOLDER NAME:BACKEND...

Each rank writes what came out of each training to FOLDER/<name>-<backend>-<number of ranks>-<rank>.npz.
"""

import contextlib
import io
import sys
from pathlib import Path

import numpy as np

import nnx
from nnx.data import row_pools
from nnx.layers import (
    LSTM,
    ActivityRegularization,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    Masking,
    TimeDistributed,
)
from nnx.training import pipeline

FOLDER = Path(*sys.argv[1:2])  # also where this file is only imported


def data(*shape, classes=3):
    numbers = np.random.default_rng(5)
    x = numbers.normal(size=shape).astype("float32")
    y = (x.reshape(len(x), -1).sum(axis=1) > 0).astype("int64") + (x.reshape(len(x), -1)[:, 0] > 1)
    return x, np.minimum(y, classes - 1)


class Terminal(io.StringIO):
    """Standard output on which the progress bar is redrawn."""

    def isatty(self):
        return True


def dense():
    """41 samples in batches of 16, so the last one has 9; weights, clipping, a penalty, metrics, validation."""
    x, y = data(41, 5)
    model = nnx.Sequential([Input(shape=(5,)), Dense(16, "tanh", kernel_regularizer="l2"), Dense(3, "softmax")])
    model.compile(
        nnx.optimizers.Adam(0.01, global_clipnorm=0.3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[nnx.metrics.SparseCategoricalCrossentropy(name="weighted")],
    )
    weights = np.linspace(0.0, 2.0, len(x))
    history = model.fit(
        x, y, 16, epochs=6, verbose=0, sample_weight=weights, class_weight={1: 3.0}, validation_data=(x[:7], y[:7])
    )
    return model, history.history, model.evaluate(x, y, batch_size=10, verbose=0)


def convolution():
    """Batch normalisation of all ranks together; the last batch has one sample, fewer than there are ranks."""
    x, y = data(33, 6, 6, 2)
    model = nnx.Sequential(
        [
            Input(shape=(6, 6, 2)),
            Conv2D(4, 3, use_bias=False),
            BatchNormalization(momentum=0.7),
            Conv2D(4, 2, activation="relu"),
            BatchNormalization(axis=1),
            GlobalAveragePooling2D(),
            Dense(3),
        ]
    )
    loss = nnx.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=16, epochs=4, verbose=0)
    return model, history.history, model.evaluate(x, y, verbose=0)


def long():
    """Hundreds of steps, in float64, so that rounding has not grown to what an error would be."""
    x, y = data(70, 6, 6, 2)
    with nnx.backend("numpy", dtype="float64"):
        model = nnx.Sequential(
            [
                Input(shape=(6, 6, 2)),
                Conv2D(4, 3, activation="relu"),
                BatchNormalization(),
                GlobalAveragePooling2D(),
                Dense(8, "relu", kernel_regularizer="l1"),
                Dense(3, "softmax"),
            ]
        )
    model.compile(nnx.optimizers.Adam(0.01, clipnorm=1.0), "sparse_categorical_crossentropy")
    return model, model.fit(x, y, batch_size=16, epochs=60, verbose=0).history, []


def masked():
    """Masks of time steps in the loss and in batch normalisation, weights by their sum, and stopping early."""
    numbers = np.random.default_rng(3)
    x = numbers.normal(size=(21, 6, 3)).astype("float32")
    for row, length in enumerate(numbers.integers(1, 7, size=21)):
        x[row, length:] = 0.0
    y = x.sum(axis=-1, keepdims=True)
    model = nnx.Sequential(
        [
            Input(shape=(6, 3)),
            Masking(),
            BatchNormalization(),
            LSTM(5, return_sequences=True),
            TimeDistributed(Dense(1)),
        ]
    )
    model.compile(nnx.optimizers.SGD(0.1), nnx.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    stopping = nnx.callbacks.EarlyStopping("loss", min_delta=0.1, patience=1, restore_best_weights=True)
    history = model.fit(x, y, batch_size=8, epochs=30, verbose=0, callbacks=[stopping, nnx.callbacks.TerminateOnNaN()])
    return model, history.history, [stopping.stopped_epoch, model.evaluate(x, y, verbose=0)]


def ignored():
    """Losses that leave targets out, that are a sum, and penalties on outputs, of a model with two outputs."""
    x, y = data(19, 4)
    shared = ActivityRegularization(l2=0.01)(Dense(8, "relu")(inputs := Input(shape=(4,))))
    model = nnx.Model(inputs, [Dense(3, name="label")(shared), Dense(1, name="total")(shared)])
    losses = {
        "label": nnx.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1),
        "total": nnx.losses.MeanSquaredError(reduction="sum"),
    }
    model.compile(nnx.optimizers.RMSprop(0.01), losses, loss_weights={"label": 1.0, "total": 0.1})
    history = model.fit(x, {"label": y, "total": x.sum(axis=1)}, batch_size=7, epochs=4, verbose=0)
    return model, history.history, model.evaluate(x, {"label": y, "total": x.sum(axis=1)}, verbose=0)


def metrics():
    """Metrics whose running values are sums of their own, and one that shifts its origin; numbers in iterables."""
    x, y = data(26, 4, classes=2)
    model = nnx.Sequential([Input(shape=(4,)), Dense(8, "tanh"), Dense(1, "sigmoid")])
    names = ["AUC", "Precision", "Recall", "R2Score", "BinaryAccuracy", "MeanSquaredError"]
    model.compile("adam", "binary_crossentropy", metrics=[getattr(nnx.metrics, name)() for name in names])
    y = y[:, None].astype("float32")
    batches = [(x[start : start + 8], y[start : start + 8]) for start in range(0, 26, 8)]
    history = model.fit(batches, epochs=3, verbose=0)
    losses = [model.train_on_batch(x, y, return_dict=True)["loss"], model.test_on_batch(x[:1], y[:1])[0]]
    return model, history.history, [*losses, *model.evaluate(batches, verbose=0)]


def dropout():
    """Masks of a multiple of eight numbers are those of one process."""
    x, y = data(27, 4)
    model = nnx.Sequential([Input(shape=(4,)), Dense(16, "relu"), Dropout(0.5), Dense(24), Dropout(0.2), Dense(3)])
    model.compile("adam", nnx.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, model.fit(x, y, batch_size=6, epochs=4, verbose=0).history, []


def files():
    """Everything that writes and prints, with the training interrupted in an epoch and begun again."""
    x, y = data(41, 5)
    written = FOLDER / f"written-by-{nnx.distributed.size()}"

    def train(batches):
        nnx.random.set_seed(4)
        model = nnx.Sequential([Input(shape=(5,)), Dense(8, "tanh"), BatchNormalization(), Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        callbacks = [
            nnx.callbacks.ModelCheckpoint(written / "best-{epoch}.safetensors", "loss", save_best_only=True, verbose=1),
            nnx.callbacks.CSVLogger(written / "log.csv"),
            nnx.callbacks.BackupAndRestore(written / "backup", save_freq=2),
            nnx.callbacks.ReduceLROnPlateau("loss", patience=0),
        ]
        if batches:
            callbacks.insert(0, Interrupt(batches))
        verbose = 1 if nnx.distributed.rank() == 0 else 0  # as many scripts have it
        return model, model.fit(x, y, batch_size=8, epochs=3, verbose=verbose, callbacks=callbacks)

    class Interrupt(nnx.callbacks.Callback):
        def __init__(self, batches):
            self.left = batches

        def on_train_batch_end(self, batch, logs=None):
            self.left -= 1
            if self.left == 0:
                raise InterruptedError

    if nnx.distributed.rank() == 0:
        written.mkdir()
    nnx.distributed.barrier()
    with contextlib.redirect_stdout(Terminal()) as printed:
        with contextlib.suppress(InterruptedError):
            train(batches=9)
        model, history = train(batches=0)
        model.summary()
        model.save(written / "model.safetensors")
    nnx.distributed.barrier()
    loaded = nnx.models.load_model(written / "best-3.safetensors")
    files, lines = list(written.iterdir()), len((written / "log.csv").read_text().splitlines())
    same = all(np.array_equal(a, b) for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True))
    text = printed.getvalue()
    seen = [text.count("Epoch 3: finished saving model"), "/6 ━" in text and "\r" in text, "Total params" in text]
    return model, history.history, [same, len(files), lines, *seen]


class Samples:
    """A sequence of samples (x, y), which remembers which rows were read."""

    def __init__(self, array):
        self.array, self.read = array, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        self.read.append(index)
        return self.array[index], index % 3


class Rows(Samples):
    """What looks like a data set of h5py, which remembers which rows were read."""

    chunks = None
    shape, dtype = (property(lambda self, name=name: getattr(self.array, name)) for name in ("shape", "dtype"))

    def __getitem__(self, rows):
        self.read += range(*rows.indices(len(self)))
        return self.array[rows]


def check_read(rows, passes, batch_size):
    """Whether in so many passes a rank has read its rows of each batch, and no others."""
    batches = [min(batch_size, len(rows) - start) for start in range(0, len(rows), batch_size)]
    each = [divmod(batch, nnx.distributed.size()) for batch in batches]
    own = sum(max(1, rows + (nnx.distributed.rank() < more)) for rows, more in each)  # one at least, see ranks.Shard
    assert len(rows.read) == own * passes, (len(rows.read), own, passes)


def stored():
    """Arrays on disk in pools of 24 rows, of blocks of 4 rows, shuffled; and as validation data, and in `evaluate`."""
    x, y = data(58, 5)
    row_pools.BLOCK_BYTES, pipeline.POOL_BYTES = 4 * 24, 24 * 24
    on_disk, targets, others = Rows(x), Rows(y), Rows(x[:21])
    model = nnx.Sequential([Input(shape=(5,)), Dense(16, "tanh"), Dropout(0.4), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(on_disk, targets, 8, epochs=4, verbose=0, validation_data=(others, y[:21]))
    check_read(on_disk, 4, 8)
    check_read(targets, 4, 8)
    check_read(others, 4, 8)
    results = model.evaluate(on_disk, y, batch_size=13, verbose=0)
    assert len(on_disk.read) < 58 * 5 or nnx.distributed.size() == 1
    return model, history.history, results


def loaders():
    """Samples one by one, with a map and a thread that reads ahead; columns, a generator and batches as they are."""
    x, y = data(50, 5)
    samples, columns, mapped = Samples(x), Rows(x), []

    def scaled(x, y):
        mapped.append(len(x))
        return x * 0.5, y

    model = nnx.Sequential([Input(shape=(5,)), Dense(16, "relu"), Dropout(0.3), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    loader = nnx.data.DataLoader(samples, batch_size=12, shuffle=True, map=scaled, prefetch=2, seed=3)
    others = nnx.data.DataLoader(columns, y, batch_size=16, shuffle=True, drop_last=True, buffer_size=32, seed=4)
    history = model.fit(loader, epochs=3, verbose=0, validation_data=others).history
    check_read(samples, 3, 12)
    assert sum(mapped) == len(samples.read)
    check_read(columns, 3, 16)
    columns = nnx.data.DataLoader(x, y, batch_size=7, shuffle=True, seed=5)
    batches = nnx.data.DataLoader(lambda: iter(columns), batch_size=None)
    one_by_one = nnx.data.DataLoader(lambda: zip(x, y, strict=True), batch_size=1, shuffle=True, buffer_size=9, seed=6)
    for number, each in enumerate((columns, batches, one_by_one)):
        history[f"loss {number}"] = model.fit(each, epochs=2, verbose=0).history["loss"]
    assert sum(len(x) for x, _ in columns) == 50  # a loop of one's own gets whole batches
    return model, history, model.evaluate(columns, verbose=0, return_dict=True)["loss"]


def main():
    nnx.distributed.initialize()
    rank, size = nnx.distributed.rank(), nnx.distributed.size()
    for argument in sys.argv[2:]:
        name, backend = argument.split(":")
        nnx.random.set_seed(2)
        with nnx.backend(backend):
            model, history, results = globals()[name]()
        weights = {f"weight {path}": nnx.to_numpy(p.value) for path, p in model.named_weights().items()}
        columns = {f"history {key}": np.asarray(values) for key, values in history.items()}
        np.savez(
            FOLDER / f"{name}-{backend}-{size}-{rank}.npz",
            results=np.asarray(results, dtype=float),
            **columns,
            **weights,
        )


if __name__ == "__main__":
    main()
