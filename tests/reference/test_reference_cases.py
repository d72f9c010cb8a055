"""Layers, folders and helpers against what Keras on TensorFlow makes of the same inputs."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.reference.cases import cases, play


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_a_reference_case(case: dict[str, Any], tmp_path: pathlib.Path):
    play(case, tmp_path)
