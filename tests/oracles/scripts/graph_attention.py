"""A graph attention network: nodes and edges are no batch, and the loss is the model's own."""

import keras
import numpy as np
from keras import layers, ops
from seeded import fill_weights


class GraphAttention(layers.Layer):
    def __init__(self, units, kernel_initializer="glorot_uniform", kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[0][-1], self.units),
            trainable=True,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.kernel_attention = self.add_weight(
            shape=(self.units * 2, 1),
            trainable=True,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel_attention",
        )
        self.built = True

    def call(self, inputs):
        node_states, edges = inputs
        node_states_transformed = ops.matmul(node_states, self.kernel)
        node_states_expanded = ops.take(node_states_transformed, edges, axis=0)
        node_states_expanded = ops.reshape(node_states_expanded, (ops.shape(edges)[0], -1))
        attention_scores = ops.leaky_relu(ops.matmul(node_states_expanded, self.kernel_attention))
        attention_scores = ops.squeeze(attention_scores, -1)
        attention_scores = ops.exp(ops.clip(attention_scores, -2, 2))
        attention_scores_sum = ops.segment_sum(
            data=attention_scores, segment_ids=edges[:, 0], num_segments=ops.shape(node_states)[0], sorted=False
        )
        attention_scores_sum = ops.take(attention_scores_sum, edges[:, 0])
        attention_scores_norm = attention_scores / attention_scores_sum
        node_states_neighbors = ops.take(node_states_transformed, edges[:, 1], axis=0)
        return ops.segment_sum(
            data=node_states_neighbors * attention_scores_norm[:, None],
            segment_ids=edges[:, 0],
            num_segments=ops.shape(node_states)[0],
        )


class MultiHeadGraphAttention(layers.Layer):
    def __init__(self, units, num_heads=8, merge_type="concat", **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.merge_type = merge_type
        self.attention_layers = [
            GraphAttention(units, kernel_regularizer=keras.regularizers.L2(1e-3)) for _ in range(num_heads)
        ]

    def call(self, inputs):
        atom_features, pair_indices = inputs
        outputs = [attention_layer([atom_features, pair_indices]) for attention_layer in self.attention_layers]
        if self.merge_type == "concat":
            outputs = ops.concatenate(outputs, axis=-1)
        else:
            outputs = ops.mean(ops.stack(outputs, axis=-1), axis=-1)
        return ops.relu(outputs)


class GraphAttentionNetwork(keras.Model):
    def __init__(self, node_states, edges, hidden_units, num_heads, num_layers, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.node_states = node_states
        self.edges = edges
        self.preprocess = layers.Dense(hidden_units * num_heads, activation="relu")
        self.attention_layers = [MultiHeadGraphAttention(hidden_units, num_heads) for _ in range(num_layers)]
        self.output_layer = layers.Dense(output_dim)

    def call(self, indices):
        x = self.preprocess(self.node_states)
        for attention_layer in self.attention_layers:
            x = attention_layer([x, self.edges]) + x
        outputs = self.output_layer(x)
        return ops.take(outputs, indices, axis=0)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True))
        return loss + sum(self.losses)


rng = np.random.default_rng(0)
n = 30
node_states = rng.standard_normal((n, 6)).astype("float32")
e = np.stack([np.sort(rng.integers(0, n, 90)), rng.integers(0, n, 90)], 1)
y = rng.integers(0, 4, n)
gat = GraphAttentionNetwork(ops.convert_to_tensor(node_states), ops.convert_to_tensor(e.astype("int32")), 4, 2, 1, 4)
gat(np.array([0, 1]))
fill_weights(gat)
gat.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
h = gat.fit(
    x=np.arange(n),
    y=y,
    batch_size=10,
    epochs=3,
    shuffle=False,
    validation_split=0.2,
    verbose=0,
    callbacks=[
        keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=1e-5, patience=5, restore_best_weights=True)
    ],
)
results = {
    "loss": h.history["loss"],
    "val": h.history["val_loss"],
    "n": gat.count_params(),
    "names": [w.shape for w in gat.weights],
    "pred": gat.predict(np.arange(6), verbose=0),
}
