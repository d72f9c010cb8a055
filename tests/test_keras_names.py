"""Names of Keras and of old scripts: what they mean here, or what the error says to write instead."""

from __future__ import annotations

import importlib
import re

import pytest

import nnx
from nnx import keras_names

# an import of a script, and what it is here
IMPORTS = {
    "from nnx.layers.core import Dense, Flatten": "layers.Dense",
    "from nnx.layers.convolutional import Conv2D": "layers.Conv2D",
    "from nnx.layers.recurrent import LSTM": "layers.LSTM",
    "from nnx.layers.embeddings import Embedding": "layers.Embedding",
    "from nnx.layers.normalization import BatchNormalization": "layers.BatchNormalization",
    "from nnx.layers.pooling import MaxPooling2D": "layers.MaxPooling2D",
    "from nnx.layers.merge import concatenate": "layers.concatenate",
    "from nnx.layers.noise import GaussianDropout": "layers.GaussianDropout",
    "from nnx.layers.attention import Attention": "layers.Attention",
    "from nnx.layers.rnn import LSTM": "layers.LSTM",
    "from nnx.layers.reshaping import ZeroPadding2D": "layers.ZeroPadding2D",
    "from nnx.layers.activation import PReLU": "layers.PReLU",
    "from nnx.layers.pooling import Dense": "layers.Dense",
    "from nnx.layers.regularization import Dropout": "layers.Dropout",
    "from nnx.layers.experimental.preprocessing import Rescaling": "layers.Rescaling",
    "from nnx.engine.topology import Layer": "layers.Layer",
    "from nnx.preprocessing.sequence import pad_sequences": "utils.pad_sequences",
    "from nnx.preprocessing import sequence; sequence = sequence.pad_sequences": "utils.pad_sequences",
    "from nnx.optimizers.schedules import ExponentialDecay": "schedules.ExponentialDecay",
    "from nnx.optimizers.legacy import Adam": "optimizers.Adam",
    "from nnx.objectives import mse": "losses.mse",
    "from nnx.losses import Reduction; Reduction = Reduction.SUM": None,
    "from nnx.utils import Progbar, clear_session": "callbacks.progbar.Progbar",
    "from nnx.utils.data_utils import get_file": "utils.get_file",
    "from nnx.layers import deserialize, serialize": "saving.deserialize_keras_object",
    "from nnx.dtype_policies import DTypePolicy": "mixed_precision.DTypePolicy",
    "from nnx.mixed_precision import set_global_policy": "mixed_precision.set_dtype_policy",
    "from nnx import backend as K, tree, config": "backend",
}

# a statement, and what its error says
ADVICE = {
    "from nnx.applications import VGG16": "no pretrained networks",
    "from nnx.applications.vgg16 import VGG16": "no pretrained networks",
    "from nnx import applications": "no pretrained networks",
    "nnx.applications.VGG16": "nnx has no 'applications': .*nnx.models.load_model",
    "from nnx.src.layers import Dense": "what is there is in nnx itself",
    "import nnx.api": "what is there is in nnx itself",
    "from nnx.legacy.saving import serialization": "nnx.saving, and in nnx.preprocessing",
    "nnx.preprocessing.image.DirectoryIterator": "flow_from_directory",
    "nnx.quantizers.Int8": "does not quantise",
    "nnx.distribution": "nnx.distributed.initialize",
    "from nnx.wrappers.scikit_learn import KerasClassifier": "nnx.wrappers has SKLearnClassifier",
    "nnx.saving.export_saved_model": r"model.save\('x.keras'\)",
    "from nnx.datasets import svhn": "np.load",
    "from nnx.layers import TFSMLayer": "nnx runs no code of TensorFlow",
    "nnx.layers.Dens": "did you mean 'Dense'?",
    "from nnx.layers import Dens": "nnx.layers has no 'Dens': did you mean 'Dense'",
    "nnx.losses.Contrastive": r"give a function \(y_true, y_pred\)",
    "nnx.metrics.Contrastive": "subclass of nnx.metrics.Metric",
    "nnx.optimizers.Newton": "subclass of nnx.optimizers.Optimizer",
    "nnx.callbacks.OrbaxCheckpoint": "ModelCheckpoint",
    "nnx.utils.nothing": r"dir\(nnx.utils\) has its names",
    "from nnx.backend import mean": "from nnx import backend as K",
    "import nnx.zzz": r"dir\(nnx\) has its names",
}


