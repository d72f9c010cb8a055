"""Contrastive learning without labels (SimCLR), then a linear probe of what the encoder has learnt."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

temperature, width, size = 0.2, 8, 8
rng = np.random.default_rng(4)
labels = np.arange(48) % 3
images = np.zeros((48, size, size, 1), "float32")
for i, label in enumerate(labels):
    images[i, label * 2 : label * 2 + 3] = 1.0


def augment(x):
    moved = np.stack([np.roll(image, shift, axis=1) for image, shift in zip(x, rng.integers(0, size, len(x)))])
    return (moved * rng.uniform(0.7, 1.3, (len(x), 1, 1, 1)) + 0.1 * rng.standard_normal(x.shape)).astype("float32")


def get_encoder():
    return keras.Sequential(
        [
            keras.Input(shape=(size, size, 1)),
            layers.Conv2D(width, kernel_size=3, strides=2, activation="relu"),
            layers.Conv2D(width, kernel_size=3, activation="relu"),
            layers.Flatten(),
            layers.Dense(width, activation="relu"),
        ],
        name="encoder",
    )


class ContrastiveModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.temperature = temperature
        self.encoder = get_encoder()
        self.projection_head = keras.Sequential(
            [keras.Input(shape=(width,)), layers.Dense(width, activation="relu"), layers.Dense(width)],
            name="projection_head",
        )
        self.contrastive_accuracy = keras.metrics.SparseCategoricalAccuracy(name="c_acc")

    def call(self, inputs):
        return [self.projection_head(self.encoder(view)) for view in inputs]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        projections_1, projections_2 = (ops.normalize(projections, axis=1) for projections in y_pred)
        similarities = ops.matmul(projections_1, ops.transpose(projections_2)) / self.temperature
        batch_size = ops.shape(projections_1)[0]
        contrastive_labels = ops.arange(batch_size)
        self.contrastive_accuracy.update_state(contrastive_labels, similarities)
        loss_1_2 = keras.losses.sparse_categorical_crossentropy(contrastive_labels, similarities, from_logits=True)
        loss_2_1 = keras.losses.sparse_categorical_crossentropy(
            contrastive_labels, ops.transpose(similarities), from_logits=True
        )
        return ops.mean(loss_1_2 + loss_2_1) / 2


model = ContrastiveModel()
fill_weights(model)
model.compile(optimizer=keras.optimizers.Adam(0.005))
views = [augment(images), augment(images)]
history = model.fit(views, np.zeros(48), batch_size=16, epochs=3, shuffle=False, verbose=0)

model.encoder.trainable = False
probe = keras.Sequential(
    [keras.Input(shape=(size, size, 1)), model.encoder, layers.Dense(3, kernel_initializer="zeros")]
)
probe.compile(
    optimizer=keras.optimizers.Adam(0.05),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
)
probed = probe.fit(images, labels, batch_size=16, epochs=3, shuffle=False, verbose=0)
results = {
    "loss": history.history["loss"],
    "c_acc": history.history["c_acc"],
    "probe": probed.history["loss"],
    "embedded": model.encoder.predict(images[:3], verbose=0),
    "trained": [len(probe.trainable_weights), len(probe.non_trainable_weights)],
}
