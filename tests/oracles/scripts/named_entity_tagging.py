"""Names in sentences: a tag for each word, with padding that neither the loss nor the accuracy counts."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

words = ["<pad>", "<unk>", "anna", "lives", "in", "paris", "and", "works", "for", "acme", "bob", "rome", "likes"]
tags = ["<pad>", "O", "PER", "LOC", "ORG"]
sentences = [
    ("anna lives in paris", "PER O O LOC"),
    ("bob works for acme", "PER O O ORG"),
    ("anna and bob likes rome", "PER O PER O LOC"),
    ("acme works in rome and paris", "ORG O O LOC O LOC"),
    ("bob likes anna", "PER O PER"),
    ("paris likes acme", "LOC O ORG"),
]
word_index = {word: i for i, word in enumerate(words)}
tag_index = {tag: i for i, tag in enumerate(tags)}
x = keras.utils.pad_sequences([[word_index[w] for w in s.split()] for s, _ in sentences], padding="post")
y = keras.utils.pad_sequences([[tag_index[t] for t in ts.split()] for _, ts in sentences], padding="post")


class CustomNonPaddingTokenLoss(keras.losses.Loss):
    def __init__(self, name="custom_ner_loss"):
        super().__init__(name=name, reduction=None)

    def call(self, y_true, y_pred):
        loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=False, reduction=None)
        loss = loss_fn(y_true, y_pred)
        mask = ops.cast((y_true > 0), dtype="float32")
        loss = loss * mask
        return ops.sum(loss) / ops.sum(mask)


class NERModel(keras.Model):
    def __init__(self, num_tags, vocab_size, embed_dim=8):
        super().__init__()
        self.embedding = layers.Embedding(vocab_size, embed_dim)
        self.encoder = layers.Bidirectional(layers.GRU(5, return_sequences=True))
        self.ff = layers.Dense(8, activation="relu")
        self.ff_final = layers.Dense(num_tags, activation="softmax")

    def call(self, inputs, training=False):
        x = self.encoder(self.embedding(inputs))
        return self.ff_final(self.ff(x))


own_loss = NERModel(len(tags), len(words))
own_loss(x[:1])
fill_weights(own_loss)
own_loss.compile(optimizer=keras.optimizers.Adam(0.02), loss=CustomNonPaddingTokenLoss())
own = own_loss.fit(x, y, epochs=3, batch_size=3, shuffle=False, verbose=0)

# The same by a mask that goes from the embedding to loss and metrics
inputs = keras.Input((None,), dtype="int32")
h = layers.Embedding(len(words), 8, mask_zero=True)(inputs)
h = layers.Bidirectional(layers.GRU(5, return_sequences=True))(h)
h = layers.TimeDistributed(layers.Dense(8, activation="relu"))(h)
outputs = layers.Dense(len(tags), activation="softmax")(h)
masked_model = keras.Model(inputs, outputs)
fill_weights(masked_model)
masked_model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
masked = masked_model.fit(x, y, epochs=3, batch_size=3, shuffle=False, verbose=0)

loss, accuracy = masked_model.evaluate(x, y, verbose=0)
predicted = np.argmax(masked_model.predict(x[:2], verbose=0), axis=-1)
results = {
    "own loss": own.history["loss"],
    "masked": masked.history["loss"],
    "evaluated": [loss, accuracy],
    "tags": [[tags[t] for t in row[:3]] for row in predicted.tolist()],
    "computed mask": np.asarray(masked_model.layers[1].compute_mask(x[:2])),
}
