"""Mixed precision: layers compute in float16, the head and the loss in float32; policies of layers."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

keras.mixed_precision.set_global_policy("mixed_float16")
policy = keras.mixed_precision.global_policy()

inputs = keras.Input(shape=(20,), name="digits")
dense1 = layers.Dense(16, activation="relu", name="dense_1")
x = dense1(inputs)
x = layers.Dense(16, activation="relu", name="dense_2")(x)
x = layers.Dense(4, name="dense_logits")(x)
outputs = layers.Activation("softmax", dtype="float32", name="predictions")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
fill_weights(model)
model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(0.1), metrics=["accuracy"])

rng = np.random.default_rng(9)
x_train = rng.normal(size=(128, 20)).astype("float32")
y_train = x_train[:, :4].argmax(axis=1)
history = model.fit(x_train, y_train, batch_size=32, epochs=4, shuffle=False, verbose=0)
predictions = model.predict(x_train, verbose=0)
keras.mixed_precision.set_global_policy("float32")

results = {
    "policy": policy.name,
    "dtypes": [str(predictions.dtype), outputs.dtype],
    "falls": history.history["loss"][-1] < history.history["loss"][0],
    "keys": sorted(history.history),
    # float16 has 11 bits: thousandths of the loss may differ with the order of a sum
    "loss": [round(loss, 2) for loss in history.history["loss"]][:1],
    "sums": bool(np.allclose(predictions.sum(axis=1), 1.0, atol=1e-5)),
}
