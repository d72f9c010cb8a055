"""Pictures: learning curves, images of samples and weights, confusion matrices, the graphs of models.

Every function returns a matplotlib Figure, writes it to a file when it is given a path, and needs no display: nothing
here touches pyplot. matplotlib is optional: `pip install 'nnx-array[examples]'`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.plotting._confusion import confusion_matrix
    from nnx.plotting._curves import learning_curves
    from nnx.plotting._figure import show_after_cell
    from nnx.plotting._images import images
    from nnx.plotting._model import plot_model
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "confusion_matrix": "nnx.plotting._confusion",
            "images": "nnx.plotting._images",
            "learning_curves": "nnx.plotting._curves",
            "plot_model": "nnx.plotting._model",
            "show_after_cell": "nnx.plotting._figure",
        },
    )

__all__ = ["confusion_matrix", "images", "learning_curves", "plot_model", "show_after_cell"]
