"""Preprocessing layers: lookups, hashing, crosses, bins and encodings, alone, in a model, and saved with it."""
# nnx only: in Keras lookups of texts need TensorFlow, which the expected numbers are of

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

data = np.array(["a", "ab", "abc", "abcd", "abcdefghabcdefgh"])
hashing = layers.Hashing(num_bins=1000)
salted = layers.Hashing(num_bins=1000, salt=19)
integers = layers.Hashing(num_bins=502)
crossing = layers.HashedCrossing(num_bins=997)
three = layers.HashedCrossing(num_bins=5000)

lookup = layers.StringLookup()
lookup.adapt(["b", "a", "b", "c", "b", "a"])
inverse = layers.StringLookup(vocabulary=lookup.get_vocabulary(), invert=True)
numbers = layers.IntegerLookup(mask_token=0)
numbers.adapt(np.array([100, 3, 20, 3, -1, 0]))

bins = layers.Discretization(num_bins=4, epsilon=0.01)
bins.adapt(np.array([10.0, 20, 30, 45, 70, 90, 110], "float32"))
normalization = layers.Normalization(axis=None)
normalization.adapt(np.array([1.0, 2.0, 3.0, 4.0, 5.0], "float32"))
counts = layers.CategoryEncoding(num_tokens=4, output_mode="count")
one_hot = layers.StringLookup(vocabulary=["do", "re", "mi", "fa"], output_mode="one_hot")
tf_idf = layers.StringLookup(output_mode="tf_idf")
tf_idf.adapt([["", "x"], ["", "y"], ["[UNK]", "x"]])

# Inside of a model: a text, an integer code and a number, encoded and joined
text_input = keras.Input(shape=(1,), dtype="string", name="letter")
code_input = keras.Input(shape=(1,), dtype="int64", name="code")
number_input = keras.Input(shape=(1,), name="number")
encoded = layers.concatenate(
    [
        layers.StringLookup(vocabulary=lookup.get_vocabulary()[1:], output_mode="one_hot")(text_input),
        layers.CategoryEncoding(num_tokens=6, output_mode="one_hot")(layers.Hashing(num_bins=6)(code_input)),
        normalization(number_input),
    ]
)
model = keras.Model([text_input, code_input, number_input], layers.Dense(1)(encoded))
fill_weights(model)
model.compile("adam", "mse")
letters, codes = np.array([["a"], ["b"], ["z"], ["c"]]), np.array([[1], [2], [3], [1]])
x = [letters, codes, np.array([[1.0], [2.0], [3.0], [5.0]])]
history = model.fit(x, np.ones((4, 1)), epochs=3, verbose=0)
before = model.predict(x, verbose=0)
model.save("encoded.keras")
again = keras.models.load_model("encoded.keras").predict(x, verbose=0)

results = {
    "hashing": hashing(data),
    "salted": salted(data),
    "integers": integers(np.array([[0, 9], [-5, 123456789012]])),
    "crossing": crossing((np.array(["a", "ab", "abc"]), np.array([1, 2, 52]))),
    "three": three((np.array(["a"]), np.array(["ab"]), np.array([2]))),
    "lookup": [lookup.get_vocabulary(), lookup(np.array(["c", "z", "b"]))],
    "inverse": list(inverse(np.array([1, 3, 0]))),
    "numbers": numbers(np.array([100, 3, 20, 77, 0, -1])),
    "bins": [np.array(bins.bin_boundaries), bins(np.array([10.0, 20, 40, 110], "float32"))],
    "normalization": normalization(np.array([[3.0], [5.0]], "float32")),
    "counts": counts(np.array([[0, 1, 3], [3, 1, 1]])),
    "one_hot": one_hot(np.array([["do"], ["x"], ["re"]])),
    "tf_idf": tf_idf(np.array([["", "", "none"], ["x", "x", "[UNK]"]])),
    "columns": int(encoded.shape[-1]),
    "again": bool(np.allclose(before, again, atol=1e-6)),
    "learned": history.history["loss"][-1] < history.history["loss"][0],
}
results = {name: np.array(value) if hasattr(value, "__array__") else value for name, value in results.items()}
expected = {
    "hashing": [939, 502, 385, 985, 2],
    "salted": [409, 293, 376, 697, 62],
    "integers": np.array([[267, 69], [16, 457]]),
    "crossing": [228, 961, 442],
    "three": [2126],
    "lookup": [["[UNK]", "b", "a", "c"], [3, 0, 1]],
    "inverse": ["b", "c", "[UNK]"],
    "numbers": [3, 2, 4, 1, 0, 1],
    "bins": [[17.5, 37.5, 75.0], [0, 1, 2, 3]],
    "normalization": np.array([[0.0], [2.0 / np.sqrt(2.0)]]),
    "counts": np.array([[1, 1, 0, 1], [0, 2, 0, 1]]),
    "one_hot": np.array([[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]),
    "tf_idf": np.array(
        [[0.7675283551216125, 0.0, 1.3862943649291992, 0.0], [0.7675283551216125, 1.3862943649291992, 0, 0]]
    ),
    "columns": 4 + 6 + 1,
    "again": True,
    "learned": True,
}
