"""Docstrings as nnx writes them, turned into reStructuredText: `to_rest` for a docstring, `inline` for one line.

The source is plain text, in blocks between empty lines:

- lines `name : text`, `one, another : text`, with more text indented by four spaces, become a list of definitions;
- lines that begin with `- ` become a list, with more text indented by two spaces;
- lines from `>>>` on stay an example, letter by letter;
- blocks of which every line is indented stay as they are: formulas, commands;
- all else is a paragraph, and a line that begins with `pullback(` begins a new one.

In text, what stands between single backticks is code, and everything else means itself: no star, bar, underscore or
backslash is markup. Numbers of arXiv become links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Link = Callable[[str], str | None]

# What stands before ` : `: names, with stars, arguments or a shape behind them, strings and dots.
_NAME = r"""(?:\*{0,2}[A-Za-z_]\w*(?:\.\w+)*\*?(?:\([^)]*\))?(?:\ \([^)]*\))?|"[^"]*"|\.\.\.)"""
_TERM = re.compile(rf"({_NAME}(?:(?:, and |, or |, | and | or |(?<=\.\.\.) ){_NAME})*) : +(.*)", re.DOTALL)
_CODE = re.compile(r"(``.+?``|`[^`]+`|arXiv:\d{4}\.\d{4,5})")
_MARKUP = re.compile(r"([\\*|_`@])")
_FIRST = re.compile(r"[-+•:.=~#^\"'<>!$%&(),/;?\[\]{}]|\w+[.)] |\(\w+\) ")


def to_rest(text: str, link: Link = lambda name: None) -> list[str]:
    """The lines of a docstring, whose indentation has been cleaned, as lines of reStructuredText.

    link : gives the public name that a piece of code stands for, or None.
    """
    lines: list[str] = []
    for block in _blocks(text.splitlines()):
        lines += [*_converted(block, link), ""]
    return lines[:-1]


def inline(text: str, link: Link = lambda name: None) -> str:
    """Text of one paragraph, as one line that cannot be taken for anything else."""
    pieces = _CODE.split(" ".join(text.split()))
    converted = ""
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            text = _MARKUP.sub(r"\\\1", piece)
            # a piece of markup ends where something else than a letter follows
            converted += rf"\ {text}" if number and text[:1].isalnum() else text
            continue
        if converted and not converted[-1].isspace() and converted[-1] not in "([{\"'-/":
            converted += r"\ "
        converted += _code(piece, link)
    if not pieces[0]:
        return converted
    if _FIRST.match(converted):
        converted = "\\" + converted if not converted[0].isalnum() else _without_enumeration(converted)
    return converted[:-1] + r"\:" if converted.endswith("::") else converted


def _without_enumeration(text: str) -> str:
    """`1. one` is the beginning of a list, `1\\. one` is not."""
    return re.sub(r"^(\w+)([.)]) ", r"\1\\\2 ", text)


def _code(piece: str, link: Link) -> str:
    if piece.startswith("arXiv:"):
        return f"`{piece} <https://arxiv.org/abs/{piece.removeprefix('arXiv:')}>`__"
    code = piece.strip("`")
    target = link(code)
    if target is not None:
        return f":py:obj:`{code} <{target}>`"
    # a literal may not begin or end with a space, and takes everything else as it is
    return f"``{code.strip()}``"


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Lines between empty lines. Where an example begins, a block ends."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip() and not (line.lstrip().startswith(">>> ") and not _is_example(block)):
            block.append(line.rstrip())
            continue
        if block:
            yield block
        block = [line.rstrip()] if line.strip() else []


def _is_example(block: list[str]) -> bool:
    return bool(block) and block[0].lstrip().startswith(">>> ")


def _converted(block: list[str], link: Link) -> list[str]:
    if _is_example(block):
        return block
    if all(line.startswith("    ") for line in block):
        return ["::", "", *block]
    lines: list[str] = []
    kind = ""
    for item in _items(block):
        bullet, term = item[0].startswith("- "), _term(item)
        if bullet:
            new, text = "bullet", [f"- {inline(' '.join([item[0][2:], *item[1:]]), link)}"]
        elif term is not None:
            new, text = "term", _definition(*term, link)
        else:
            new, text = "paragraph", [inline(" ".join(item), link)]
        lines += [*([""] if lines and (new != kind or new == "paragraph") else []), *text]
        kind = new
    return lines


def _items(block: list[str]) -> Iterator[list[str]]:
    """A line that begins something, with the lines that go on with it."""
    item: list[str] = []
    for line in block:
        goes_on = line.startswith(" ") or not (
            line.startswith(("- ", "pullback(")) or _begins_term(line) or _is_of_its_own(item)
        )
        if item and not goes_on:
            yield item
            item = []
        item.append(line)
    yield item


def _begins_term(line: str) -> bool:
    """Names before a colon, or so many names that the line ends with a comma before the colon comes."""
    return _TERM.match(line) is not None


def _is_of_its_own(item: list[str]) -> bool:
    """Whether a line without indentation does not go on with this item, because it is a definition or a bullet."""
    return bool(item) and (item[0].startswith("- ") or _term(item) is not None)


def _term(item: list[str]) -> tuple[str, list[str]] | None:
    """The names and the lines of the text, if the item is a definition; the names may take more than one line."""
    for end in range(1, len(item) + 1):
        if end > 1 and not item[end - 2].endswith(","):
            return None
        match = _TERM.fullmatch(" ".join(line.strip() for line in item[:end]))
        if match is not None:
            return match[1], [match[2], *item[end:]]
    return None


def _definition(names: str, text: list[str], link: Link) -> list[str]:
    first, more = text[0], [line.removeprefix("    ") for line in text[1:]]
    # a value that has a meaning of its own, in a list within the text
    nested = next((n for n, line in enumerate(more) if _TERM.match(line) or line.startswith("- ")), len(more))
    lines = [inline(" ".join([first, *more[:nested]]), link)]
    if more[nested:]:
        lines += ["", *_converted(more[nested:], link)]
    return [f"``{names}``", *(f"    {line}".rstrip() for line in lines)]
