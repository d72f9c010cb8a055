"""A small ResNet of functions: identity and projected shortcuts, batch normalisation, pooling, weight decay."""

import keras
import numpy as np
from keras import Model, layers, regularizers
from seeded import fill_weights

num_classes = 3


def conv_block(x, filters, kernel_size=3, strides=1, activation="relu"):
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=regularizers.l2(1e-4),
    )(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x) if activation else x


def residual_block(x, filters, strides=1):
    shortcut = x
    x = conv_block(x, filters, strides=strides)
    x = conv_block(x, filters, activation=None)
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = conv_block(shortcut, filters, 1, strides, activation=None)
    x = layers.Add()([x, shortcut])
    return layers.Activation("relu")(x)


def resnet(input_shape):
    inputs = keras.Input(shape=input_shape)
    x = conv_block(layers.ZeroPadding2D(1)(inputs), 6)
    for filters, strides in ((6, 1), (10, 2), (10, 1)):
        x = residual_block(x, filters, strides)
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return Model(inputs, layers.Dense(num_classes)(x), name="resnet")


rng = np.random.default_rng(2)
y = rng.integers(0, num_classes, 48)
x = rng.normal(size=(48, 10, 10, 3)).astype("float32") + (y[:, None] == np.arange(3))[:, None, None, :]
model = resnet(x.shape[1:])
fill_weights(model)
model.compile(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
)
history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)

results = {
    "history": history.history,
    "evaluate": model.evaluate(x, y, verbose=0),
    "moving": [np.array(w) for w in model.layers[3].get_weights()],
    "counts": [model.count_params(), len(model.layers), len(model.trainable_weights)],
}
