"""Sums of numbers written as characters, read and written by recurrent layers."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

DIGITS = 2
MAXLEN = DIGITS + 1 + DIGITS


class CharacterTable:
    def __init__(self, chars):
        self.chars = sorted(set(chars))
        self.char_indices = {c: i for i, c in enumerate(self.chars)}
        self.indices_char = dict(enumerate(self.chars))

    def encode(self, C, num_rows):
        x = np.zeros((num_rows, len(self.chars)))
        for i, c in enumerate(C):
            x[i, self.char_indices[c]] = 1
        return x

    def decode(self, x, calc_argmax=True):
        if calc_argmax:
            x = x.argmax(axis=-1)
        return "".join(self.indices_char[int(i)] for i in x)


ctable = CharacterTable("0123456789+ ")
rng = np.random.default_rng(1)
questions, expected_answers = [], []
for a, b in rng.integers(0, 10**DIGITS, (80, 2)):
    questions.append(f"{a}+{b}".ljust(MAXLEN)[::-1])
    expected_answers.append(str(a + b).ljust(DIGITS + 1))
x = np.array([ctable.encode(question, MAXLEN) for question in questions], dtype=bool)
y = np.array([ctable.encode(answer, DIGITS + 1) for answer in expected_answers], dtype=bool)
x_train, x_val, y_train, y_val = x[:64], x[64:], y[:64], y[64:]

model = keras.Sequential()
model.add(layers.Input((MAXLEN, len(ctable.chars))))
model.add(layers.LSTM(16))
model.add(layers.RepeatVector(DIGITS + 1))
for _ in range(1):
    model.add(layers.LSTM(16, return_sequences=True))
model.add(layers.TimeDistributed(layers.Dense(len(ctable.chars), activation="softmax")))
fill_weights(model)
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])

losses, guesses = [], []
for epoch in range(1, 4):
    history = model.fit(
        x_train, y_train, batch_size=32, epochs=1, shuffle=False, validation_data=(x_val, y_val), verbose=0
    )
    losses.append([history.history["loss"][0], history.history["val_loss"][0]])
    preds = np.argmax(model.predict(x_val[:1], verbose=0), axis=-1)
    guesses.append(ctable.decode(preds[0], calc_argmax=False))

results = {"losses": losses, "guesses": guesses, "question": ctable.decode(x_val[0])}
