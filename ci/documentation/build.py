"""Build the reference of nnx as HTML: python ci/documentation/build.py FOLDER

The pages are made of the docstrings, one for each name in an `__all__`, and of README.md, docs/, CHANGELOG.md and
.github/CONTRIBUTING.md. Warnings are errors, of which all are listed. `pip install -e '.[docs]'` brings what it needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pages import Reference
from sphinx.cmd.build import main as sphinx

import nnx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where index.html and all that it needs are written")
    parser.add_argument("--jobs", default="auto", help="the number of processes, by default one for each core")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        write_source(source)
        options = ["-W", "--keep-going", "--quiet", "-j", arguments.jobs, "-c", str(HERE), "-d", f"{folder}/cache"]
        status = sphinx([*options, str(source), str(arguments.folder)])
    if status == 0:
        print(f"{len(list(arguments.folder.rglob('*.html')))} pages, from {arguments.folder / 'index.html'} on")
    return int(status)


def write_source(folder: Path) -> None:
    """Write the pages for Sphinx into a folder that does not exist."""
    (folder / "reference").mkdir(parents=True)
    for name, text in Reference(nnx).pages().items():
        (folder / "reference" / f"{name}.rst").write_text(text, encoding="utf-8")
    guides = {page.stem: page for page in sorted((ROOT / "docs").glob("*.md"))}
    pages = {**guides, "changelog": ROOT / "CHANGELOG.md", "contributing": ROOT / ".github" / "CONTRIBUTING.md"}
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    tree = "\n".join(["", "```{toctree}", ":hidden:", "", "reference/index", *pages, "```", ""])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(readme + tree, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
