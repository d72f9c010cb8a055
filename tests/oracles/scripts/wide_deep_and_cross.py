"""Forest cover from numbers and codes: a baseline, a wide and deep model, a deep and cross model, by one function."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

NUMERIC_FEATURE_NAMES = ["elevation", "slope", "distance"]
CATEGORICAL_FEATURES_SIZES = {"wilderness": 4, "soil": 9}
NUM_CLASSES = 3
hidden_units = [16, 16]

rng = np.random.default_rng(0)
data = {name: rng.normal(size=256).astype("float32") for name in NUMERIC_FEATURE_NAMES}
for name, size in CATEGORICAL_FEATURES_SIZES.items():
    data[name] = rng.integers(0, size, 256)
target = (data["elevation"] > 0).astype(int) + (data["soil"] > 4)


def create_model_inputs():
    inputs = {name: layers.Input(name=name, shape=(), dtype="float32") for name in NUMERIC_FEATURE_NAMES}
    for name in CATEGORICAL_FEATURES_SIZES:
        inputs[name] = layers.Input(name=name, shape=(), dtype="int64")
    return inputs


def encode_inputs(inputs, use_embedding=False):
    encoded_features = []
    for feature_name in inputs:
        if feature_name in CATEGORICAL_FEATURES_SIZES:
            size = CATEGORICAL_FEATURES_SIZES[feature_name]
            if use_embedding:
                embedding = layers.Embedding(input_dim=size, output_dim=int(np.sqrt(size)))
                encoded_feature = embedding(inputs[feature_name])
            else:
                encoded_feature = layers.CategoryEncoding(num_tokens=size, output_mode="one_hot")(inputs[feature_name])
        else:
            encoded_feature = keras.ops.expand_dims(inputs[feature_name], -1)
        encoded_features.append(encoded_feature)
    return layers.concatenate(encoded_features)


def deep_part(features):
    for units in hidden_units:
        features = layers.Dense(units)(features)
        features = layers.BatchNormalization()(features)
        features = layers.ReLU()(features)
    return features


def create_baseline_model():
    inputs = create_model_inputs()
    return keras.Model(inputs, layers.Dense(NUM_CLASSES, activation="softmax")(deep_part(encode_inputs(inputs))))


def create_wide_and_deep_model():
    inputs = create_model_inputs()
    wide = layers.BatchNormalization()(encode_inputs(inputs))
    merged = layers.concatenate([wide, deep_part(encode_inputs(inputs, use_embedding=True))])
    return keras.Model(inputs=inputs, outputs=layers.Dense(units=NUM_CLASSES, activation="softmax")(merged))


def create_deep_and_cross_model():
    inputs = create_model_inputs()
    x0 = encode_inputs(inputs, use_embedding=True)
    cross = x0
    for _ in hidden_units:
        cross = x0 * layers.Dense(x0.shape[-1])(cross) + cross
    cross = layers.BatchNormalization()(cross)
    merged = layers.concatenate([cross, deep_part(x0)])
    return keras.Model(inputs=inputs, outputs=layers.Dense(units=NUM_CLASSES, activation="softmax")(merged))


results = {}
for create in (create_baseline_model, create_wide_and_deep_model, create_deep_and_cross_model):
    model = create()
    fill_weights(model)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    history = model.fit(data, target, batch_size=64, epochs=3, shuffle=False, verbose=0)
    results[create.__name__] = [history.history, model.evaluate(data, target, verbose=0), model.count_params()]
