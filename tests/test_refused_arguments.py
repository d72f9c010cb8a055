"""Arguments that say something: they are heeded, or refused by name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers, optimizers, utils
from nnx.preprocessing.image import smart_resize
from nnx.preprocessing.text import tokenizer_from_json

ONES = np.ones((2, 3, 4), np.float32)
NAN = float("nan")

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "preferred_backend": (
        lambda: utils.split_dataset(np.arange(4), 0.5, preferred_backend="grain"),
        "nnx has one kind",
    ),
    "backend_module": (lambda: smart_resize(ONES, (2, 2), backend_module=np), "backend_module=.*leave it out"),
    "hash_algorithm": (
        lambda: utils.get_file("a", "b", hash_algorithm="sha1"),
        "must be one of 'auto', 'sha256'",
    ),
    "archive_format": (lambda: utils.get_file("a", "b", archive_format="rar"), "or a list of these, got 'rar'"),
    "vocabulary_size": (
        lambda: layers.StringLookup(vocabulary=["a"], vocabulary_size=7),
        "vocabulary_size=7, but the vocabulary has 2 tokens",
    ),
    "batch_size of a loader": (
        lambda: layers.TextVectorization().adapt(iter([["a"]]), batch_size=2),
        "batch_size goes with arrays and lists, got list_iterator",
    ),
    "fractions looked up": (
        lambda: layers.IntegerLookup(vocabulary=[1, 2])([1.5]),
        "expected integers, got numbers with",
    ),
    "fractions encoded": (
        lambda: layers.CategoryEncoding(3)([0.5, 1.0]),
        "expected integers, got numbers with fractions",
    ),
    "fractions inverted": (
        lambda: layers.StringLookup(vocabulary=["a"], invert=True)(np.asarray([0.5])),
        "with invert=True: expected integers",
    ),
    "NaN adapted to": (lambda: layers.Discretization(num_bins=2).adapt(np.asarray([1.0, NAN])), "the data have NaN"),
    "NaN as a weight": (
        lambda: layers.StringLookup(vocabulary=["a", "b"], idf_weights=[1.0, NAN], output_mode="tf_idf"),
        "idf_weights must be finite, got nan for 'b'",
    ),
    "weights of two directions": (
        lambda: layers.Bidirectional(layers.LSTM(2), weights=[ONES]),
        "they are given by layer.set_weights",
    ),
    "lora_rank": (lambda: layers.EinsumDense("ab,bc->ac", 3, lora_rank=2), "no adapters of low rank"),
    "warmup_steps": (
        lambda: optimizers.ScheduleFreeAdamW(warmup_steps=-1),
        "warmup_steps must be a non-neg",
    ),
    "gamma": (lambda: nnx.losses.Circle(gamma=-1), "gamma must be greater than 0"),
    "margin": (lambda: nnx.losses.Circle(margin=NAN), "margin must be at least 0"),
    "batches of attention": (lambda: layers.Attention()([ONES, ONES[:1]]), r"got shapes \(2, 3, 4\), \(1, 3, 4\)"),
    "batches of heads": (
        lambda: layers.MultiHeadAttention(1, 2)(ONES, ONES[:1]),
        r"got shapes \(2, 3, 4\), \(1, 3, 4\)",
    ),
    "attention_mask": (
        lambda: layers.MultiHeadAttention(1, 2)(ONES, ONES, attention_mask=np.ones((2, 3, 5), bool)),
        r"attention scores of shape \(2, 1, 3, 3\) cannot have the shape \(2, 3, 5\)",
    ),
    "initial_state": (
        lambda: layers.RNN(layers.GRUCell(5))(ONES, initial_state=[np.zeros((2, 4), np.float32)]),
        r"expected an initial state of shape \(2, 5\), got \(2, 4\)",
    ),
    "initial_state of a batch": (
        lambda: layers.LSTM(5)(ONES, initial_state=[np.zeros((1, 5), np.float32)] * 2),
        r"2 initial states of shape \(2, 5\), got \(1, 5\), \(1, 5\)",
    ),
    "ndim": (lambda: layers.InputSpec(ndim=3, shape=(None, 2)), r"ndim=3 is not that of shape \(None, 2\)"),
    "min_ndim": (lambda: layers.InputSpec(min_ndim=4, max_ndim=3), "min_ndim=4 is above max_ndim=3"),
    "max_ndim": (lambda: layers.InputSpec(ndim=4, max_ndim=3), "4 axes are not from min_ndim=0 to max_ndim=3"),
    "axes": (lambda: layers.InputSpec(ndim=2, axes={2: 1}), "axes has 2, for an input of 2 axes"),
    "axes of a shape": (lambda: layers.InputSpec(shape=(None, 2), axes={-1: 3}), "axes says 3 for axis -1"),
    "tokenizer": (lambda: tokenizer_from_json("{}"), r"the JSON that Tokenizer.to_json\(\) returned, got '{}'"),
    "policy": (lambda: nnx.mixed_precision.deserialize({"class_name": "DTypePolicy"}), '"config": {"name": ...}}, got'),
    "key of a dict": (
        lambda: layers.RandomFlip()({"images": ONES[..., None], "label": np.zeros(2)}),
        "the key 'label', which stays as it is: did you mean 'labels'",
    ),
    "check_types": (lambda: nnx.tree.assert_same_structure([1, (2,)], [1, [2]]), "not alike"),
}


@pytest.mark.parametrize("about", REFUSED)
def test_what_is_refused(about: str) -> None:
    make, message = REFUSED[about]
    with pytest.raises(ValueError, match=message):
        make()


def test_what_works() -> None:
    assert optimizers.LossScaleOptimizer("adam", name="scaled").name == "scaled"
    words = layers.TextVectorization()
    words.adapt(["a a", "b", "c", "d"], batch_size=2, steps=1)
    assert words.get_vocabulary() == ["", "[UNK]", "a", "b"]
    nnx.tree.assert_same_structure({"a": [1, (2,)]}, {"a": (1, [2])}, check_types=False)
    assert layers.InputSpec(axes={3: 1}).complaint((2, 3)) == "an axis 3"
    flipped = layers.RandomFlip()({"images": ONES[..., None], "file": "a.png"})
    assert flipped["file"] == "a.png"


def test_fractions_on_a_device_are_not_known(backend) -> None:
    lookup, encoding = layers.IntegerLookup(vocabulary=[1, 2]), layers.CategoryEncoding(3)
    x = backend.asarray([1.0, 2.0, 2.5])
    if nnx.backends.backend_of(x).is_on_host(x):
        for layer in (lookup, encoding):
            with pytest.raises(ValueError, match="expected integers"):
                layer(x)
        return
    assert nnx.to_numpy(lookup(x)).tolist() == [1, 2, 0]
    assert nnx.to_numpy(encoding(x)).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.skipif(os.name == "nt", reason="files have no modes there")
def test_files_have_the_mode_of_others(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    brought = Path(utils.get_file("b.txt", tmp_path / "a.txt", cache_dir=tmp_path))
    assert stat.S_IMODE(brought.stat().st_mode) == stat.S_IMODE((tmp_path / "a.txt").stat().st_mode)
    assert [path.name for path in brought.parent.iterdir()] == ["b.txt"]
