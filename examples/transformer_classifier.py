"""A small transformer reads Python with a hole in it, and says which keyword was there.

The data are the modules of Python's standard library, cut into tokens; every fifth module is kept for the test. A
sample is one of the 20 commonest keywords, hidden, with the 16 tokens before and after it. Whether `if`, `while` or
`elif` stood before a condition, or `True` or `None` after a comma, can often be told only from words further away.
Looking up what stood most often between the same two neighbours is right for 64 % of the unseen holes, between the
same four for 74 %, and ten neighbours are no better than six. The transformer, two blocks of 19,000 parameters, is
right for 89 % after 4 epochs.

That was measured with Python 3.11, whose library has 43,793 such keywords for training and 12,079 for the test; other
versions differ a little. It takes a minute and a half on a laptop. Printed at the end are some unseen holes with what
the network thinks of them, and written is confusion_matrix.png, which shows what it takes for what.

    python examples/transformer_classifier.py
    python examples/transformer_classifier.py --backend cupy --epochs 10
"""

import argparse
import keyword
import sysconfig
import token
import tokenize
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

import nnx
from nnx.layers import Dense, Embedding, Input, Layer, LayerNormalization, MultiHeadAttention

SIDE, WORDS, KEYWORDS = 16, 500, 20  # tokens on each side of the hole; words and keywords that are told apart
NOTHING, HOLE, OTHER = range(3)  # what is before and after a module, the hidden keyword, all rarer words
WIDTH, HEADS, BLOCKS = 48, 4, 2


class Positions(Layer):
    """Adds to the vector of each token one for its place, which is learnt too."""

    def build(self, input_shape):
        self.positions = self.add_weight(input_shape[1:], "uniform", name="positions")
        super().build(input_shape)

    def call(self, x):
        return x + self.positions


class Block(Layer):
    """Every token looks at all others, and then at what it has found; both times it adds what comes out to itself."""

    def __init__(self, width, heads, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.attention = MultiHeadAttention(heads, width // heads)
        self.hidden, self.output_of_hidden = Dense(2 * width, "relu"), Dense(width)
        self.before_attention, self.before_hidden = LayerNormalization(), LayerNormalization()

    def call(self, x):
        normal = self.before_attention(x)
        x = x + self.attention(normal, normal)
        return x + self.output_of_hidden(self.hidden(self.before_hidden(x)))


def read(module: Path) -> list[str]:
    """The tokens of a module: names, keywords and operators as they are, of everything else only the kind."""
    left_out = (token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER)
    with tokenize.open(module) as source:
        found = [each for each in tokenize.generate_tokens(source.readline) if each.type not in left_out]
    return [each.string if each.type in (token.NAME, token.OP) else token.tok_name[each.type] for each in found]


def holes(modules: list[list[str]], words: list[str], keywords: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Windows of tokens (n, 2 * SIDE + 1) with a hole in the middle, and the numbers (n,) of the keywords in them."""
    number = {word: i for i, word in enumerate(words)}
    windows, labels = [], []
    for tokens in modules:
        padded = np.pad([number.get(word, OTHER) for word in tokens], SIDE, constant_values=NOTHING)
        places = [i for i, word in enumerate(tokens) if word in keywords]
        windows.append(np.lib.stride_tricks.sliding_window_view(padded, 2 * SIDE + 1)[places])
        labels += [keywords.index(tokens[i]) for i in places]
    x = np.concatenate(windows).astype(np.int32)
    x[:, SIDE] = HOLE
    return x, np.array(labels)


def look_up(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, reach: int) -> np.ndarray:
    """What was most often between the same neighbours, up to `reach` on each side; fewer where these are new."""
    answers = np.full(len(x_test), np.bincount(y).argmax())
    for near in range(1, reach + 1):
        seen: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
        columns = slice(SIDE - near, SIDE + near + 1)
        for row, label in zip(x[:, columns], y, strict=True):
            seen[row.tobytes()][label] += 1
        for i, row in enumerate(x_test[:, columns]):
            if row.tobytes() in seen:
                answers[i] = seen[row.tobytes()].most_common(1)[0][0]
    return answers


def make_model(words: int, keywords: int) -> nnx.Model:
    tokens = Input((2 * SIDE + 1,))
    x = Positions()(Embedding(words, WIDTH, mask_zero=True)(tokens))  # nobody looks at NOTHING, which is 0
    for _ in range(BLOCKS):
        x = Block(WIDTH, HEADS)(x)
    at_the_hole = LayerNormalization()(x)[:, SIDE]
    return nnx.Model(tokens, Dense(keywords, "softmax")(at_the_hole))


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--modules", type=int, help="how many modules to read; default: all")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    library = [read(path) for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[: arguments.modules]]
    train, test = [tokens for i, tokens in enumerate(library) if i % 5], library[::5]
    counts = Counter(word for tokens in train for word in tokens)
    words = ["", "____", "<other>", *(word for word, _ in counts.most_common(WORDS))]
    keywords = [word for word, _ in counts.most_common() if keyword.iskeyword(word)][:KEYWORDS]
    (x, y), (x_test, y_test) = holes(train, words, keywords), holes(test, words, keywords)
    print(f"{len(y):,} holes in {len(train)} modules; {len(y_test):,} in {len(test)} unseen ones:", *keywords)

    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend) as backend:
        model = make_model(len(words), len(keywords))
    model.summary()
    steps = arguments.epochs * -(-len(x) // 64)
    schedule = nnx.schedules.CosineDecay(0.0, steps, warmup_target=0.003, warmup_steps=steps // 10)
    model.compile(nnx.optimizers.AdamW(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=arguments.epochs, validation_data=(x_test, y_test))

    probabilities = model.predict(x_test, verbose=0)
    answers = probabilities.argmax(axis=-1)
    print("\nsome unseen holes, and the three likeliest keywords")
    for i in np.random.default_rng(arguments.seed).choice(len(x_test), min(8, len(x_test)), replace=False):
        around = " ".join(words[code] for code in x_test[i, SIDE - 6 : SIDE + 7])
        best = ", ".join(f"{keywords[k]} {probabilities[i, k]:.0%}" for k in np.argsort(-probabilities[i])[:3])
        print(f"  {around}\n      was {keywords[y_test[i]]}: {best}")

    print(f"\nright on {backend}, of {len(y_test):,} unseen holes")
    print(f"  always {keywords[0]:<22}{np.mean(y_test == 0):6.1%}")
    for reach in (1, 2):
        right = np.mean(look_up(x, y, x_test, reach) == y_test)
        print(f"  looked up by {2 * reach} neighbours    {right:6.1%}")
    accuracy = float(np.mean(answers == y_test))
    print(f"  transformer                {accuracy:6.1%}")
    nnx.plotting.confusion_matrix(y_test, answers, keywords, path="confusion_matrix.png")
    print("written: confusion_matrix.png")
    return accuracy


if __name__ == "__main__":
    main()
