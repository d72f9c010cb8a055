"""What the reference pages make of docstrings: nothing is lost, and nothing is taken for markup that is none."""

from __future__ import annotations

import io

import docutils.core
import docutils.nodes
import pytest
from docstrings import inline, to_rest

PIECES = [
    "y = a * b ** c, of x_ and *args, **kwargs | and |x|",
    "1. is no list",
    "- is one",
    "a) neither",
    "-1 * log(y)",
    "(n) in the beginning",
    "<- an arrow -> and another",
    "... dots",
    ":name: no field",
    ".. no directive::",
    "ends with a colon:",
    "ends with two::",
    "__init__ and name_ and _name",
    "a backslash \\n and \\\\",
    "user@example and http://x",
    "[1]_ no footnote, |no| substitution",
    "====",
    "'quoted'",
    '"same", with zeros',
    "x (..., n), kernel (n, m)  ->  y (..., m)",
    "# no comment",
    "O(n**2)",
]


def parsed(text: str) -> docutils.nodes.document:
    """The document; a warning of docutils is an error."""
    warnings = io.StringIO()
    settings = {"warning_stream": warnings, "report_level": 1}
    document = docutils.core.publish_doctree("\n".join(to_rest(text)), settings_overrides=settings)
    assert warnings.getvalue() == ""
    return document


def kinds(document: docutils.nodes.Element) -> list[str]:
    return [child.tagname for child in document.children]


@pytest.mark.parametrize("text", [piece for piece in PIECES if not piece.startswith("- ")])
def test_text_means_itself(text: str) -> None:
    (paragraph,) = parsed(text).children
    assert paragraph.tagname == "paragraph"
    assert paragraph.astext() == " ".join(text.split())


@pytest.mark.parametrize("code", ["x_", "*args", "**kwargs", "|x|", "a\\nb", "with nnx.backend(...)", "(y, pullback)"])
@pytest.mark.parametrize("around", ["{}", "of {}", "{}s", "({})", "un{}", "{}, and {}", "{}'s"])
def test_code_is_code(code: str, around: str) -> None:
    (paragraph,) = parsed(around.replace("{}", f"`{code}`")).children
    literals = [node.astext() for node in paragraph.findall(docutils.nodes.literal)]
    assert literals == [code] * around.count("{}")
    assert paragraph.astext() == around.replace("{}", code)


def test_arguments_are_definitions() -> None:
    text = "\n".join(
        [
            "filters : how many channels the output has.",
            'padding : "valid", windows lie inside;',
            '    "same", zeros around.',
            "a, b : numbers `from` one to * two.",
            "kernel_initializer, bias_initializer, activity_regularizer,",
            "    bias_constraint : see elsewhere.",
            "depthwise_*, ... gamma : those.",
            "transform (batch, 6) : a row.",
            "**kwargs : the others.",
        ]
    )
    (items,) = parsed(text).children
    assert items.tagname == "definition_list"
    terms = [item.children[0].astext() for item in items.children]
    assert terms == [
        "filters",
        "padding",
        "a, b",
        "kernel_initializer, bias_initializer, activity_regularizer, bias_constraint",
        "depthwise_*, ... gamma",
        "transform (batch, 6)",
        "**kwargs",
    ]
    assert items.children[1].children[1].astext() == '"valid", windows lie inside; "same", zeros around.'


def test_values_of_an_argument_are_definitions_within_it() -> None:
    text = 'reduction : what becomes of them:\n    "mean" or "m" : their sum,\n    "sum" : all.\nname : a name.'
    (items,) = parsed(text).children
    reduction, name = items.children
    assert kinds(reduction.children[1]) == ["paragraph", "definition_list"]
    assert [item.children[0].astext() for item in reduction.children[1].children[1].children] == [
        '"mean" or "m"',
        '"sum"',
    ]
    assert name.children[0].astext() == "name"


def test_a_colon_in_a_sentence_makes_no_definition() -> None:
    (paragraph,) = parsed("The mask of the output. mask : for each input an array,\nor None.").children
    assert paragraph.astext() == "The mask of the output. mask : for each input an array, or None."


def test_definitions_follow_a_paragraph() -> None:
    assert kinds(parsed("Some words\nand more.\nx : a number.\ny : one, too.")) == ["paragraph", "definition_list"]
    assert kinds(parsed("x : a number.\nSome words.")) == ["definition_list", "paragraph"]


def test_what_a_pullback_returns_stands_in_a_line_of_its_own() -> None:
    document = parsed("x (n,), y (n,)  ->  z (n,)\npullback(dz) -> (dx, dy)")
    assert [child.astext() for child in document.children] == ["x (n,), y (n,) -> z (n,)", "pullback(dz) -> (dx, dy)"]


def test_bullets() -> None:
    document = parsed("What holds:\n\n- one, with `code`\n  that goes on;\n- 2. two * three.\n\nThe end.")
    assert kinds(document) == ["paragraph", "bullet_list", "paragraph"]
    assert [item.astext() for item in document.children[1].children] == [
        "one, with code that goes on;",
        "2. two * three.",
    ]


def test_examples_stay_letter_by_letter() -> None:
    example = ">>> f(*a, **b) | c_\n>>> for x in y:\n...     `z`\narray([[1.,\n        2.]])"
    document = parsed(f"First.\n{example}\n\nLast.")
    assert kinds(document) == ["paragraph", "doctest_block", "paragraph"]
    assert document.children[1].astext() == example


def test_indented_blocks_stay_letter_by_letter() -> None:
    document = parsed("A formula:\n\n    y = a ** b_\n      + |c|\n\nThe end.")
    assert kinds(document) == ["paragraph", "literal_block", "paragraph"]
    assert document.children[1].astext() == "y = a ** b_\n  + |c|"


def test_public_names_are_links() -> None:
    link = {"Dense": "nnx.layers.Dense"}.get
    assert inline("see `Dense`s and `other`", link) == r"see :py:obj:`Dense <nnx.layers.Dense>`\ s and ``other``"
    assert inline("Lin, arXiv:1708.02002.") == "Lin, `arXiv:1708.02002 <https://arxiv.org/abs/1708.02002>`__."
