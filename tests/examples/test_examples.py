"""The examples run, on small settings, and print and write what they say; the cheap ones reach their figures."""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KERAS_SCRIPTS = EXAMPLES / "reference" / "keras_scripts"

Run = Callable[..., str]


def write_idx(path: Path, array: np.ndarray) -> None:
    """An array of bytes in the format of MNIST's files."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes())


def ten_patterns(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 28 x 28 in ten classes that are easy to tell apart: a bright band at a height of its own, and noise."""
    generator = np.random.default_rng(count)
    labels = np.arange(count) % 10
    images = generator.integers(0, 60, (count, 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6, 4:24] += 190
    return images.astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four files of MNIST, with 120 and 40 images in them."""
    folder = tmp_path_factory.mktemp("idx")
    for part, count in (("train", 120), ("t10k", 40)):
        images, labels = ten_patterns(count)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture
def run_example(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], idx_folder: Path
) -> Run:
    """Run a script as `python script arguments` does, in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: Any) -> str:
        words = [str(idx_folder) if word == "IDX" else str(word) for word in arguments]
        monkeypatch.setattr(sys, "argv", [script, *words])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return run


@dataclasses.dataclass(frozen=True)
class Case:
    """An example on small settings: patterns that its output must contain, in this order, and files that it writes."""

    script: str
    arguments: tuple[Any, ...]
    prints: tuple[str, ...]
    writes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return Path(self.script).stem


