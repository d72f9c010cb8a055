"""Attention as a layer: dot products, additive, several heads, with padding masked, causal, and scores to look at."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

vocabulary, dimension, length = 30, 8, 6
rng = np.random.default_rng(5)
queries = rng.integers(1, vocabulary, (40, length))
documents = rng.integers(1, vocabulary, (40, length + 2))
queries[:20, 4:] = 0
documents[10:30, 5:] = 0
relevant = np.array([float(len(set(q) & set(d) - {0}) > 0) for q, d in zip(queries, documents)])

query_input = keras.Input(shape=(None,), dtype="int32", name="query")
value_input = keras.Input(shape=(None,), dtype="int32", name="value")
token_embedding = layers.Embedding(vocabulary, dimension, mask_zero=True)
query_embeddings = token_embedding(query_input)
value_embeddings = token_embedding(value_input)

cnn_layer = layers.Conv1D(filters=dimension, kernel_size=3, padding="same")
heads_embedding = layers.Embedding(vocabulary, dimension, mask_zero=True)
plain_embedding = layers.Embedding(vocabulary, dimension)
query_seq_encoding = cnn_layer(plain_embedding(query_input))
value_seq_encoding = cnn_layer(plain_embedding(value_input))

found = [
    layers.Attention(use_scale=True, name="dot")([query_embeddings, value_embeddings]),
    layers.AdditiveAttention(name="additive")([query_seq_encoding, value_seq_encoding]),
    layers.MultiHeadAttention(num_heads=2, key_dim=4, output_shape=8, name="heads")(
        heads_embedding(query_input), heads_embedding(value_input)
    ),
]
pooled = [layers.GlobalAveragePooling1D()(x) for x in (query_seq_encoding, *found)]
x = layers.Concatenate()(pooled)
model = keras.Model([query_input, value_input], layers.Dense(1, activation="sigmoid")(x))
fill_weights(model)
model.get_layer("additive").set_weights([np.linspace(0.5, 1.5, dimension)])
model.compile("adam", "binary_crossentropy")
history = model.fit({"query": queries, "value": documents}, relevant, batch_size=20, epochs=2, shuffle=False, verbose=0)

# Called by themselves, on arrays with masks
x = rng.standard_normal((2, 4, 6)).astype("float32")
value = rng.standard_normal((2, 5, 6)).astype("float32")
value_mask = np.array([[True] * 3 + [False] * 2, [True] * 5])
query_mask = np.array([[True, True, True, False], [True] * 4])
attended, scores = layers.Attention()([x, value], mask=[query_mask, value_mask], return_attention_scores=True)
causal = layers.Attention(score_mode="concat")([x, x], use_causal_mask=True)
mha = layers.MultiHeadAttention(num_heads=2, key_dim=3)
mha.build(x.shape, value.shape)
fill_weights(mha)
heads, head_scores = mha(x, value, return_attention_scores=True, attention_mask=value_mask[:, None, :])
self_attended = mha(x, x, use_causal_mask=True)

results = {
    "loss": history.history["loss"],
    "predictions": model.predict([queries[:3], documents[:3]], verbose=0),
    "attended": np.asarray(attended),
    "scores": np.asarray(scores),
    "causal": np.asarray(causal),
    "heads": np.asarray(heads),
    "head scores": np.asarray(head_scores),
    "self attended": np.asarray(self_attended),
}
