"""Next frames of a film of moving squares, by convolutional LSTMs."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights


def films(count, frames=6, size=8):
    data = np.zeros((count, frames, size, size, 1), "float32")
    for i in range(count):
        for t in range(frames):
            row, column = (i + t) % (size - 2), (2 * i + t * (i % 2)) % (size - 2)
            data[i, t, row : row + 2, column : column + 2] = 1.0
    return data


def create_shifted_frames(data):
    return data[:, 0:-1], data[:, 1:]


x_train, y_train = create_shifted_frames(films(8))
x_val, y_val = create_shifted_frames(films(12)[8:])

inp = layers.Input(shape=(None, *x_train.shape[2:]))
x = layers.ConvLSTM2D(
    filters=4, kernel_size=(3, 3), padding="same", return_sequences=True, activation="relu", data_format="channels_last"
)(inp)
x = layers.BatchNormalization()(x)
x = layers.ConvLSTM2D(filters=3, kernel_size=(1, 1), padding="same", return_sequences=True, activation="relu")(x)
x = layers.Conv3D(filters=1, kernel_size=(3, 3, 3), activation="sigmoid", padding="same")(x)
model = keras.models.Model(inp, x)
fill_weights(model)
model.compile(loss=keras.losses.binary_crossentropy, optimizer=keras.optimizers.Adam())

early_stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=10)
reduce_lr = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=5)
history = model.fit(
    x_train,
    y_train,
    batch_size=4,
    epochs=2,
    shuffle=False,
    validation_data=(x_val, y_val),
    callbacks=[early_stopping, reduce_lr],
    verbose=0,
)

# Frames that follow, one after the other
frames = x_val[0, :3]
for _ in range(2):
    new_prediction = model.predict(np.expand_dims(frames, axis=0), verbose=0)
    predicted_frame = np.expand_dims(new_prediction[0, -1], axis=0)
    frames = np.concatenate((frames, predicted_frame), axis=0)

results = {
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "frames": frames[3:, 2:5, 2:5, 0],
    "shape": model.output_shape[2:],
}