CASES = [
    Case(
        "quickstart.py",
        ("--epochs", 2),
        (
            r"Total params: 33,738 ",
            r"Epoch 2/2",
            r"accuracy: 0\.\d+ - loss: \d\.\d+ - val_accuracy: 0\.\d+ - val_loss",
            r"test accuracy on [\w-]+.*: \d\d\.\d% \(\d+ of 360 digits misread\)",
            r"predictions are equal",
        ),
        ("learning_curve.png", "misclassified.png", "model.safetensors"),
    ),
    Case(
        "data_parallel.py",
        ("--epochs", 1),
        (r"accuracy: 0\.\d+ - loss: \d\.\d+ - val_accuracy", r"1 process: \d+\.\d%, weights [0-9a-f]{12}\n$"),
    ),
    Case(
        "train_by_hand.py",
        ("--epochs", 20),
        (r"epoch    1: loss 0\.\d{4}", r"\d\d\.\d% of the points are on the right side"),
        ("spirals.png",),
    ),
    Case(
        "character_lstm.py",
        ("--epochs", 2, "--units", 8, "--length", 30, "--prompt", "def ", "--text", __file__),
        (
            r"\d+,\d{3} characters, \d\d different; guessed by frequency: \d\.\d\d bits a character\n",
            r"epoch  1: \d\.\d\d bits a character, \d\.\d\d of unseen text\nepoch  2: ",
            r"at temperature 0\.5 it writes\n\ndef [^\0]{30}\n$",
        ),
    ),
    Case(
        "transformer_classifier.py",
        ("--epochs", 1, "--modules", 5),
        (
            r"\d+ holes in 4 modules; \d+ in 1 unseen ones: .*\bdef\b",
            r"block_1 \(Block\) ",
            r"val_accuracy: ",
            r" ____ .*\n      was \w+: \w+ \d+%, \w+ \d+%, \w+ \d+%\n",
            r"right on [\w-]+.*, of \d+ unseen holes\n  always \w+ +\d+\.\d%\n  looked up by 2 neighbours +\d+\.\d%\n",
            r"  transformer +\d+\.\d%\n",
        ),
        ("confusion_matrix.png",),
    ),
    Case(
        "autoencoder.py",
        ("--epochs", 2, "--code", 3),
        (
            r"encoder \(Sequential\) +│ \(None, 3\) ",
            r"Epoch 2/2\n.* - loss: 0\.\d{4} - val_loss: ",
            r"64 pixels -> 3 numbers -> 64 pixels\n.*\n  0\.\d{4}  the mean image\n",
            r"  0\.\d{4}  3 principal components\n",
            r"  0\.\d{4}  autoencoder\n",
        ),
        ("autoencoder.png",),
    ),
    Case(
        "lenet5.py",
        ("--epochs", 2, "--data", "IDX"),
        (
            r"max_pooling2d_1 \(MaxPooling2D\) +│ \(None, 5, 5, 16\) ",
            r"Total params: 61,706 ",
            r"Epoch 2/2\n1/1 .* - val_accuracy: ",
            r"test error on [\w-]+.*: \d+\.\d\d% \(\d+ of 40 digits misread\)\n",
        ),
        ("misread.png",),
    ),
    Case(
        "small_cnn.py",
        ("--epochs", 2, "--data", "IDX"),
        (
            r"global_average_pooling2d ",
            r"Epoch 2/2\n.*1/1 .* - val_accuracy: .* - val_loss: ",
            r"test accuracy on [\w-]+.*: \d+\.\d\d%\n",
        ),
        ("learning_curves.png",),
    ),
    Case(
        "residual_digits.py",
        ("--epochs", 1),
        (
            r"add_2 \(Add\) +│ \(None, 2, 2, 64\) ",
            r"45/45 .* - val_accuracy: ",
            r"test accuracy on [\w-]+.*: \d\d\.\d% \(\d+ of 360 digits misread\)\n",
        ),
        ("confusion_matrix.png", "model.png"),
    ),
    Case(
        "variational_autoencoder.py",
        ("--epochs", 2, "--code", 3),
        (r"Epoch 2/2\n", r"of an unseen image: \d+\.\d nats before, \d+\.\d after\nwritten: "),
        ("variational_autoencoder.png",),
    ),
    Case(
        "wasserstein_gan.py",
        ("--epochs", 1),
        (r"50/50 .* - distance: ", r"\d+\.\d% of the made points are near one of the 8 centres; \d centres have some"),
        ("wasserstein_gan.png",),
    ),
    Case(
        "physics_informed.py",
        ("--steps", 20),
        (r"step     0: loss \d+\.\d{6}\nstep     2: ", r"largest error from 0 to 2 pi: \d\.\d{4}\n"),
        ("physics_informed.png",),
    ),
    Case(
        "siamese_network.py",
        ("--epochs", 1),
        (r"tower \(Sequential\)", r"45/45 .* - val_loss: ", r"\d+\.\d% of 720 unseen pairs are told apart"),
        ("siamese_network.png",),
    ),
    Case(
        "saliency.py",
        ("--epochs", 1),
        (r"45/45 .* - val_accuracy: ", r"\d+\.\d% of the answers change without 6 pixels, the most salient\n"),
        ("saliency.png",),
    ),
    Case(
        "reference/two_layer_network.py",
        ("--epochs", 20),
        (r"iteration    0: sum of squared errors", r"after 20 iterations", r"\[1 1 1\] -> 0\.\d{3}   \(expected 0\)"),
    ),
    Case(
        "reference/two_layer_keras.py",
        ("--epochs", 20),
        (r"Total params: 21 ", r"in epoch 20\n", r"\[1 1 1\] -> 0\.\d{3}   \(expected 0\)"),
    ),
    Case(
        "reference/study_hours.py",
        ("--epochs", 20),
        (
            r"step     1: loss 0\.\d{6}\nstep     2: .*\n.*\n.*\nstep     5: ",
            r"weights\nhidden:\n(.*\n){2}output:\n(.*\n){3}",
            r"what each layer gives out\nhidden:\n(.*\n){3}output:\n",
            r"7     6 ->    47 ",
        ),
    ),
    Case(
        "reference/losses_and_optimizers.py",
        ("--epochs", 1, "--samples", 100),
        (
            *(rf"regression +mean_squared_error +{way} " for way in ("batch", "stochastic", "mini-batch", "Adam")),
            *(rf"regression +mean_absolute_error +{way} " for way in ("batch", "stochastic", "mini-batch", "Adam")),
            r"two classes +binary_crossentropy +batch ",
            r"ten classes +categorical_crossentropy +batch ",
            r"ten classes +sparse_categorical_crossentropy +Adam .* accuracy 0\.\d{3}\n$",
        ),
    ),
    Case(
        "reference/template_matching.py",
        ("--epochs", 1, "--data", "IDX"),
        (
            r"training image 17 shows a 7: W . x \+ b gives",
            r"training images: \d+\.\d% right\ntest images: .*\ntest eights: .*\n.*neuron trained: ",
        ),
        ("average_eight.png",),
    ),
    Case(
        "reference/mnist_feed_forward.py",
        ("--epochs", 2, "--data", "IDX"),
        (
            r"logistic regression\n\|--- Dense dense: dimensions \(784, 10\)\n\|--- Activation .*\(10, 10\)\n",
            r"Epoch 1: \d+ / 40\nEpoch 2: \d+ / 40\n",
            r"feed-forward network\n.*\(784, 392\)\n.*\(392, 392\)\n.*\(392, 196\)\n.*\n.*\(196, 10\)\n.*\(10, 10\)\n",
            r"Epoch 2: \d+ / 40\n",
        ),
    ),
    Case(
        "reference/breast_cancer.py",
        ("--epochs", 2),
        (
            r"single neuron, 31 parameters, batch gradient descent\nEpoch 1/2\n1/1 .* - loss: .* - val_loss: ",
            r"10 hidden units, 321 parameters, mini-batch 16 gradient descent\nEpoch 1/2\n29/29 ",
            r"validation accuracy\nsingle neuron, batch +0\.\d{3}\n",
        ),
        ("breast_cancer.png",),
    ),
    Case(
        "reference/fashion_mnist.py",
        ("--epochs", 1, "--data", "IDX"),
        (
            r"dL/dz differs from -\(y - a\) by \d\.\d+e-(08|09|10) at most|by 0\.0 at most",
            r"Epoch 1: loss \d\.\d{4}, test accuracy \d\.\d{4}",
            r"val_accuracy: ",
            r"test loss \d\.\d{4}, test accuracy",
            r"a Ankle boot|a Trouser is taken for a ",
        ),
    ),
    Case(
        "reference/perceptron_gates.py",
        ("--epochs", 5),
        (
            r"OR  : right after \d+ passes, answers \[0 1 1 1\]\nAND : right after \d+ passes, answers \[0 0 0 1\]\n",
            r"NAND: right after \d+ passes, answers \[1 1 1 0\]\nXOR : never right in 20 passes",
            r"one linear unit, 5 epochs\nOR  : loss \d\.\d{4}, acc \d\.\d\d\n",
        ),
    ),
    Case(
        "reference/xor.py",
        ("--epochs", 10),
        (r"epoch  10: loss \d\.\d{4}", r"weights: \(2, 32\), \(32,\), \(32, 1\), \(1,\)", r"\[1 1\] -> -?\d\.\d{3}"),
    ),
]

