"""A miniature GPT: causal attention, next-token loss, greedy generation by a callback."""

import keras
import numpy as np
from keras import layers, ops
from keras.layers import Dense, Embedding, LayerNormalization, MultiHeadAttention
from seeded import fill_weights


def causal_attention_mask(batch_size, n_dest, n_src, dtype):
    """The upper triangle masked, so that no token sees those that follow it."""
    i = ops.arange(n_dest)[:, None]
    j = ops.arange(n_src)
    m = i >= j - n_src + n_dest
    mask = ops.cast(m, dtype)
    mask = ops.reshape(mask, [1, n_dest, n_src])
    mult = ops.concatenate([ops.expand_dims(batch_size, -1), ops.convert_to_tensor([1, 1])], 0)
    return ops.tile(mask, mult)


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim):
        super().__init__()
        self.att = MultiHeadAttention(num_heads, embed_dim)
        self.ffn = keras.Sequential([Dense(ff_dim, activation="gelu"), Dense(embed_dim)])
        self.layernorm1 = LayerNormalization(epsilon=1e-6)
        self.layernorm2 = LayerNormalization(epsilon=1e-6)

    def call(self, inputs):
        seq_len = ops.shape(inputs)[1]
        causal_mask = ops.ones((1, seq_len, seq_len), dtype="bool")
        causal_mask = ops.tril(causal_mask)
        attention_output = self.att(inputs, inputs, attention_mask=causal_mask)
        out1 = self.layernorm1(inputs + attention_output)
        return self.layernorm2(out1 + self.ffn(out1))


class TokenAndPositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = Embedding(input_dim=vocab_size, output_dim=embed_dim)
        self.pos_emb = Embedding(input_dim=maxlen, output_dim=embed_dim)

    def call(self, x):
        positions = self.pos_emb(ops.arange(0, ops.shape(x)[-1], 1))
        return self.token_emb(x) + positions


vocab_size, maxlen, embed_dim = 12, 8, 8


def create_model():
    inputs = layers.Input(shape=(maxlen,), dtype="int32")
    x = TokenAndPositionEmbedding(maxlen, vocab_size, embed_dim)(inputs)
    x = TransformerBlock(embed_dim, num_heads=2, ff_dim=16)(x)
    outputs = layers.Dense(vocab_size)(x)
    model = keras.Model(inputs=inputs, outputs=[outputs, x])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=[loss_fn, None])
    return model


class TextGenerator(keras.callbacks.Callback):
    def __init__(self, start_tokens, max_tokens):
        super().__init__()
        self.start_tokens, self.max_tokens, self.texts = start_tokens, max_tokens, []

    def on_epoch_end(self, epoch, logs=None):
        tokens = list(self.start_tokens)
        while len(tokens) < self.max_tokens:
            x = np.array([tokens + [0] * (maxlen - len(tokens))])
            y, _ = self.model.predict(x, verbose=0)
            tokens.append(int(np.argmax(y[0][len(tokens) - 1])))
        self.texts.append(tokens)


text = np.array([(3 * i + i // 5) % (vocab_size - 1) + 1 for i in range(200)])
x = np.stack([text[i : i + maxlen] for i in range(0, 128, 2)])
y = np.stack([text[i + 1 : i + 1 + maxlen] for i in range(0, 128, 2)])

model = create_model()
fill_weights(model)
generator = TextGenerator(start_tokens=[1, 4, 7], max_tokens=maxlen)
history = model.fit(x, y, batch_size=16, epochs=4, shuffle=False, callbacks=[generator], verbose=0)

logits = model.predict(x[:1], verbose=0)[0]
changed = x[:1].copy()
changed[0, 5:] = 2
results = {
    "mask": causal_attention_mask(2, 3, 3, "bool"),
    "loss": history.history["loss"],
    "texts": generator.texts,
    "logits": logits[0, :2],
    "the past does not see": bool(np.allclose(model.predict(changed, verbose=0)[0][0, :5], logits[0, :5], atol=1e-5)),
}
