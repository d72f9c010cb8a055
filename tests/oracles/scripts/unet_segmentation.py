"""Segmentation with a small U-Net: an encoder with residuals, a decoder that up-samples, a class for each pixel."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

img_size, num_classes = (16, 16), 3


def get_model(img_size, num_classes):
    inputs = keras.Input(shape=img_size + (3,))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous_block_activation = x
    skips = [x]

    for filters in [12, 16]:
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(filters, 1, strides=2, padding="same")(previous_block_activation)
        x = layers.add([x, residual])
        previous_block_activation = x
        skips.append(x)

    for filters, skip in zip([12, 8], reversed(skips[:-1])):
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.Conv2D(filters, 1, padding="same")(layers.UpSampling2D(2)(previous_block_activation))
        x = layers.add([x, residual])
        x = layers.concatenate([x, skip])
        previous_block_activation = x

    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    outputs = layers.Conv2D(num_classes, 3, activation="softmax", padding="same")(x)
    return keras.Model(inputs, outputs)


rng = np.random.default_rng(7)
images = rng.normal(size=(16, *img_size, 3)).astype("float32")
masks = np.zeros((16, *img_size, 1), "uint8")
for image, mask, (row, column) in zip(images, masks, rng.integers(2, 9, (16, 2))):
    mask[row - 1 : row + 6, column - 1 : column + 6] = 1
    mask[row : row + 5, column : column + 5] = 2
    image += mask

model = get_model(img_size, num_classes)
fill_weights(model)
# The gradient of a bias in front of batch normalisation is 0, and rounding all that there is of it in either library:
# Adam would make whole steps of that, which moving means follow, and validation shows. Its epsilon is larger than that.
model.compile(
    optimizer=keras.optimizers.Adam(1e-2, epsilon=1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy", keras.metrics.MeanIoU(num_classes, sparse_y_pred=False, name="iou")],
)
history = model.fit(
    images[:12], masks[:12], epochs=2, batch_size=6, shuffle=False, validation_data=(images[12:], masks[12:]), verbose=0
)
val_preds = model.predict(images[12:], verbose=0)
dice = keras.losses.Dice()(keras.utils.to_categorical(masks[12:, ..., 0], num_classes), val_preds)

results = {
    "history": history.history,
    "classes": np.argmax(val_preds, axis=-1).shape,
    "predictions": val_preds[0, ::4, ::4],
    "dice": float(dice),
    "params": model.count_params(),
}
