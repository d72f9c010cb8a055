"""Equal weights for both libraries, which draw different random numbers."""

import math

import numpy as np


def fill_weights(model, seed=0):
    """Give a model, before parts of it are frozen, the weights that the seed says.

    Matrices and kernels are drawn; what begins as a constant (biases, scales) is moved a little away from it.
    """
    generator = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        shape = tuple(weight.shape)
        noise = generator.standard_normal(shape).astype("float32")
        if len(shape) > 1:
            weight.assign(noise / math.prod(shape[:-1]) ** 0.5)
        else:
            weight.assign_add(noise / 20)
