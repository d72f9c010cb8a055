"""A script of the time of Keras 2: Tokenizer, pad_sequences, layers by their old modules, functions of the backend."""
# nnx only

from __future__ import print_function

import numpy as np
from keras import backend as K
from keras.layers import Input, Lambda
from keras.layers.convolutional import Conv1D, MaxPooling1D
from keras.layers.core import Activation, Dense, Dropout
from keras.layers.embeddings import Embedding
from keras.layers.recurrent import LSTM
from keras.models import Model, Sequential
from keras.optimizers import SGD
from keras.preprocessing import sequence
from keras.preprocessing.text import Tokenizer
from keras.utils import np_utils
from seeded import fill_weights

texts = ["The cat sat on the mat.", "Dogs and cats!", "the dog ate my homework", "a mat, a cat & a dog", "My dog sat"]
labels = [0, 2, 1, 0, 1]

tokenizer = Tokenizer(num_words=12, oov_token="<oov>")
tokenizer.fit_on_texts(texts)
sequences = tokenizer.texts_to_sequences(texts)
x_train = sequence.pad_sequences(sequences, maxlen=6)
y_train = np_utils.to_categorical(labels, 3)

model = Sequential()
model.add(Embedding(12, 8, input_length=6))
model.add(Dropout(0.0))
model.add(Conv1D(filters=6, kernel_size=3, padding="valid", activation="relu", strides=1))
model.add(MaxPooling1D(pool_size=2))
model.add(LSTM(5))
model.add(Dense(3))
model.add(Activation("softmax"))
fill_weights(model)
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, momentum=0.9, nesterov=True), metrics=["acc"])
history = model.fit(x_train, y_train, batch_size=5, epochs=3, shuffle=False, verbose=0)


# Functions of the backend: a distance, a loss and a metric of one's own
def euclidean_distance(vects):
    x, y = vects
    sum_square = K.sum(K.square(x - y), axis=1, keepdims=True)
    return K.sqrt(K.maximum(sum_square, K.epsilon()))


def contrastive_loss(y_true, y_pred):
    margin = 1
    return K.mean(y_true * K.square(y_pred) + (1 - y_true) * K.square(K.maximum(margin - y_pred, 0)))


def accuracy(y_true, y_pred):
    return K.mean(K.equal(y_true, K.cast(y_pred < 0.5, "float32")))


base = Sequential([Dense(4, activation="relu", input_shape=(6,)), Dense(3)])
input_a, input_b = Input(shape=(6,)), Input(shape=(6,))
distance = Lambda(euclidean_distance, output_shape=lambda shapes: (shapes[0][0], 1))([base(input_a), base(input_b)])
siamese = Model([input_a, input_b], distance)
fill_weights(siamese)
siamese.compile(loss=contrastive_loss, optimizer="rmsprop", metrics=[accuracy])
pairs = np.linspace(-1, 1, 48).reshape(2, 4, 6)
siamese_history = siamese.fit(
    [pairs[0], pairs[1]], np.array([1.0, 0.0, 1.0, 0.0]), batch_size=2, epochs=2, shuffle=False, verbose=0
)
get_features = K.function([base.input], [base.layers[0].output])

results = {
    "index": [tokenizer.word_index[w] for w in ("<oov>", "the", "cat", "dog", "homework")],
    "padded": x_train,
    "matrix": tokenizer.texts_to_matrix(["the cat the dog"], mode="count"),
    "loss": history.history["loss"],
    "acc": history.history["acc"],
    "siamese": siamese_history.history["loss"],
    "features": get_features([pairs[0][:1]])[0],
    "predicted": K.eval(K.argmax(K.constant(model.predict(x_train, verbose=0)), axis=-1)),
}
# Of the same in Keras 3.15 on TensorFlow, which has the old names in other places
expected = {
    "index": [1, 2, 5, 3, 14],
    "padded": [[2, 5, 6, 9, 2, 7], [0, 0, 0, 10, 11, 1], [0, 2, 3, 1, 8, 1], [4, 7, 4, 5, 4, 3], [0, 0, 0, 8, 3, 6]],
    "matrix": [[0.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]],
    "loss": [1.097605, 1.089506, 1.079526],
    "acc": [0.4, 0.4, 0.4],
    "siamese": [0.348833, 0.33546],
    "features": [[1.474818, 0.180053, 0.0, 0.0]],
    "predicted": [0, 0, 1, 1, 1],
}
