"""Estimators of scikit-learn that train networks: in its pipelines, searches, cross-validations and scores.

They need scikit-learn, `pip install 'nnx-array[sklearn]'`, which is imported when one of them is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.sklearn.classifier import NNXClassifier
    from nnx.sklearn.regressor import NNXRegressor
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "NNXClassifier": "nnx.sklearn.classifier",
            "NNXRegressor": "nnx.sklearn.regressor",
        },
    )

__all__ = ["NNXClassifier", "NNXRegressor"]
