"""Recommendation of films: embeddings of users and films, whose dot product is the match, in a subclassed model."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

EMBEDDING_SIZE = 6
rng = np.random.default_rng(0)
num_users, num_movies = 12, 20
user_ids, movie_ids = rng.choice(1000, num_users, False), rng.choice(5000, num_movies, False)
user2user_encoded = {x: i for i, x in enumerate(user_ids.tolist())}
movie2movie_encoded = {x: i for i, x in enumerate(movie_ids.tolist())}

pairs = np.stack([rng.choice(user_ids, 300), rng.choice(movie_ids, 300)], axis=1)
x = np.array([[user2user_encoded[user], movie2movie_encoded[movie]] for user, movie in pairs.tolist()])
ratings = 0.5 + rng.integers(0, 10, 300) / 2
min_rating, max_rating = min(ratings), max(ratings)
y = (ratings - min_rating) / (max_rating - min_rating)
x_train, x_val, y_train, y_val = x[:270], x[270:], y[:270], y[270:]


class RecommenderNet(keras.Model):
    def __init__(self, num_users, num_movies, embedding_size, **kwargs):
        super().__init__(**kwargs)
        self.user_embedding = layers.Embedding(
            num_users,
            embedding_size,
            embeddings_initializer="he_normal",
            embeddings_regularizer=keras.regularizers.l2(1e-6),
        )
        self.user_bias = layers.Embedding(num_users, 1)
        self.movie_embedding = layers.Embedding(
            num_movies,
            embedding_size,
            embeddings_initializer="he_normal",
            embeddings_regularizer=keras.regularizers.l2(1e-6),
        )
        self.movie_bias = layers.Embedding(num_movies, 1)

    def call(self, inputs):
        user_vector = self.user_embedding(inputs[:, 0])
        user_bias = self.user_bias(inputs[:, 0])
        movie_vector = self.movie_embedding(inputs[:, 1])
        movie_bias = self.movie_bias(inputs[:, 1])
        dot_user_movie = ops.sum(user_vector * movie_vector, axis=-1, keepdims=True)
        return ops.nn.sigmoid(dot_user_movie + user_bias + movie_bias)


model = RecommenderNet(num_users, num_movies, EMBEDDING_SIZE)
model(x[:1])
fill_weights(model)
model.compile(loss=keras.losses.BinaryCrossentropy(), optimizer=keras.optimizers.Adam(learning_rate=0.01))
history = model.fit(
    x=x_train, y=y_train, batch_size=64, epochs=5, shuffle=False, verbose=0, validation_data=(x_val, y_val)
)

user = user2user_encoded[int(user_ids[3])]
watched = {movie for one, movie in x_train.tolist() if one == user}
not_watched = [movie for movie in range(num_movies) if movie not in watched]
predicted = model.predict(np.array([[user, movie] for movie in not_watched]), verbose=0).flatten()
top = predicted.argsort()[-3:][::-1]

results = {**history.history, "predicted": predicted, "top": [not_watched[i] for i in top]}
