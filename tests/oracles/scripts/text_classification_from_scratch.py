"""Sentiments of short reviews from raw text: TextVectorization, embeddings, convolutions, and a model end to end."""
# nnx only

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

reviews = [
    "A <br /> wonderful film, wonderful acting!",
    "what a terrible, terrible bore",
    "I loved the acting",
    "the plot is a bore... I hated the film",
    "wonderful plot & a fine cast",
    "terrible cast, hated it",
    "fine film; loved it",
    "a bore of a plot",
]
labels = np.array([1, 0, 1, 0, 1, 0, 1, 0])

max_features, embedding_dim, sequence_length = 20, 6, 10


vectorize_layer = layers.TextVectorization(
    max_tokens=max_features,
    output_mode="int",
    output_sequence_length=sequence_length,
)
vectorize_layer.adapt([text.replace("<br />", " ") for text in reviews])
x = vectorize_layer(reviews)

inputs = keras.Input(shape=(sequence_length,), dtype="int64")
h = layers.Embedding(max_features, embedding_dim)(inputs)
h = layers.Conv1D(8, 3, padding="valid", activation="relu", strides=1)(h)
h = layers.GlobalMaxPooling1D()(h)
h = layers.Dense(8, activation="relu")(h)
predictions = layers.Dense(1, activation="sigmoid", name="predictions")(h)
model = keras.Model(inputs, predictions)
fill_weights(model)
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(x, labels, epochs=3, batch_size=4, shuffle=False, verbose=0)

# The model end to end: strings in, probabilities out
text_input = keras.Input(shape=(1,), dtype="string", name="text")
end_to_end_model = keras.Model(text_input, model(vectorize_layer(text_input)))
end_to_end_model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
texts = np.array(reviews, dtype=object)[:, None]
evaluated = end_to_end_model.evaluate(texts, labels, batch_size=4, verbose=0)

results = {
    "vocabulary": vectorize_layer.get_vocabulary()[:8],
    "tokens": np.asarray(x)[:2],
    "loss": history.history["loss"],
    "end to end": evaluated,
    "new": end_to_end_model.predict(np.array([["a wonderful bore"]], dtype=object), verbose=0),
}
# Of Keras 3.15 on TensorFlow
expected = {
    "vocabulary": ["", "[UNK]", "a", "wonderful", "the", "terrible", "plot", "film"],
    "tokens": [[2, 1, 3, 7, 3, 15, 0, 0, 0, 0], [16, 2, 5, 5, 8, 0, 0, 0, 0, 0]],
    "loss": [0.696222, 0.694076, 0.692433],
    "end to end": [0.69105, 0.5],
    "new": [[0.49974]],
}
