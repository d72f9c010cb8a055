"""Gradient accumulation: several small batches are one large one, by an argument and by hand."""

import keras
import numpy as np
from jax import grad
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(2)
x = rng.standard_normal((64, 6)).astype("float32")
y = (x[:, :1] * x[:, 1:2]).astype("float32")


def make_model():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="swish"), layers.Dense(1)])
    fill_weights(model)
    return model


def train(batch_size, **options):
    model = make_model()
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.02, **options), "mse")
    history = model.fit(x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    return model, history.history["loss"]


large, large_losses = train(32)
small, small_losses = train(8, gradient_accumulation_steps=4)


# By hand: gradients as functions of an array of weights, of a linear model
def loss(w, features, targets):
    return ops.mean(ops.square(ops.matmul(features, w) - targets))


w = keras.Variable(np.full((6, 1), 0.1, "float32"))
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
optimizer.build([w])
for epoch in range(2):
    for start in range(0, 64, 32):
        accumulated = ops.zeros((6, 1))
        for micro in range(start, start + 32, 8):
            part = slice(micro, micro + 8)
            accumulated = accumulated + grad(lambda value: loss(value, x[part], y[part]))(w.value) / 4
        optimizer.apply([accumulated], [w])

results = {
    "large": large_losses,
    "small": small_losses,
    "weights": large.get_weights()[0],
    "accumulated weights": small.get_weights()[0],
    "by hand": ops.convert_to_numpy(w),
    "iterations": [int(large.optimizer.iterations), int(small.optimizer.iterations)],
}
