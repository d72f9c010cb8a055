"""What the comparisons with Keras share: it runs on JAX, which optimises nothing, as what it compiles is used once."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")

collect_ignore = ["scripts"]  # which test_scripts.py runs, as a user would
