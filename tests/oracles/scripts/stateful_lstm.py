"""A stateful LSTM: a long series in pieces, whose states go from batch to batch until they are reset."""
# nnx only

import keras
import numpy as np
from keras.layers import LSTM, Dense, Input
from keras.models import Sequential
from seeded import fill_weights

batch_size, lahead, epochs = 1, 4, 2
series = np.sin(np.arange(41) / 3).astype("float32")
x = series[:-1].reshape(-1, lahead, 1)
y = series[1:].reshape(-1, lahead, 1)


def create_model(stateful):
    model = Sequential()
    model.add(Input(batch_shape=(batch_size, lahead, 1)))
    model.add(LSTM(6, return_sequences=True, stateful=stateful))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.01))
    fill_weights(model)
    return model


model_stateful = create_model(stateful=True)
losses = []
for epoch in range(epochs):
    history = model_stateful.fit(x, y, batch_size=batch_size, epochs=1, verbose=0, shuffle=False)
    losses.append(history.history["loss"][0])
    model_stateful.layers[0].reset_states()

predicted_stateful = model_stateful.predict(x, batch_size=batch_size, verbose=0)
again = model_stateful.predict(x[:1], batch_size=batch_size, verbose=0)  # goes on from where it is
model_stateful.layers[0].reset_states()
from_the_start = model_stateful.predict(x[:1], batch_size=batch_size, verbose=0)

model_stateless = create_model(stateful=False)
history = model_stateless.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, shuffle=False)

# With the weights of the other, and all at once: what a state remembers is what came before
whole = Sequential([Input((None, 1)), LSTM(6, return_sequences=True), Dense(1)])
whole.set_weights(model_stateful.get_weights())
results = {
    "losses": losses,
    "stateless": history.history["loss"],
    "predicted": predicted_stateful[:, 0, 0],
    "again": again[0, :, 0],
    "from the start": from_the_start[0, :, 0],
    "reset": bool(np.allclose(from_the_start, predicted_stateful[:1], atol=1e-6)),
    "as a whole": bool(
        np.allclose(whole.predict(x.reshape(1, -1, 1), verbose=0).ravel(), predicted_stateful.ravel(), atol=1e-5)
    ),
}
# Of Keras 3.15 on TensorFlow; on JAX its compiled steps lose the states
expected = {
    "losses": [0.6794, 0.491579],
    "stateless": [0.604875, 0.40571],
    "predicted": [0.070708, 0.113449, 0.227542, 0.000673, -0.366256, -0.039667, 0.06409, 0.203762, -0.211239, -0.30864],
    "again": [-0.025318, 0.010914, 0.039641, 0.056515],
    "from the start": [0.070708, 0.109101, 0.122058, 0.113338],
    "reset": True,
    "as a whole": True,
}
