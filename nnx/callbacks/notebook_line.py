"""A progress line of a notebook: one display whose text is replaced."""

from __future__ import annotations


class NotebookLine:
    """The text of a display that is updated in place, so that a notebook keeps, saves and exports only the last one.

    What is rewritten with carriage returns stays whole in a file: every text that the line ever had.
    """

    def __init__(self, text: str) -> None:
        from IPython.display import display  # which a notebook has imported

        self._display = display(_plain(text), raw=True, display_id=True)

    def show(self, text: str, narrow: str | None = None) -> None:
        """Replace what the line says. narrow : is for terminals; a notebook has room, and wraps."""
        self._display.update(_plain(text), raw=True)

    def finish(self, text: str | None = None) -> None:
        """Leave the line, with a last text, or with the one it has."""
        if text is not None:
            self.show(text)


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": text}
