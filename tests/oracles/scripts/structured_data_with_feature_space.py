"""Patients in a table: FeatureSpace encodes texts, numbers and crosses, in batches and inside of the model."""

import keras
import numpy as np
import tensorflow as tf
from keras.utils import FeatureSpace
from seeded import fill_weights

rows = 64
rng = np.random.default_rng(0)
frame = {
    "sex": rng.integers(0, 2, rows),
    "age": rng.integers(30, 77, rows),
    "chol": rng.normal(245, 50, rows).astype("float32"),
    "thal": np.array(["normal", "fixed", "reversible"])[rng.integers(0, 3, rows)],
}
target = (frame["chol"] + 2 * frame["age"] > 350).astype("int64")

feature_space = FeatureSpace(
    features={
        "sex": FeatureSpace.integer_categorical(num_oov_indices=0),
        "thal": FeatureSpace.string_categorical(num_oov_indices=0),
        "age": FeatureSpace.float_discretized(num_bins=4),
        "chol": FeatureSpace.float_normalized(),
    },
    crosses=[FeatureSpace.cross(feature_names=("sex", "thal"), crossing_dim=8)],
    output_mode="concat",
)

dataset = tf.data.Dataset.from_tensor_slices((frame, target)).batch(16)
feature_space.adapt(dataset.map(lambda x, _: x))
for x, y in dataset.take(1):
    preprocessed = feature_space(x)
preprocessed_ds = dataset.map(lambda x, y: (feature_space(x), y), num_parallel_calls=tf.data.AUTOTUNE)
preprocessed_ds = preprocessed_ds.prefetch(tf.data.AUTOTUNE)

# The model learns from what is encoded beforehand
encoded_features = feature_space.get_encoded_features()
x = keras.layers.Dense(16, activation="relu")(encoded_features)
predictions = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.0)(x))
training_model = keras.Model(inputs=encoded_features, outputs=predictions)
fill_weights(training_model)
training_model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
history = training_model.fit(preprocessed_ds, epochs=20, verbose=0)

# Inference takes the table as it is
inference_model = keras.Model(inputs=feature_space.get_inputs(), outputs=predictions)
sample = {"sex": [1], "age": [60], "chol": [233.0], "thal": ["fixed"]}
input_dict = {name: np.array(value) for name, value in sample.items()}
shuffled = tf.data.Dataset.from_tensor_slices((frame, target)).shuffle(buffer_size=rows).batch(32)
score = inference_model.predict(input_dict, verbose=0)
by_hand = training_model.predict(feature_space(input_dict), verbose=0)

encoded = np.array(feature_space({"sex": 0, "age": 60, "chol": float(frame["chol"].mean()), "thal": "fixed"}))
everything = np.array(feature_space(frame))
thal = feature_space.preprocessors["thal"].get_vocabulary()
results = {
    "width": tuple(preprocessed.shape),
    "encoded": [float(encoded[4].round(4)), float(encoded.sum().round(4))],
    "normalized": [float(everything[:, 4].mean().round(4)), float(everything[:, 4].std().round(4))],
    "same": bool(np.allclose(score, by_hand, atol=1e-6)),
    "vocabulary": sorted(thal),
    "learned": history.history["loss"][-1] < history.history["loss"][0],
    "score": [tuple(score.shape), len(shuffled)],
}
# age 4 bins, chol 1, sex 2, the cross 8, thal 3: in the order of their names
expected = {
    "width": (16, 18),
    "encoded": [0.0, 4.0],
    "normalized": [0.0, 1.0],
    "same": True,
    "vocabulary": ["fixed", "normal", "reversible"],
    "learned": True,
    "score": [(1, 1), 2],
}
