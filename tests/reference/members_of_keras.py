"""Objects of Keras and of nnx that are made by the same expression, and what members Keras' have.

`RECORD` was written by Keras 3.15.1 on JAX, by `KERAS_BACKEND=jax python tests/reference/members_of_keras.py`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_suffix(".json")

# of layers: the arguments, and the shape that they are built for
LAYERS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalMaxPooling1D", "Masking", "UpSampling1D"), ("", (None, 5, 3))),
    **dict.fromkeys(("AveragePooling1D", "MaxPooling1D", "Cropping1D", "ZeroPadding1D"), ("1", (None, 5, 3))),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D", "UpSampling2D"), ("", (None, 8, 8, 3))),
    **dict.fromkeys(("AveragePooling2D", "MaxPooling2D", "Cropping2D", "ZeroPadding2D"), ("1", (None, 8, 8, 3))),
    **dict.fromkeys(("GlobalAveragePooling3D", "GlobalMaxPooling3D", "UpSampling3D"), ("", (None, 4, 4, 4, 3))),
    **dict.fromkeys(("AveragePooling3D", "MaxPooling3D", "Cropping3D", "ZeroPadding3D"), ("1", (None, 4, 4, 4, 3))),
    **{f"Adaptive{kind}Pooling{n}D": ("2", (None, *(4,) * n, 3)) for kind in ("Average", "Max") for n in (1, 2, 3)},
    **{f"Conv{n}D{kind}": ("2, 3", (None, *(6,) * n, 3)) for kind in ("", "Transpose") for n in (1, 2, 3)},
    **{f"ConvLSTM{n}D": ("2, 3", (None, 4, *(6,) * n, 3)) for n in (1, 2, 3)},
    **{f"SpatialDropout{n}D": ("0.1", (None, *(4,) * n, 3)) for n in (1, 2, 3)},
    **dict.fromkeys(("DepthwiseConv1D", "SeparableConv1D"), ("2, 3", (None, 6, 3))),
    **dict.fromkeys(("DepthwiseConv2D",), ("3", (None, 6, 6, 3))),
    **dict.fromkeys(("SeparableConv2D",), ("2, 3", (None, 6, 6, 3))),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), ("3", (None, 5, 3))),
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell"), ("3", (None, 3))),
    "RNN": ("k.layers.LSTMCell(3)", (None, 5, 3)),
    "StackedRNNCells": ("[k.layers.LSTMCell(3)]", (None, 3)),
    "Bidirectional": ("k.layers.LSTM(3)", (None, 5, 3)),
    "TimeDistributed": ("k.layers.Dense(2)", (None, 5, 3)),
    "SpectralNormalization": ("k.layers.Dense(2)", (None, 3)),
    "Wrapper": ("k.layers.Dense(2)", (None, 3)),
    "Dense": ("2", (None, 3)),
    "EinsumDense": ("'ab,bc->ac', 4", (None, 3)),
    "Embedding": ("7, 3", (None, 5)),
    "ReversibleEmbedding": ("7, 3", (None, 5)),
    "Activation": ("'relu'", (None, 3)),
    "ActivityRegularization": ("0.1", (None, 3)),
    **dict.fromkeys(("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Identity", "Flatten", "Layer"), ("", (None, 3))),
    **dict.fromkeys(("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"), ("0.1", (None, 3))),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "RMSNormalization"), ("", (None, 3))),
    **dict.fromkeys(("GroupNormalization",), ("1", (None, 3))),
    **dict.fromkeys(("UnitNormalization",), ("", (None, 3))),
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply"), ("", [(None, 3), (None, 3)])),
    **dict.fromkeys(("Concatenate", "Subtract"), ("", [(None, 3), (None, 3)])),
    "Dot": ("1", [(None, 3), (None, 3)]),
    "Attention": ("", [(None, 5, 3), (None, 5, 3)]),
    "AdditiveAttention": ("", [(None, 5, 3), (None, 5, 3)]),
    "Lambda": ("abs", (None, 3)),
    "Permute": ("(2, 1)", (None, 5, 3)),
    "RepeatVector": ("2", (None, 3)),
    "Reshape": ("(3, 1)", (None, 3)),
    "InputLayer": ("(3,)", None),
    "Rescaling": ("0.5", (None, 3)),
    "Normalization": ("mean=0.0, variance=1.0", (None, 3)),
    "Discretization": ("[0.0, 1.0]", (None, 3)),
    "CategoryEncoding": ("3", None),
    "MelSpectrogram": ("", (None, 16000)),
    "STFTSpectrogram": ("", (None, 16000)),
    **dict.fromkeys(("Resizing", "CenterCrop", "RandomCrop"), ("4, 4", (None, 8, 8, 3))),
    **dict.fromkeys(("RandomBrightness", "RandomContrast", "RandomHue", "RandomPosterization"), ("0.1", None)),
    **dict.fromkeys(("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomZoom"), ("0.1", None)),
    **dict.fromkeys(("RandomColorDegeneration", "RandomInvert", "RandomPerspective"), ("0.1", None)),
    **dict.fromkeys(
        ("RandomColorJitter", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale"), ("", None)
    ),
    **dict.fromkeys(("RandomElasticTransform", "RandomShear", "AugMix", "AutoContrast", "CutMix", "MixUp"), ("", None)),
    **dict.fromkeys(("Equalization", "RandAugment", "Solarization"), ("", None)),
    "RandomTranslation": ("0.1, 0.1", None),
    "Pipeline": ("[k.layers.RandomFlip()]", None),
}
LAYERS["RandomPosterization"] = ("4", None)

OTHERS = (
    *("optimizers.Adadelta()", "optimizers.Adafactor()", "optimizers.Adagrad()", "optimizers.Adam()"),
    *("optimizers.AdamW()", "optimizers.Adamax()", "optimizers.Ftrl()", "optimizers.Lamb()", "optimizers.Lion()"),
    *("optimizers.LossScaleOptimizer(k.optimizers.SGD())", "optimizers.Muon()", "optimizers.Nadam()"),
    *("optimizers.RMSprop()", "optimizers.SGD()", "optimizers.ScheduleFreeAdamW()", "optimizers.Optimizer(0.1)"),
    "optimizers.MultiOptimizer(k.optimizers.OptimizerMap(k.optimizers.SGD()))",
    "optimizers.OptimizerMap(k.optimizers.SGD())",
    *("optimizers.schedules.CosineDecay(0.1, 10)", "optimizers.schedules.CosineDecayRestarts(0.1, 10)"),
    "optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)",
    "optimizers.schedules.InverseTimeDecay(0.1, 10, 0.9)",
    *("optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.2])", "optimizers.schedules.PolynomialDecay(0.1, 10)"),
    *("losses.BinaryCrossentropy()", "losses.BinaryFocalCrossentropy()", "losses.CTC()", "losses.Circle()"),
    *("losses.CategoricalCrossentropy()", "losses.CategoricalFocalCrossentropy()", "losses.CategoricalHinge()"),
    *("losses.CategoricalGeneralizedCrossEntropy()", "losses.CosineSimilarity()", "losses.Dice()", "losses.Hinge()"),
    *("losses.Huber()", "losses.KLDivergence()", "losses.LogCosh()", "losses.MeanAbsoluteError()", "losses.Loss()"),
    *("losses.MeanAbsolutePercentageError()", "losses.MeanSquaredError()", "losses.MeanSquaredLogarithmicError()"),
    *("losses.Poisson()", "losses.SparseCategoricalCrossentropy()", "losses.SquaredHinge()", "losses.Tversky()"),
    *("metrics.AUC()", "metrics.Accuracy()", "metrics.BinaryAccuracy()", "metrics.BinaryCrossentropy()"),
    *("metrics.BinaryIoU()", "metrics.CategoricalAccuracy()", "metrics.CategoricalCrossentropy()"),
    *("metrics.CategoricalHinge()", "metrics.ConcordanceCorrelation()", "metrics.CosineSimilarity()"),
    *("metrics.F1Score()", "metrics.FBetaScore()", "metrics.FalseNegatives()", "metrics.FalsePositives()"),
    *("metrics.Hinge()", "metrics.IoU(2, [0])", "metrics.KLDivergence()", "metrics.LogCoshError()", "metrics.Mean()"),
    *("metrics.MeanAbsoluteError()", "metrics.MeanAbsolutePercentageError()", "metrics.MeanIoU(2)"),
    *("metrics.MeanMetricWrapper(k.losses.huber)", "metrics.MeanSquaredError()", "metrics.Metric()"),
    *("metrics.MeanSquaredLogarithmicError()", "metrics.OneHotIoU(2, [0])", "metrics.OneHotMeanIoU(2)"),
    *("metrics.PearsonCorrelation()", "metrics.Poisson()", "metrics.Precision()", "metrics.PrecisionAtRecall(0.5)"),
    *("metrics.R2Score()", "metrics.Recall()", "metrics.RecallAtPrecision(0.5)", "metrics.RootMeanSquaredError()"),
    *("metrics.SensitivityAtSpecificity(0.5)", "metrics.SparseCategoricalAccuracy()", "metrics.SquaredHinge()"),
    *("metrics.SparseCategoricalCrossentropy()", "metrics.SparseTopKCategoricalAccuracy()", "metrics.Sum()"),
    *("metrics.SpecificityAtSensitivity(0.5)", "metrics.TopKCategoricalAccuracy()", "metrics.TrueNegatives()"),
    "metrics.TruePositives()",
    *("initializers.Constant(1)", "initializers.GlorotNormal()", "initializers.GlorotUniform()"),
    *("initializers.HeNormal()", "initializers.HeUniform()", "initializers.Identity()", "initializers.LecunNormal()"),
    *("initializers.LecunUniform()", "initializers.Ones()", "initializers.Orthogonal()", "initializers.Zeros()"),
    *("initializers.RandomNormal()", "initializers.RandomUniform()", "initializers.TruncatedNormal()"),
    "initializers.VarianceScaling()",
    *("regularizers.L1()", "regularizers.L1L2()", "regularizers.L2()", "regularizers.OrthogonalRegularizer()"),
    *("constraints.MaxNorm()", "constraints.MinMaxNorm()", "constraints.NonNeg()", "constraints.UnitNorm()"),
    *("callbacks.BackupAndRestore('x')", "callbacks.CSVLogger('x.csv')", "callbacks.Callback()"),
    *("callbacks.CallbackList([])", "callbacks.EarlyStopping()", "callbacks.History()", "callbacks.LambdaCallback()"),
    *("callbacks.LearningRateScheduler(abs)", "callbacks.ModelCheckpoint('x.keras')", "callbacks.ProgbarLogger()"),
    *("callbacks.ReduceLROnPlateau()", "callbacks.RemoteMonitor()", "callbacks.SwapEMAWeights()"),
    *("callbacks.TerminateOnNaN()", "random.SeedGenerator(1)", "utils.PyDataset()", "utils.Progbar(3)"),
    *("DTypePolicy('float32')", "Input((3,))", "layers.InputSpec(shape=(3,))"),
)

# those that Keras makes on TensorFlow alone: the members of their classes
CLASSES = ("IntegerLookup", "StringLookup", "TextVectorization", "Hashing", "HashedCrossing")


def objects(k: Any) -> Iterator[tuple[str, Any]]:
    """The objects, built where they can be, of a package that is Keras or nnx."""
    space = {"k": k}
    for name, (arguments, shape) in LAYERS.items():
        layer = eval(f"k.layers.{name}({arguments})", space)
        if shape is not None:
            layer.build(shape)
        yield name, layer
    for expression in OTHERS:
        yield (
            expression.partition("(")[0].rpartition(".")[2]
            + (" of metrics" if expression.startswith("metrics") else ""),
            eval(f"k.{expression}", space),
        )
    x = k.Input((4, 5))
    for name, arguments in (("MultiHeadAttention", "2, 3"), ("GroupQueryAttention", "3, 2, 1")):
        layer = eval(f"k.layers.{name}({arguments})", space)
        layer(x, x)
        yield name, layer
    x = k.Input((4,))
    models = {"Functional": k.Model(x, k.layers.Dense(2)(x)), "Sequential": k.Sequential([x, k.layers.Dense(2)])}
    for name, model in models.items():
        model.compile("adam", "mse")
        yield name, model
    yield "Variable", models["Sequential"].trainable_variables[0]
    yield "compiled optimizer", models["Sequential"].optimizer


def has(thing: Any, member: str) -> bool:
    """Whether it has a member that can be read now."""
    try:
        getattr(thing, member)
    except Exception:
        return False
    return True


def members(keras: Any) -> dict[str, list[str]]:
    """The public members of Keras' objects."""
    found = {name: [m for m in dir(one) if not m.startswith("_") and has(one, m)] for name, one in objects(keras)}
    for name in CLASSES:
        found[name] = [m for m in dir(getattr(keras.layers, name)) if not m.startswith("_")]
    return found


BASES = ("Layer", "Metric of metrics", "Loss", "Optimizer")


def read_record() -> dict[str, list[str]]:
    """What `members` returned for Keras 3.15.1."""
    lines: dict[str, list[str]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return {name: [*lines[line[0]], *line[1:]] if line[0] in BASES else line for name, line in lines.items()}


def write_record(found: dict[str, list[str]]) -> None:
    """Keep what `members` returned: for each object the base that it has all members of, and its own."""
    lines = []
    for name, members in sorted(found.items()):
        base = next((one for one in BASES if one != name and set(found[one]) <= set(members)), None)
        own = members if base is None else [base, *sorted(set(members) - set(found[base]))]
        lines.append(f"{json.dumps(name)}: {json.dumps(own)}")
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_record(members(keras))