@pytest.mark.parametrize("script", IMPORTS)
def test_imports(script: str) -> None:
    names: dict[str, object] = {}
    exec(script, names)  # as a script has it
    meant, name = IMPORTS[script], re.split("[,; ]", script.partition(" import ")[2])[0]
    if meant is not None:
        wanted: object = nnx
        for part in meant.split("."):
            wanted = getattr(wanted, part)
        assert names["K" if "as K" in script else name] is wanted


@pytest.mark.parametrize("script", ADVICE)
def test_advice(script: str) -> None:
    with pytest.raises((AttributeError, ImportError), match=ADVICE[script]):
        exec(script, {"nnx": nnx})


def test_the_table_is_of_what_is_there_or_not_there() -> None:
    for place in {*keras_names.MOVED.values(), *keras_names.PLACES.values()}:
        importlib.import_module(place)
    for path in [*keras_names.INSTEAD, *keras_names.PLACES]:
        package, _, name = path.rpartition(".")
        own = importlib.import_module(package).__all__
        assert name not in own or path in ("nnx.backend", "nnx.datasets", "nnx.mixed_precision"), f"{path} is there"
    for path in keras_names.MOVED:
        assert importlib.import_module(path).__spec__.loader.__class__.__module__ == "nnx.keras_names", path


def test_policies_and_settings() -> None:
    nnx.mixed_precision.set_global_policy("mixed_float16")
    try:
        assert nnx.get_backend().dtype == "float16"
        assert nnx.config.dtype_policy() == nnx.DTypePolicy("mixed_float16")
    finally:
        nnx.mixed_precision.set_global_policy("float32")
    assert nnx.layers.Dense(1, dtype=nnx.DTypePolicy("mixed_float16")).dtype == "float16"
    with pytest.raises(ValueError, match="one of float32, float64, float16, mixed_float16, got 'mixed_bfloat16'"):
        nnx.mixed_precision.set_global_policy("mixed_bfloat16")
    nnx.config.set_backend("numpy")
    with nnx.backend("numpy", dtype="float16"):
        for change in (nnx.config.set_dtype_policy, nnx.config.set_floatx):
            with pytest.raises(RuntimeError, match="write dtype='float64' there"):
                change("float64")
        nnx.config.set_dtype_policy("mixed_float16")  # as it is there
        nnx.config.set_backend("numpy")
    assert nnx.get_backend().dtype == "float32"
    for value in (0.0, float("nan"), "1e-5"):
        with pytest.raises(ValueError, match="epsilon must be a positive number"):
            nnx.config.set_epsilon(value)
    with pytest.raises(ValueError, match="write epochs=3 in fit"):
        nnx.config.set_max_epochs(3)


def test_what_a_layer_says_of_its_inputs() -> None:
    layer = nnx.layers.Identity(name="steps")
    layer.input_spec = nnx.layers.InputSpec(shape=(None, 3, 2), dtype="float32")
    assert layer([[[1.0, 2.0]] * 3]).shape == (1, 3, 2)
    for wrong in ([[1.0, 2.0]], [[[1.0, 2.0]]]):
        with pytest.raises(ValueError, match=r"^steps: expected an input with (3 axes|size 3 along axis 1), got shape"):
            layer(wrong)
    with pytest.raises(ValueError, match="expected an input with 3 axes"):
        layer(nnx.Input((2,)))
    loose = nnx.layers.InputSpec(shape=(None, 1), allow_last_axis_squeeze=True)
    assert [loose.complaint(shape) for shape in ((4,), (4, 1), (4, 1, 1))] == [None] * 3
    assert loose.complaint((4, 2)) == "size 1 along axis 1"


def test_trees_that_are_not_alike() -> None:
    tree = nnx.tree
    tree.assert_same_structure({"a": [1, (2,)]}, {"a": [3, (4,)]})
    for other in ({"b": [1, (2,)]}, {"a": [1]}, {"a": [1, [2]]}, {"a": (1, (2,))}):
        with pytest.raises(ValueError, match="not alike"):
            tree.map_structure(max, {"a": [1, (2,)]}, other)
    with pytest.raises(ValueError, match="leaves at other places"):
        tree.assert_same_paths([1, 2], [1])
    assert tree.traverse(lambda part: tree.MAP_TO_NONE if part == 1 else None, {"a": [1, 2]}) == {"a": [None, 2]}
    assert tree.map_structure(lambda x: 0, [None, 1], none_is_leaf=False) == [None, 0]
