"""The members of Keras' objects, as the record has them that tests without Keras read."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install -e '.[oracle]' from a clone")
keras = pytest.importorskip("keras", reason="Keras is not installed; pip install -e '.[oracle]' from a clone")

from tests.reference.members_of_keras import members, read_record  # noqa: E402


@pytest.mark.skipif(not keras.__version__.startswith("3.15"), reason="the record is of Keras 3.15")
def test_the_record_is_of_keras() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = members(keras)
    recorded = read_record()
    assert found.keys() == recorded.keys()
    different = {name: set(found[name]) ^ set(recorded[name]) for name in found}
    assert not {name: names for name, names in different.items() if names}
