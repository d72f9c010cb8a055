"""Deep Q-learning in a small world: replay, a target network, and many single calls of a model in a loop."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights

num_actions, gamma, batch_size = 4, 0.9, 16


class Grid:
    """Four by four cells; the lower right corner pays."""

    moves = [(0, 1), (1, 0), (0, -1), (-1, 0)]

    def reset(self):
        self.cell = (0, 0)
        return self.state()

    def state(self):
        picture = np.zeros((4, 4, 2), "float32")
        picture[self.cell][0] = picture[3, 3, 1] = 1.0
        return picture

    def step(self, action):
        row, column = (a + b for a, b in zip(self.cell, self.moves[action]))
        self.cell = (min(max(row, 0), 3), min(max(column, 0), 3))
        done = self.cell == (3, 3)
        return self.state(), 1.0 if done else -0.05, done


def create_q_model():
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(6, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(num_actions, activation="linear"),
        ]
    )


model, model_target = create_q_model(), create_q_model()
fill_weights(model)
model_target.set_weights(model.get_weights())
model.compile(keras.optimizers.Adam(learning_rate=0.005, clipnorm=1.0), keras.losses.Huber())

rng, env = np.random.default_rng(6), Grid()
history, losses, frame_count = [], [], 0
state = env.reset()
for timestep in range(64):
    frame_count += 1
    epsilon = max(0.1, 1.0 - frame_count / 40)
    if epsilon > rng.random():
        action = int(rng.integers(num_actions))
    else:
        state_tensor = ops.expand_dims(ops.convert_to_tensor(state), 0)
        action_probs = model(state_tensor, training=False)
        action = int(ops.argmax(action_probs[0]))
    state_next, reward, done = env.step(action)
    history.append((state, action, reward, state_next, float(done)))
    state = env.reset() if done else state_next
    if frame_count % 8 == 0 and len(history) > batch_size:
        sample = [history[i] for i in rng.choice(len(history), size=batch_size)]
        states, actions, rewards, states_next, dones = (np.array(part) for part in zip(*sample))
        future_rewards = model_target.predict(states_next, verbose=0)
        updated_q_values = rewards + gamma * np.amax(future_rewards, axis=1) * (1 - dones)
        targets = model.predict_on_batch(states)
        targets = np.array(targets)
        targets[np.arange(batch_size), actions] = updated_q_values
        model.reset_metrics()
        losses.append(float(model.train_on_batch(states, targets)))
    if frame_count % 24 == 0:
        model_target.set_weights(model.get_weights())

values = model.predict(np.stack([env.reset(), env.step(0)[0]]), verbose=0)
results = {
    "losses": losses,
    "values": values,
    "target": ops.convert_to_numpy(model_target(env.reset()[None])),
    "episodes": int(sum(step[4] for step in history)),
    "actions": [step[1] for step in history],
}
