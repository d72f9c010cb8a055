"""A mini-Xception: separable convolutions, residual projections, augmentation that is off at inference."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

image_size = (24, 24)


def make_model(input_shape, num_classes):
    inputs = keras.Input(shape=input_shape)
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomRotation(0.1)(x)
    x = layers.Rescaling(1.0 / 255)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous_block_activation = x

    for size in [12, 16]:
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(size, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(size, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(size, 1, strides=2, padding="same")(previous_block_activation)
        x = layers.add([x, residual])
        previous_block_activation = x

    x = layers.SeparableConv2D(20, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    units = 1 if num_classes == 2 else num_classes
    x = layers.Dropout(0.25)(x)
    outputs = layers.Dense(units, activation=None)(x)
    return keras.Model(inputs, outputs)


model = make_model(input_shape=image_size + (3,), num_classes=2)
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy(name="acc")],
)
rng = np.random.default_rng(3)
images = rng.uniform(0, 255, (32, 24, 24, 3)).astype("float32")
labels = rng.integers(0, 2, (32, 1))
before = model.predict(images, verbose=0)  # training has random numbers in it
history = model.fit(images, labels, batch_size=16, epochs=1, verbose=0)
# The part behind the augmentation is the same in training and inference of fixed statistics
inner = keras.Model(model.layers[3].output, model.layers[-3].output)

results = {
    "before": before,
    "keys": sorted(history.history),
    "finite": bool(np.isfinite(history.history["loss"]).all()),
    "params": [model.count_params(), len(model.weights), len(model.trainable_weights)],
    "shapes": [tuple(layer.output.shape) for layer in model.layers],
    "inner": tuple(inner.output_shape),
}
