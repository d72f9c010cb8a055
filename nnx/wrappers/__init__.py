"""Models as estimators of scikit-learn under the names and arguments of `keras.wrappers`, for scripts that have them.

For new ones there are `nnx.sklearn.NNXClassifier` and `NNXRegressor`. Both need scikit-learn, `pip install
'nnx-array[sklearn]'`, which is imported when one of them is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.wrappers.estimators import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "SKLearnClassifier": "nnx.wrappers.estimators",
            "SKLearnRegressor": "nnx.wrappers.estimators",
            "SKLearnTransformer": "nnx.wrappers.estimators",
        },
    )

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]
