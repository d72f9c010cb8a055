"""Batches of what users have: arrays in memory and on disk, samples one by one, batches; prepared ahead by a thread."""

from nnx.data.dataset import AUTOTUNE, Dataset
from nnx.data.loader import DataLoader

__all__ = ["AUTOTUNE", "DataLoader", "Dataset"]