BACKENDS = [name for name, problem in nnx.available_backends().items() if problem is None]


@pytest.mark.parametrize("backend_name", BACKENDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_runs_on_small_settings(case: Case, backend_name: str, run_example: Run, tmp_path: Path) -> None:
    printed = run_example(case.script, "--backend", backend_name, "--seed", 3, *case.arguments)
    position = 0
    for pattern in case.prints:
        found = re.compile(pattern).search(printed, position)
        assert found, f"{pattern!r} is not in, or not in this place of:\n{printed}"
        position = found.start() + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(case.writes)
    assert all(path.stat().st_size > 1000 for path in tmp_path.iterdir())


def test_every_example_has_a_row() -> None:
    scripts = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.py") if KERAS_SCRIPTS not in path.parents}
    assert scripts == {case.script for case in CASES}


# Figures of the originals


def answers(printed: str) -> np.ndarray:
    """The numbers in lines such as "[0 1 1] -> 0.974   (expected 1)"."""
    return np.array([float(number) for number in re.findall(r"\] -> (-?[\d.]+)", printed)])


def test_two_layer_network_learns(run_example: Run) -> None:
    found = answers(run_example("reference/two_layer_network.py"))
    original = np.array([0.009, 0.969, 0.968, 0.038])
    expected = np.array([0, 1, 1, 0])
    assert np.sum((found - expected) ** 2) <= np.sum((original - expected) ** 2)


def test_two_layer_keras_learns(run_example: Run) -> None:
    printed = run_example("reference/two_layer_keras.py")
    assert "│            16 │" in printed
    assert "│             5 │" in printed
    assert np.all(np.abs(answers(printed) - [0, 1, 1, 0]) <= [0.07, 0.06, 0.09, 0.08])


def test_study_hours_learns(run_example: Run) -> None:
    printed = run_example("reference/study_hours.py")
    losses = {int(step): float(loss) for step, loss in re.findall(r"step +(\d+): loss ([\d.]+)", printed)}
    assert list(losses) == [1, 2, 3, 4, 5, *range(1000, 10_001, 1000)]
    assert sorted(losses.values(), reverse=True) == list(losses.values())
    scores = np.array([float(score) for score in re.findall(r"-> +\d+ +([\d.]+)", printed)]) / 56
    original = np.array([0.92, 0.36, 0.91])
    target = np.array([1.0, 20 / 56, 47 / 56])
    assert np.mean((scores - target) ** 2) < np.mean((original - target) ** 2)


def test_study_hours_with_biases_learns_almost_exactly(run_example: Run) -> None:
    printed = run_example("reference/study_hours.py", "--bias")
    scores = [float(score) for score in re.findall(r"-> +\d+ +([\d.]+)", printed)]
    np.testing.assert_allclose(scores, [56, 20, 47], atol=2)


def test_quickstart_reads_97_of_100_digits(run_example: Run) -> None:
    printed = run_example("quickstart.py", "--backend", "numpy")
    accuracy = re.search(r"test accuracy on numpy: ([\d.]+)%", printed)
    assert accuracy
    assert float(accuracy[1]) >= 97.0


def test_autoencoder_is_better_than_principal_components(run_example: Run) -> None:
    printed = run_example("autoencoder.py", "--backend", "numpy", "--epochs", 30)
    mean, components, autoencoder = map(float, re.findall(r"^  (0\.\d{4})  ", printed, re.MULTILINE))
    assert autoencoder < 0.75 * components < 0.75 * 0.5 * mean


def test_character_lstm_reads_prose_by_default() -> None:
    text = runpy.run_path(str(EXAMPLES / "character_lstm.py"))["manual"]()
    assert len(text) > 100_000
    assert set(text) <= set("\n" + "".join(map(chr, range(32, 127))))
    assert len(re.findall(r"\bthe\b", text)) > 0.05 * len(text.split())


def test_breast_cancer_reaches_095(run_example: Run) -> None:
    printed = run_example("reference/breast_cancer.py")
    accuracies = re.findall(r"^(?:single neuron|10 hidden units), [\w -]+? +(\d\.\d{3})$", printed, re.MULTILINE)
    assert len(accuracies) == 8
    assert all(float(accuracy) > 0.95 for accuracy in accuracies)


# Scripts for Keras


@pytest.fixture
def run_keras_script(tmp_path: Path) -> Run:
    """Run a script in a fresh interpreter after `np.random.seed`, which decides what nnx draws; returns the output."""

    def run(script: str, seed: int) -> str:
        command = (
            "import runpy, sys, numpy; numpy.random.seed(int(sys.argv[2])); "
            "runpy.run_path(sys.argv[1], run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", command, str(KERAS_SCRIPTS / script), str(seed)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_keras_scripts_differ_from_the_originals_in_import_lines_only() -> None:
    scripts = sorted(KERAS_SCRIPTS.glob("*.py"))
    assert len(scripts) == 4
    for script in scripts:
        first, *lines = script.read_text(encoding="utf-8").splitlines()
        assert first.startswith("# ")
        changed = [line for line in lines if "nnx" in line or "keras" in line]
        assert len(changed) >= 3
        for line in changed:
            ours, _, original = line.partition("  # ")
            assert ours.startswith("from nnx")
            assert ours.replace("nnx", "keras", 1) == original


def test_keras_script_of_two_layers(run_keras_script: Run) -> None:
    printed = run_keras_script("two_layer_keras.py", 1)
    assert "Total params: 21 " in printed
    found = np.array([float(number) for number in re.findall(r"\[ *(-?[\d.e-]+) *\]", printed)])
    assert np.all(np.abs(found - [0, 1, 1, 0]) <= [0.07, 0.06, 0.09, 0.08])


def test_keras_script_of_gates(run_keras_script: Run) -> None:
    printed = run_keras_script("perceptron_gates_keras.py", 1)
    assert printed.count("Epoch 500/500") == 4
    last = re.findall(r"Epoch 500/500\n.*1/1 .* - acc: ([\d.]+) - loss: ([\d.]+)", printed)
    (or_acc, or_loss), (and_acc, and_loss), (nand_acc, nand_loss), (xor_acc, xor_loss) = np.array(last, dtype=float)
    assert or_acc == and_acc == nand_acc == 1.0
    assert max(or_loss, and_loss, nand_loss) < 0.1
    assert xor_acc < 1.0
    assert 0.249 < xor_loss < 0.27


def test_keras_script_of_xor(run_keras_script: Run) -> None:
    printed = run_keras_script("xor_keras.py", 1)
    accuracy, loss = re.findall(r"Epoch 500/500\n.*1/1 .* - acc: ([\d.]+) - loss: ([\d.]+)", printed)[0]
    assert float(accuracy) == 1.0
    assert float(loss) < 0.05
    found = np.array([float(number) for number in re.findall(r"\[ *(-?[\d.e-]+) *\]", printed)][-4:])
    assert np.array_equal(found > 0.5, [False, True, True, False])


def test_keras_script_of_fashion_mnist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], idx_folder: Path
) -> None:
    data = nnx.datasets.mnist.load_data(idx_folder)
    monkeypatch.setattr(nnx.datasets.fashion_mnist, "load_data", lambda: data)  # instead of a download
    runpy.run_path(str(KERAS_SCRIPTS / "fashion_mnist_keras.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "Total params: 50,890 " in printed
    losses = [float(loss) for loss in re.findall(r"- val_loss: ([\d.]+)", printed)]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.02
    assert re.search(r"\n\[\d\.\d+, \d\.\d+\]\n$", printed)
