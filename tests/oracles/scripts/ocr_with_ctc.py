"""Reading of captchas in small: convolutions, a recurrent network over columns, CTC as loss, greedy decoding."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

characters = ["a", "b", "c", "d"]
img_width, img_height, max_length = 24, 8, 3
char_to_num = {character: number for number, character in enumerate(characters)}

rng = np.random.default_rng(12)
labels = ["".join(rng.choice(characters, max_length)) for _ in range(24)]
images = 0.1 * rng.random((24, img_height, img_width, 1)).astype("float32")
for image, label in zip(images, labels):
    for place, character in enumerate(label):
        row = 2 * char_to_num[character]
        image[row : row + 2, 8 * place + 1 : 8 * place + 6] += 1.0
encoded = np.array([[char_to_num[character] for character in label] for label in labels], dtype="int32")


class CTCLoss(keras.losses.Loss):
    """The last class is the blank in this script; for `ops.ctc_loss` it is the first one."""

    def call(self, y_true, y_pred):
        lengths = ops.full((ops.shape(y_pred)[0],), y_pred.shape[1], dtype="int32")
        label_lengths = ops.full((ops.shape(y_true)[0],), max_length, dtype="int32")
        logits = ops.log(ops.concatenate([y_pred[..., -1:], y_pred[..., :-1]], axis=-1) + 1e-7)
        return ops.ctc_loss(ops.cast(y_true, "int32") + 1, logits, label_lengths, lengths)


def build_model():
    input_img = layers.Input(shape=(img_height, img_width, 1), name="image", dtype="float32")
    x = layers.Conv2D(6, (3, 3), activation="relu", padding="same", name="Conv1")(input_img)
    x = layers.MaxPooling2D((2, 2), name="pool1")(x)
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Reshape(target_shape=(img_width // 2, (img_height // 2) * 6), name="reshape")(x)
    x = layers.Dense(12, activation="relu", name="dense1")(x)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Dense(len(characters) + 1, activation="softmax", name="dense2")(x)
    return keras.models.Model(inputs=input_img, outputs=x, name="ocr_model_v1")


def decode(pred):
    texts = []
    for row in pred.argmax(axis=-1):
        kept = [c for c, before in zip(row, [-1, *row[:-1]]) if c != before and c != len(characters)]
        texts.append("".join(characters[c] for c in kept))
    return texts


model = build_model()
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=CTCLoss())
history = model.fit(images, encoded, batch_size=12, epochs=4, shuffle=False, verbose=0)
predictions = model.predict(images[:6], verbose=0)
loss = keras.losses.CTC()(encoded[:2] + 1, np.log(predictions[:2, :, [4, 0, 1, 2, 3]] + 1e-7))
sure = np.eye(5)[[4, 1, 1, 4, 0, 4, 0]][None]
decoded, _ = ops.ctc_decode(np.log(sure[..., [4, 0, 1, 2, 3]] + 1e-7).astype("float32"), np.array([7]), mask_index=0)

results = {
    "history": history.history,
    "predictions": predictions,
    "loss": float(loss),
    "texts": decode(sure),
    "decoded": np.array(decoded)[0, 0, :3].tolist(),
    "params": model.count_params(),
}
