"""Whether what README and documentation say to install is what comes: python ci/installation.py

Each `pip install` in them, and each extra as errors name it, is asked with `pip install --dry-run` in a fresh
environment with nothing but nnx from this clone in it. What fails is listed, as is what would bring another nnx, like
the project that has this name on PyPI, or an nnx-array that is not this one. Needs a package index.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "nnx-array"


def documents() -> Iterator[tuple[Path, Path]]:
    """The texts that say what to install, each with the folder that their commands are for."""
    yield from ((ROOT / name, ROOT) for name in ("README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md"))
    yield from ((page, ROOT) for page in sorted(ROOT.glob("docs/*.md")))
    yield from ((page, page.parent) for page in sorted(ROOT.glob("ci/*/README.md")))


def commands(text: str) -> list[list[str]]:
    """The arguments of each `pip install` of a text, up to the end of the line, of the code, or of the command.

    A requirement in code of its own, as in "`pip install 'a[b]'` or `'a[c]'`", counts as one.

    >>> commands("`pip install torch`; `python -m pip install -e '.[test]' && pytest`  # or `'a[b]'`")
    [['torch'], ['-e', '.[test]'], ['a[b]']]
    """
    found = re.findall(r"pip install ([^`\n#&;|)]+)|`('[\w.-]+\[[\w,]+\]')`", text)
    return [shlex.split(command or requirement) for command, requirement in found]


def extras() -> list[str]:
    """The extras that pyproject.toml declares."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def problem(report: dict[str, Any]) -> str | None:
    """What is wrong with pip's report of an installation: a distribution that is not this nnx; None if nothing is."""
    for item in report["install"]:
        name, url = item["metadata"]["name"], item["download_info"]["url"]
        if re.sub(r"[-_.]+", "-", name).lower() in ("nnx", DISTRIBUTION) and url != ROOT.as_uri():
            return f"would install {name} {item['metadata']['version']} from {url}"
    return None


def asked() -> dict[tuple[str, ...], tuple[str, Path]]:
    """What is to be asked: arguments of `pip install`, each with the text that has them and the folder they are for."""
    found: dict[tuple[str, ...], tuple[str, Path]] = {}
    for page, folder in documents():
        for arguments in commands(page.read_text(encoding="utf-8")):
            found.setdefault(tuple(arguments), (str(page.relative_to(ROOT)), folder))
    for extra in extras():
        if ("-e", f".[{extra}]") not in found:  # which is the same, once this nnx is there
            found.setdefault((f"{DISTRIBUTION}[{extra}]",), ("pyproject.toml", ROOT))
    return found


def ask(python: str, arguments: tuple[str, ...], folder: Path, report: Path) -> str | None:
    """What is wrong with a `pip install` of these arguments, which is not carried out; None if nothing is."""
    command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--report", str(report), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    return problem(json.loads(report.read_text())) if report.exists() else None


def main() -> int:
    wanted = asked()
    with tempfile.TemporaryDirectory() as work:
        venv.create(work, with_pip=True)
        python = str(Path(work, "bin", "python"))
        # A newer pip can read what a wheel needs without downloading it.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-e", str(ROOT)], check=True)
        reports = (Path(work, f"report{number}.json") for number in range(len(wanted)))
        with ThreadPoolExecutor(4) as pool:  # they wait for the index most of the time
            answers = {
                arguments: pool.submit(ask, python, arguments, folder, report)
                for (arguments, (_, folder)), report in zip(wanted.items(), reports, strict=True)
            }
            for arguments, answer in answers.items():
                wrong = answer.result()
                print(f"{'WRONG' if wrong else 'good'}  pip install {shlex.join(arguments)}  ({wanted[arguments][0]})")
                if wrong:
                    print(f"       {wrong}")
    bad = sum(answer.result() is not None for answer in answers.values())
    print(f"{len(wanted) - bad} of {len(wanted)} commands install what they should")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
