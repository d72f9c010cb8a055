"""Neuroevolution: no gradients, only get_weights, set_weights, and many short calls of small models."""

import keras
import numpy as np
from keras import layers
from seeded import fill_weights

population_size, generations = 8, 4
rng = np.random.default_rng(10)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
y = np.array([0, 1, 1, 0])

model = keras.Sequential([keras.Input((2,)), layers.Dense(4, activation="tanh"), layers.Dense(1, activation="sigmoid")])
fill_weights(model)
shapes = [w.shape for w in model.get_weights()]


def to_vector(weights):
    return np.concatenate([w.ravel() for w in weights])


def to_weights(vector):
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(vector, cuts), shapes)]


def fitness(vector):
    model.set_weights(to_weights(vector))
    guesses = np.asarray(model(x, training=False))[:, 0]
    return -float(np.mean((guesses - y) ** 2))


# A genetic algorithm: the best go on, with crossings and mutations
population = [
    to_vector(model.get_weights()) + 0.5 * rng.standard_normal(17).astype("float32") for _ in range(population_size)
]
best = []
for generation in range(generations):
    scores = np.array([fitness(genome) for genome in population])
    order = np.argsort(-scores, kind="stable")
    best.append(scores[order[0]])
    parents = [population[i] for i in order[: population_size // 2]]
    children = []
    for _ in range(population_size - len(parents)):
        mother, father = (parents[i] for i in rng.choice(len(parents), 2, replace=False))
        child = np.where(rng.random(17) < 0.5, mother, father)
        children.append((child + 0.3 * rng.standard_normal(17) * (rng.random(17) < 0.3)).astype("float32"))
    population = parents + children

# An evolution strategy: the mean goes where noise was rewarded
mean = population[0]
for generation in range(generations):
    noise = rng.standard_normal((6, 17)).astype("float32")
    rewards = np.array([fitness(mean + 0.2 * sign * direction) for direction in noise for sign in (1, -1)]).reshape(
        6, 2
    )
    mean = mean + 0.5 * ((rewards[:, 0] - rewards[:, 1])[:, None] * noise).mean(axis=0)

model.set_weights(to_weights(mean))
results = {
    "best": best,
    "strategy": fitness(mean),
    "answers": model.predict(x, verbose=0)[:, 0],
    "kernel": model.layers[0].get_weights()[0],
}
