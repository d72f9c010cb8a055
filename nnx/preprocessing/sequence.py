"""Sequences: padded, in windows, and pairs of their words, under the names that scripts know."""

from nnx.lazy_loading import other_names
from nnx.preprocessing.skipgrams import make_sampling_table, skipgrams
from nnx.preprocessing.timeseries_generator import TimeseriesGenerator
from nnx.utils.sequences import pad_sequences

__getattr__ = other_names(__name__)

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]
