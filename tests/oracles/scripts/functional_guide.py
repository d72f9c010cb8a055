"""The functional API: an autoencoder of two models, an ensemble, shared layers, residual blocks, graphs looked into."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

rng = np.random.default_rng(12)

encoder_input = keras.Input(shape=(12, 12, 1), name="original_img")
x = layers.Conv2D(4, 3, activation="relu")(encoder_input)
x = layers.Conv2D(8, 3, activation="relu")(x)
x = layers.MaxPooling2D(2)(x)
encoder_output = layers.GlobalMaxPooling2D()(x)
encoder = keras.Model(encoder_input, encoder_output, name="encoder")

decoder_input = keras.Input(shape=(8,), name="encoded_img")
x = layers.Reshape((2, 4, 1))(decoder_input)
x = layers.Conv2DTranspose(4, 3, activation="relu")(x)
x = layers.UpSampling2D(3)(x)
decoder_output = layers.Conv2DTranspose(1, (1, 1), activation="relu")(x)
decoder = keras.Model(decoder_input, decoder_output, name="decoder")

autoencoder_input = keras.Input(shape=(12, 12, 1), name="img")
autoencoder = keras.Model(autoencoder_input, decoder(encoder(autoencoder_input)), name="autoencoder")
fill_weights(autoencoder)
images = rng.random((3, 12, 12, 1)).astype("float32")


def get_model():
    inputs = keras.Input(shape=(6,))
    return keras.Model(inputs, layers.Dense(1)(inputs))


members = [get_model() for _ in range(3)]
for seed, member in enumerate(members):
    fill_weights(member, seed)
inputs = keras.Input(shape=(6,))
ensemble_model = keras.Model(inputs=inputs, outputs=layers.average([member(inputs) for member in members]))

shared_embedding = layers.Embedding(30, 8)
text_input_a = keras.Input(shape=(None,), dtype="int32")
text_input_b = keras.Input(shape=(None,), dtype="int32")
mean_a = ops.mean(shared_embedding(text_input_a), axis=1)
mean_b = ops.mean(shared_embedding(text_input_b), axis=1)
distance = ops.sqrt(ops.sum(ops.square(mean_a - mean_b), axis=-1))
siamese = keras.Model([text_input_a, text_input_b], distance)
fill_weights(siamese)

inputs = keras.Input(shape=(16, 16, 3), name="img")
x = layers.Conv2D(4, 3, activation="relu")(inputs)
block_1_output = layers.MaxPooling2D(3)(x)
x = layers.Conv2D(4, 3, activation="relu", padding="same")(block_1_output)
block_2_output = layers.add([x, block_1_output])
x = layers.GlobalAveragePooling2D()(block_2_output)
toy_resnet = keras.Model(inputs, layers.Dense(3)(x), name="toy_resnet")
fill_weights(toy_resnet)
toy_resnet.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["acc"],
)
x_train, y_train = rng.random((32, 16, 16, 3)).astype("float32"), rng.integers(0, 3, 32)
history = toy_resnet.fit(x_train, y_train, batch_size=8, epochs=2, validation_split=0.25, shuffle=False, verbose=0)
features_list = [layer.output for layer in toy_resnet.layers]
feat_extraction_model = keras.Model(inputs=toy_resnet.input, outputs=features_list[-2:])

results = {
    "autoencoder": [autoencoder.predict(images, verbose=0), autoencoder.output_shape],
    "encoder": encoder.predict(images, verbose=0),
    "ensemble": ensemble_model.predict(np.ones((2, 6)), verbose=0),
    "siamese": siamese.predict([np.arange(8).reshape(2, 4), np.arange(6).reshape(2, 3)], verbose=0),
    "history": history.history,
    "features": [np.array(feature) for feature in feat_extraction_model(x_train[:2])],
    "layers": [type(layer).__name__ for layer in toy_resnet.layers],
    "params": [autoencoder.count_params(), toy_resnet.count_params()],
    "shapes": [tuple(tensor.shape) for tensor in features_list],
}
