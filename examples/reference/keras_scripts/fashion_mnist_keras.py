# A script for Keras with nothing but its import lines changed; the original is beside each.
from nnx.datasets import fashion_mnist  # from keras.datasets import fashion_mnist
from nnx.models import Sequential  # from keras.models import Sequential
from nnx.layers import Dense  # from keras.layers import Dense
from nnx.utils import to_categorical  # from keras.utils import to_categorical

(x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()

x_train = x_train.reshape(len(x_train), 784) / 255.0
x_test = x_test.reshape(len(x_test), 784) / 255.0
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)

model = Sequential()
model.add(Dense(64, activation='sigmoid', input_shape=(784,)))
model.add(Dense(10, activation='softmax'))
model.summary()

model.compile(optimizer='sgd', loss='categorical_crossentropy', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=10, batch_size=32, validation_data=(x_test, y_test))

predictions = model.predict(x_test)
print(predictions[0].argmax(), y_test[0].argmax())
print(model.evaluate(x_test, y_test))
