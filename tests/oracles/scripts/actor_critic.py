"""Actor-critic on a walk along a line: a model with two outputs, gradients of a whole episode by one tape."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from seeded import fill_weights

gamma, max_steps, num_actions = 0.9, 10, 2
eps = np.finfo(np.float32).eps.item()


class Corridor:
    """From the middle to the right end there is a reward; the left end is the end, too."""

    def reset(self):
        self.position = 0
        return self.observation()

    def observation(self):
        return np.array([self.position / 3, (self.position / 3) ** 2, 1.0], "float32")

    def step(self, action):
        self.position += 1 if action == 1 else -1
        done = abs(self.position) == 3
        return self.observation(), 1.0 if self.position == 3 else -0.1, done


inputs = layers.Input(shape=(3,))
common = layers.Dense(16, activation="relu")(inputs)
action = layers.Dense(num_actions, activation="softmax")(common)
critic = layers.Dense(1)(common)
model = keras.Model(inputs=inputs, outputs=[action, critic])
fill_weights(model)

optimizer = keras.optimizers.Adam(learning_rate=0.01)
huber_loss = keras.losses.Huber()
env, rng = Corridor(), np.random.default_rng(5)
running_reward, losses, lengths = 0, [], []
for episode in range(3):
    state = env.reset()
    action_probs_history, critic_value_history, rewards_history = [], [], []
    with tf.GradientTape() as tape:
        for timestep in range(1, max_steps):
            state = ops.convert_to_tensor(state)
            state = ops.expand_dims(state, 0)
            action_probs, critic_value = model(state)
            critic_value_history.append(critic_value[0, 0])
            probabilities = ops.convert_to_numpy(ops.squeeze(ops.stop_gradient(action_probs))).astype("float64")
            action = rng.choice(num_actions, p=probabilities / probabilities.sum())
            action_probs_history.append(ops.log(action_probs[0, int(action)]))
            state, reward, done = env.step(action)
            rewards_history.append(reward)
            if done:
                break
        running_reward = 0.05 * sum(rewards_history) + (1 - 0.05) * running_reward

        returns, discounted_sum = [], 0
        for r in rewards_history[::-1]:
            discounted_sum = r + gamma * discounted_sum
            returns.insert(0, discounted_sum)
        returns = np.array(returns)
        returns = ((returns - np.mean(returns)) / (np.std(returns) + eps)).tolist()

        actor_losses, critic_losses = [], []
        for log_prob, value, ret in zip(action_probs_history, critic_value_history, returns):
            diff = ret - ops.stop_gradient(value)
            actor_losses.append(-log_prob * diff)
            critic_losses.append(huber_loss(ops.reshape(ops.convert_to_tensor(ret), (1,)), ops.expand_dims(value, 0)))
        loss_value = sum(actor_losses) + sum(critic_losses)
    grads = tape.gradient(loss_value, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    losses.append(float(loss_value))
    lengths.append(timestep)

policy, values = model.predict(np.array([[0.0, 0.0, 1.0], [0.6, 0.4, 1.0]]), verbose=0)
results = {"losses": losses, "lengths": lengths, "reward": running_reward, "policy": policy, "values": values}
# Of Keras 3.15 on TensorFlow
expected = {
    "losses": [2.006449, 6.299247, 1.595101],
    "lengths": [3, 9, 3],
    "reward": 0.03335,
    "policy": [[0.27558, 0.72442], [0.343476, 0.656524]],
    "values": [[-0.259033], [-0.013753]],
}
