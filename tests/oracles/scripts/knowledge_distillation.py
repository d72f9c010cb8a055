"""Knowledge distillation: a student that learns from labels and from what its teacher says of them."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha = alpha
        self.temperature = temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False, training=True):
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x):
        return self.student(x)


def network(filters, name):
    return keras.Sequential(
        [
            keras.Input(shape=(10, 10, 1)),
            layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
            layers.Flatten(),
            layers.Dense(4),
        ],
        name=name,
    )


rng = np.random.default_rng(15)
y_train = np.arange(48) % 4
x_train = rng.normal(0, 0.3, (48, 10, 10, 1)).astype("float32")
for image, label in zip(x_train, y_train):
    image[2 * label : 2 * label + 3, :, 0] += 1.0

teacher, student = network(8, "teacher"), network(3, "student")
student_scratch = keras.models.clone_model(student)
fill_weights(teacher, seed=1)
fill_weights(student, seed=2)
student_scratch.set_weights(student.get_weights())

options = {"batch_size": 16, "shuffle": False, "verbose": 0}
teacher.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
taught = teacher.fit(x_train, y_train, epochs=4, **options)
before = [weight.copy() for weight in teacher.get_weights()]

teacher.trainable = False
distiller = Distiller(student=student, teacher=teacher)
distiller.compile(
    optimizer=keras.optimizers.Adam(0.01),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
    student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss_fn=keras.losses.KLDivergence(),
    alpha=0.1,
    temperature=10,
)
distilled = distiller.fit(x_train, y_train, epochs=3, **options)

student_scratch.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
scratch = student_scratch.fit(x_train, y_train, epochs=3, **options)

results = {
    "teacher": taught.history,
    "distilled": distilled.history,
    "evaluate": distiller.evaluate(x_train, y_train, verbose=0),
    "scratch": scratch.history,
    "teacher stays": all(bool((a == b).all()) for a, b in zip(before, teacher.get_weights())),
    "student": student.predict(x_train, verbose=0),
}
