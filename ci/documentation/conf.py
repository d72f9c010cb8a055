"""Sphinx's settings for the reference; `build.py` makes the pages that they are used on."""

from __future__ import annotations

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from docstrings import to_rest
from pages import Reference

import nnx

project = "nnx"
author = "The nnx developers"
copyright = author
version = release = nnx.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"nnx {release}"
templates_path = ["templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "names.html",
        "sidebar/scroll-end.html",
    ]
}
html_static_path = ["static"]
html_css_files = ["reference.css"]
html_show_sphinx = False
html_copy_source = False

smartquotes = False  # "same" is a string, and ... stands for what it says
highlight_language = "none"
pygments_style = "tango"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: name for name in ("Array", "Differentiable", "LayerPullback", "Pullback", "Shape", "Sizes")
}
autodoc_inherit_docstrings = True
add_module_names = True
toc_object_entries = False
nitpicky = False

_reference = Reference(nnx)
_modules = {file: path.rpartition(".")[0] for path, file in _reference.files.items()}
_modules |= {module: module for module in _reference.modules}


def _convert(app, what, name, value, options, lines) -> None:
    lines[:] = to_rest("\n".join(lines).strip("\n"), _reference.linker(name))


def _shorten(app, what, name, value, options, signature, returned) -> tuple[str | None, str | None]:
    """Aliases of types by their names, which Sphinx leaves wrapped up within other types."""
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (signature, returned))


def _list_names(app, page, template, context, doctree) -> None:
    """The names of a page's module, for templates/names.html. A tree of all pages would be in each of them."""
    module = _modules.get(page.removeprefix("reference/"))
    if module is not None:
        context["module"] = module
        context["names_of_module"] = [
            (f"reference/{_reference.files.get(name.path, name.path)}", name.name)
            for name in _reference.of_module(module)
        ]


def setup(app) -> None:
    app.connect("autodoc-process-docstring", _convert)
    app.connect("html-page-context", _list_names)
    app.connect("autodoc-process-signature", _shorten)
