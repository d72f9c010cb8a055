"""An optimizer of one's own: it makes a variable beside each that it trains, and says what a step does with them."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(3)
x = rng.standard_normal((64, 4)).astype("float32")
y = np.tanh(x @ [[0.5], [-1.0], [0.3], [0.0]]).astype("float32")


class SignMomentum(keras.optimizers.Optimizer):
    """Steps of one size in the direction of a moving average of gradients."""

    def __init__(self, learning_rate=0.01, beta=0.9, name="sign_momentum", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta = beta

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.averages = []
        for variable in variables:
            self.averages.append(self.add_variable_from_reference(reference_variable=variable, name="average"))

    def update_step(self, gradient, variable, learning_rate):
        lr = ops.cast(learning_rate, variable.dtype)
        m = self.averages[self._get_variable_index(variable)]
        self.assign(m, self.beta * m + (1 - self.beta) * gradient)
        self.assign_sub(variable, lr * ops.sign(m))

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


def train(optimizer):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    fill_weights(model)
    model.compile(optimizer, "mse")
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return np.array([*history.history["loss"], *model.predict(x[:4], verbose=0)[:, 0]])


# By hand, on variables that no model has
optimizer = SignMomentum(0.1, beta=0.5)
variables = [keras.Variable(np.float32([1.0, -1.0])), keras.Variable(np.float32([[2.0]]))]
for step in range(3):
    gradients = [np.float32([step - 1.5, 1.0]), np.float32([[-1.0]])]
    optimizer.apply_gradients(zip(gradients, variables))

results = {
    "plain": train(SignMomentum(0.02)),
    "clipped and decayed": train(SignMomentum(0.02, beta=0.8, clipnorm=0.5, weight_decay=0.1)),
    "on a schedule": train(SignMomentum(keras.optimizers.schedules.InverseTimeDecay(0.05, 4, 1.0))),
    "by hand": [ops.convert_to_numpy(variable) for variable in variables],
    "averages": [ops.convert_to_numpy(average) for average in optimizer.averages],
    "iterations": int(optimizer.iterations),
    "beta": SignMomentum.from_config(optimizer.get_config()).beta,
}
