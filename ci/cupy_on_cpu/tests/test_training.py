"""A small network learns the same on the CPU emulation as with NumPy."""

import time

import cupy
import numpy as np
from cupy_on_cpu import count


def train(xp, steps, batch=128):
    """Train a 784-128-10 network by SGD on a made-up task; return losses and weights."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((batch * 4, 784)).astype("f4")
    labels = (inputs[:, :10]).argmax(axis=1)
    w1 = xp.asarray((rng.standard_normal((784, 128)) * 0.05).astype("f4"))
    w2 = xp.asarray((rng.standard_normal((128, 10)) * 0.1).astype("f4"))
    b1, b2 = xp.zeros(128, "f4"), xp.zeros(10, "f4")
    inputs, labels = xp.asarray(inputs), xp.asarray(labels)
    rows = xp.arange(batch)
    losses = []
    for step in range(steps):
        part = slice(step % 4 * batch, (step % 4 + 1) * batch)
        x, y = inputs[part], labels[part]
        hidden = xp.maximum(x @ w1 + b1, 0)
        scores = hidden @ w2 + b2
        scores -= scores.max(axis=1, keepdims=True)
        log_p = scores - xp.log(xp.exp(scores).sum(axis=1, keepdims=True))
        losses.append(-log_p[rows, y].mean())
        d_scores = xp.exp(log_p)
        d_scores[rows, y] -= 1
        d_scores /= batch
        d_hidden = (d_scores @ w2.T) * (hidden > 0)
        w2 -= 0.3 * (hidden.T @ d_scores)
        b2 -= 0.3 * d_scores.sum(axis=0)
        w1 -= 0.3 * (x.T @ d_hidden)
        b1 -= 0.3 * d_hidden.sum(axis=0)
    return xp.stack(losses), w1


def test_training_matches_numpy_and_is_fast():
    train(cupy, 1)  # compile
    start = time.perf_counter()
    with count() as c:
        losses, weights = train(cupy, 50)
    seconds = time.perf_counter() - start
    expected_losses, expected_weights = train(np, 50)
    np.testing.assert_allclose(losses.get(), expected_losses, rtol=1e-3)
    np.testing.assert_allclose(weights.get(), expected_weights, rtol=1e-2, atol=1e-4)
    assert expected_losses[-1] < 0.5 * expected_losses[0]
    assert c.gemms == 5 * 50
    assert c.device_to_host == 0
    print(f"50 steps: {seconds:.1f} s")
    assert seconds < 20
