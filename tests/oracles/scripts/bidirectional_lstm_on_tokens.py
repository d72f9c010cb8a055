"""A bidirectional LSTM on the token ids of reviews, padded, with masked padding."""

import numpy as np
import keras
from keras import layers
from seeded import fill_weights

max_features, maxlen = 50, 12

rng = np.random.default_rng(3)
lengths = rng.integers(3, 15, 96)
sequences = [rng.integers(1, max_features, length).tolist() for length in lengths]
labels = np.array([int(sum(sequence) / len(sequence) > max_features / 2) for sequence in sequences])

x_train, x_val = sequences[:64], sequences[64:]
y_train, y_val = labels[:64], labels[64:]
x_train = keras.utils.pad_sequences(x_train, maxlen=maxlen)
x_val = keras.utils.pad_sequences(x_val, maxlen=maxlen, padding="post", truncating="post")

inputs = keras.Input(shape=(None,), dtype="int32")
x = layers.Embedding(max_features, 8, mask_zero=True)(inputs)
x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
x = layers.Bidirectional(layers.LSTM(6), merge_mode="ave")(x)
outputs = layers.Dense(1, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
fill_weights(model)

model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
history = model.fit(x_train, y_train, batch_size=32, epochs=2, shuffle=False, validation_data=(x_val, y_val), verbose=0)

# Padding that is masked says nothing: before or behind the words, more or less of it
short = [[4, 8, 15], [16, 23, 42]]
before = model.predict(keras.utils.pad_sequences(short, maxlen=5), verbose=0)
behind = model.predict(keras.utils.pad_sequences(short, maxlen=9, padding="post"), verbose=0)

results = {
    **history.history,
    "padding says nothing": bool(np.allclose(before, behind, atol=1e-6)),
    "short": before,
    "padded": x_val[:3],
    "parameters": model.count_params(),
}
