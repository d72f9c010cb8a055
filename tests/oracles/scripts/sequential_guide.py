"""The Sequential model: built late or early, layers added and taken away, features of inner layers, a summary."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

rng = np.random.default_rng(11)
model = keras.Sequential(name="my_sequential")
model.add(layers.Dense(2, activation="relu", name="layer1"))
model.add(layers.Dense(3, activation="relu", name="layer2"))
model.add(layers.Dense(4, name="layer3"))
before = [len(model.layers), model.built, len(model.weights)]
model.pop()
popped = len(model.layers)
y = model(np.ones((1, 4), "float32"))
after = [model.built, len(model.weights), tuple(y.shape)]

deferred = keras.Sequential([keras.Input(shape=(4,)), layers.Dense(2, activation="relu")])

cnn = keras.Sequential()
cnn.add(keras.Input(shape=(25, 25, 3)))
cnn.add(layers.Conv2D(4, 5, strides=2, activation="relu"))
cnn.add(layers.Conv2D(4, 3, activation="relu", name="my_intermediate_layer"))
cnn.add(layers.MaxPooling2D(3))
shape_then = cnn.output_shape
cnn.add(layers.Conv2D(4, 3, activation="relu", padding="same"))
cnn.add(layers.GlobalMaxPooling2D())
cnn.add(layers.Dense(5))
fill_weights(cnn)

images = rng.normal(size=(2, 25, 25, 3)).astype("float32")
extractor = keras.Model(inputs=cnn.inputs, outputs=[layer.output for layer in cnn.layers])
features = extractor(images)
one = keras.Model(inputs=cnn.inputs, outputs=cnn.get_layer(name="my_intermediate_layer").output)

for layer in cnn.layers[:-1]:
    layer.trainable = False
lines = []
cnn.summary(print_fn=lines.append)
text = "\n".join(str(line) for line in lines)
cnn.compile("rmsprop", "mse")
history = cnn.fit(images, np.zeros((2, 5)), epochs=2, verbose=0)

results = {
    "before": before,
    "popped": popped,
    "after": after,
    "deferred": [deferred.built, tuple(deferred.input_shape), tuple(deferred.output_shape)],
    "shape then": tuple(shape_then),
    "features": [np.array(feature).sum() for feature in features],
    "one": np.array(one(images)),
    "trainable": [len(cnn.trainable_weights), cnn.count_params()],
    "summary": [word in text for word in ("my_intermediate_layer", "(None, 9, 9, 4)", "Trainable params")],
    "history": history.history,
    "config": [type(layer).__name__ for layer in keras.Sequential.from_config(cnn.get_config()).layers],
}
