# A script for Keras with nothing but its import lines changed; the original is beside each.
from nnx.models import Sequential  # from keras.models import Sequential
from nnx.layers import Dense  # from keras.layers import Dense
from nnx import optimizers  # from keras import optimizers
import numpy as np

X = np.array([[0, 0, 1],
              [0, 1, 1],
              [1, 0, 1],
              [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])

np.random.seed(9)

model = Sequential()
model.add(Dense(units=4, activation='sigmoid', input_dim=3))
model.add(Dense(units=1, activation='sigmoid'))
print(model.summary())

sgd = optimizers.SGD(lr=1)
model.compile(loss='mean_squared_error', optimizer=sgd)

model.fit(X, y, epochs=1500, verbose=False)
print(model.predict(X))
