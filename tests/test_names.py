"""Names that come near to one that is not known, and what errors ask about them."""

from __future__ import annotations

from nnx.names import did_you_mean, nearest, numbered, snake_case


def test_names_that_come_near():
    known = {"units": 1, "use_bias": 2, "activation": 3}
    assert nearest("unit", known) == ["units"]
    assert nearest("qqq", known) == []
    assert nearest("ab", ["abcdef"]) == []
    assert nearest("ab", ["abcdef"], cutoff=0.5) == ["abcdef"]
    assert nearest("on_epoch", ["on_epoch_begin", "on_epoch_end"], n=2) == ["on_epoch_end", "on_epoch_begin"]


def test_the_question_of_an_error():
    assert did_you_mean([]) == ""
    assert did_you_mean(["Adam"]) == "did you mean 'Adam'?"
    assert did_you_mean(iter(["Adam", "AdamW"])) == "did you mean 'Adam' or 'AdamW'?"


def test_names_as_keras_makes_them():
    assert [snake_case(name) for name in ("LeakyReLU", "Conv2DTranspose", "GRU", "ConvLSTM2D")] == [
        "leaky_re_lu",
        "conv2d_transpose",
        "gru",
        "conv_lstm2d",
    ]
    assert numbered("dense", []) == "dense"
    assert numbered("dense", {"dense", "dense_1"}) == "dense_2"
