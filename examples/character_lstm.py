"""A long short-term memory reads the Python reference manual, character by character, and then writes one.

The text is what `help()` shows about the language: 196,000 characters of prose, which every Python has. It is cut into
32 parts that are read side by side; the layer is stateful, so that it remembers at the beginning of each window of 48
characters what it read in the one before. What comes next is then drawn from the probabilities that the network gives,
sharpened by a temperature below 1 or flattened by one above.

Guessing each character by its frequency costs 4.5 bits a character. After 20 epochs, a minute and a half on a laptop,
it is 1.3 bits in the text that is learnt and 1.9 in the last tenth, which is not. What the network writes has the words
of a manual, nearly all of them spelt right, but not its sense (the text differs a little between versions of Python):

    The loop expression is an expression the current frame (see expression is not subscript defined and the command
    (this is a string of the comparison the cannot be a string when the same value is returned by the string are [...]
    For example, "co_flags" clause is a module code block is a function of the same calls "if" statement below.

    python examples/character_lstm.py
    python examples/character_lstm.py --backend cupy --epochs 40 --units 512 --temperature 0.8
    python examples/character_lstm.py --text a_book_of_your_own.txt
"""

import argparse
import math
import re
from pathlib import Path
from pydoc_data import topics

import numpy as np

import nnx
from nnx.callbacks import LambdaCallback
from nnx.layers import LSTM, Dense, Embedding, Input

ROWS, WINDOW = 32, 48  # parts of the text that are read side by side; characters between two steps of the optimiser


def manual() -> str:
    """The paragraphs of prose in the topics of `help()`, each once, on a line of its own."""
    plain = str.maketrans("‘’“”–—…", "''\"\"--.")
    paragraphs = (" ".join(part.split()) for topic in topics.topics.values() for part in topic.split("\n\n"))
    prose = (part for part in paragraphs if re.fullmatch(r"[A-Z][a-z ][ -~]+\.", part.translate(plain)))
    return "\n".join(dict.fromkeys(part.translate(plain) for part in prose))


def windows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, WINDOW) of the text, and the same one character on. Row i of a batch goes on in row i of the next."""
    steps = (len(codes) - 1) // (ROWS * WINDOW)
    if not steps:
        raise SystemExit(f"the text is too short: a tenth of it must be more than {ROWS * WINDOW} characters")
    parts = [codes[start : start + ROWS * steps * WINDOW].reshape(ROWS, steps, WINDOW) for start in (0, 1)]
    x, y = (part.swapaxes(0, 1).reshape(-1, WINDOW) for part in parts)
    return x, y


def write(model: nnx.Sequential, prompt: list[int], length: int, temperature: float, seed: int) -> list[int]:
    """The prompt and what the model adds to it, each character drawn from softmax(logits / temperature)."""
    generator = np.random.default_rng(seed)
    codes, read = list(prompt), prompt
    for _ in range(length):
        logits = model.predict_on_batch([read])[0, -1]
        read = [int(np.argmax(logits / temperature + generator.gumbel(size=logits.shape)))]  # Gumbel's way to draw
        codes += read
    return codes


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--length", type=int, default=800, help="how many characters to write")
    parser.add_argument("--prompt", default="The ", help="what the written text begins with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.5, help="above 0; the lower, the less is risked")
    parser.add_argument("--text", type=Path, help="a file to learn from; default: Python's manual")
    parser.add_argument("--units", type=int, default=192)
    arguments = parser.parse_args()

    text = arguments.text.read_text(encoding="utf-8") if arguments.text else manual()
    if not arguments.prompt or set(arguments.prompt) - set(text):
        parser.error("the prompt must be one or more of the characters of the text")
    alphabet, codes, counts = np.unique(list(text), return_inverse=True, return_counts=True)
    guess = -np.sum(counts / len(text) * np.log2(counts / len(text)))
    print(f"{len(text):,} characters, {len(alphabet)} different; guessed by frequency: {guess:.2f} bits a character")
    learnt, unseen = windows(codes[: len(codes) * 9 // 10]), windows(codes[len(codes) * 9 // 10 :])

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        lstm = LSTM(arguments.units, return_sequences=True, stateful=True)
        model = nnx.Sequential([Input((None,)), Embedding(len(alphabet), 32), lstm, Dense(len(alphabet))])
    steps = arguments.epochs * len(learnt[0]) // ROWS
    optimizer = nnx.optimizers.Adam(nnx.schedules.CosineDecay(0.01, steps), clipnorm=1.0)
    model.compile(optimizer, loss=nnx.losses.SparseCategoricalCrossentropy(from_logits=True))

    def show(epoch: int, logs: dict[str, float]) -> None:
        bits, bits_unseen = (logs[name] / math.log(2) for name in ("loss", "val_loss"))
        print(f"epoch {epoch + 1:2d}: {bits:.2f} bits a character, {bits_unseen:.2f} of unseen text", flush=True)

    forget = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: lstm.reset_states(),
        on_test_begin=lambda logs: lstm.reset_states(),
        on_epoch_end=show,
    )
    history = model.fit(
        *learnt,
        batch_size=ROWS,
        shuffle=False,  # rows of a batch go on where those of the last one stopped
        epochs=arguments.epochs,
        validation_data=unseen,
        callbacks=[forget],
        verbose=0,
    )
    lstm.reset_states()
    prompt = np.searchsorted(alphabet, list(arguments.prompt)).tolist()
    codes = write(model, prompt, arguments.length, arguments.temperature, arguments.seed)
    print(f"\nat temperature {arguments.temperature:g} it writes\n\n{''.join(alphabet[codes])}")
    return history.history["val_loss"][-1] / math.log(2)


if __name__ == "__main__":
    main()
