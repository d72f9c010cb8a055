"""A PixelCNN: masked convolutions see only the pixels before, and images are drawn one pixel after the other."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

size = 6
data = np.zeros((32, size, size, 1), "float32")
for i in range(32):
    data[i, :, i % 4 : i % 4 + 2] = 1.0


class PixelConvLayer(layers.Layer):
    def __init__(self, mask_type, **kwargs):
        super().__init__()
        self.mask_type = mask_type
        self.conv = layers.Conv2D(**kwargs)

    def build(self, input_shape):
        self.conv.build(input_shape)
        kernel_shape = self.conv.kernel.shape
        self.mask = np.zeros(shape=tuple(kernel_shape), dtype="float32")
        self.mask[: kernel_shape[0] // 2, ...] = 1.0
        self.mask[kernel_shape[0] // 2, : kernel_shape[1] // 2, ...] = 1.0
        if self.mask_type == "B":
            self.mask[kernel_shape[0] // 2, kernel_shape[1] // 2, ...] = 1.0

    def call(self, inputs):
        return self.conv.activation(ops.conv(inputs, self.conv.kernel * self.mask, padding="same") + self.conv.bias)


class ResidualBlock(keras.layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv1 = layers.Conv2D(filters=filters, kernel_size=1, activation="relu")
        self.pixel_conv = PixelConvLayer(
            mask_type="B", filters=filters // 2, kernel_size=3, activation="relu", padding="same"
        )
        self.conv2 = layers.Conv2D(filters=filters, kernel_size=1, activation="relu")

    def call(self, inputs):
        x = self.conv1(inputs)
        x = self.pixel_conv(x)
        x = self.conv2(x)
        return keras.layers.add([inputs, x])


inputs = keras.Input(shape=(size, size, 1), batch_size=None)
x = PixelConvLayer(mask_type="A", filters=8, kernel_size=5, activation="relu", padding="same")(inputs)
for _ in range(2):
    x = ResidualBlock(filters=8)(x)
x = PixelConvLayer(mask_type="B", filters=8, kernel_size=1, strides=1, activation="relu", padding="valid")(x)
out = keras.layers.Conv2D(filters=1, kernel_size=1, strides=1, activation="sigmoid", padding="valid")(x)
pixel_cnn = keras.Model(inputs, out)
fill_weights(pixel_cnn)
pixel_cnn.compile(optimizer=keras.optimizers.Adam(learning_rate=0.005), loss="binary_crossentropy")
history = pixel_cnn.fit(x=data, y=data, batch_size=16, epochs=3, shuffle=False, validation_split=0.25, verbose=0)

pixels = np.zeros(shape=(2, *pixel_cnn.input_shape[1:]))
for row in range(size):
    for col in range(size):
        probs = ops.convert_to_numpy(pixel_cnn(pixels.astype("float32")))[:, row, col, 0]
        pixels[:, row, col, 0] = probs > [0.4, 0.5]

changed = data[:1].copy()
changed[0, 3, 2:] = 0.5
changed[0, 4:] = 0.5
same = pixel_cnn.predict(data[:1], verbose=0)[0, :3] - pixel_cnn.predict(changed, verbose=0)[0, :3]
results = {
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "drawn": pixels[..., 0],
    "sees what is before": bool(np.abs(same).max() < 1e-6),
    "probabilities": pixel_cnn.predict(data[:1], verbose=0)[0, 2, :, 0],
}
