# A script for Keras with nothing but its import lines changed; the original is beside each.
import numpy as np
from nnx.models import Sequential  # from keras.models import Sequential
from nnx.layers import Dense  # from keras.layers import Dense
from nnx.optimizers import SGD  # from keras.optimizers import SGD
from nnx.losses import mse  # from keras.losses import mse

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

gates = {
    'OR': np.array([[0], [1], [1], [1]]),
    'AND': np.array([[0], [0], [0], [1]]),
    'NAND': np.array([[1], [1], [1], [0]]),
    'XOR': np.array([[0], [1], [1], [0]]),
}

for name, y in gates.items():
    print(name)
    model = Sequential()
    model.add(Dense(1, input_shape=(2,), activation='linear'))
    model.compile(optimizer=SGD(), loss=mse, metrics=['acc'])
    model.fit(x, y, epochs=500)
