"""Names of reductions, as old scripts write them."""

from __future__ import annotations


class Reduction:
    """Keras 2's names of what `reduction=` takes.

    >>> Reduction.SUM, Reduction.AUTO
    ('sum', 'sum_over_batch_size')
    """

    AUTO = "sum_over_batch_size"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
    MEAN = "mean"
    MEAN_WITH_SAMPLE_WEIGHT = "mean_with_sample_weight"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All reductions."""
        return ("sum_over_batch_size", "none", "sum", "mean", "mean_with_sample_weight")
