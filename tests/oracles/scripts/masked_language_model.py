"""Masked language modelling: hide tokens, count the loss of those alone by sample weights, then fine-tune."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

VOCAB, MAX_LEN, EMBED, HEADS, FF = 20, 9, 8, 2, 16
MASK = VOCAB - 1

rng = np.random.default_rng(7)
starts = rng.integers(1, 6, (64, 1))
texts = (starts + 2 * np.arange(MAX_LEN)) % (VOCAB - 2) + 1


def get_masked_input_and_labels(encoded_texts):
    inp_mask = np.random.default_rng(1).random(encoded_texts.shape) < 0.25
    labels = np.where(inp_mask, encoded_texts, 0)
    encoded_texts_masked = np.where(inp_mask, MASK, encoded_texts)
    return encoded_texts_masked, labels, inp_mask.astype("float32")


def encoder(query, i):
    attention_output = layers.MultiHeadAttention(
        num_heads=HEADS, key_dim=EMBED // HEADS, name=f"encoder_{i}_multiheadattention"
    )(query, query, query)
    attention_output = layers.LayerNormalization(epsilon=1e-6, name=f"encoder_{i}_att_norm")(query + attention_output)
    ffn = keras.Sequential(
        [layers.Dense(FF, activation="relu"), layers.Dense(EMBED)],
        name=f"encoder_{i}_ffn",
    )
    return layers.LayerNormalization(epsilon=1e-6, name=f"encoder_{i}_ffn_norm")(
        attention_output + ffn(attention_output)
    )


def position_encoding(max_len, dimension):
    angles = np.arange(max_len)[:, None] / np.power(10000, np.arange(0, dimension, 2) / dimension)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(max_len, dimension)


inputs = layers.Input((MAX_LEN,), dtype="int64")
word_embeddings = layers.Embedding(VOCAB, EMBED, name="word_embedding")(inputs)
position_embeddings = layers.Embedding(
    input_dim=MAX_LEN,
    output_dim=EMBED,
    embeddings_initializer=keras.initializers.Constant(0.5),
    name="position_embedding",
)(keras.ops.arange(start=0, stop=MAX_LEN, step=1))
x = word_embeddings + position_embeddings
x = x + position_encoding(MAX_LEN, EMBED).astype("float32")
x = encoder(x, 0)
mlm_output = layers.Dense(VOCAB, name="mlm_cls", activation="softmax")(x)
mlm_model = keras.Model(inputs, mlm_output, name="masked_bert_model")
fill_weights(mlm_model)
mlm_model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    weighted_metrics=["accuracy"],
)
x_masked, y_masked, weights = get_masked_input_and_labels(texts)
history = mlm_model.fit(x_masked, y_masked, sample_weight=weights, batch_size=16, epochs=4, shuffle=False, verbose=0)

# Fine-tune the encoder, frozen at first, as a classifier
pretrained = keras.Model(mlm_model.input, mlm_model.get_layer("encoder_0_ffn_norm").output)
pretrained.trainable = False
class_inputs = layers.Input((MAX_LEN,), dtype="int64")
pooled = layers.GlobalMaxPooling1D()(pretrained(class_inputs))
classifier = keras.Model(class_inputs, layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(pooled))
classifier.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
labels = (texts[:, 0] > 3).astype("float32")
frozen = classifier.fit(texts, labels, batch_size=16, epochs=2, shuffle=False, verbose=0)
pretrained.trainable = True
classifier.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
unfrozen = classifier.fit(texts, labels, batch_size=16, epochs=2, shuffle=False, verbose=0)

results = {
    **history.history,
    "frozen": frozen.history["loss"],
    "unfrozen": unfrozen.history["loss"],
    "trained": [len(classifier.trainable_weights), len(classifier.weights)],
    "mask": mlm_model.predict(x_masked[:1], verbose=0)[0].argmax(axis=-1),
}
