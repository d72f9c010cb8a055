"""A training loop of one's own: the six lines that `fit` is made of.

A network learns to tell two spirals apart. The loop is the whole of training: forward, loss, two pullbacks, and a step
of the optimiser. After 1000 passes over the data 99 to 100 % of the points are on the right side; spirals.png shows the
points and where the network draws the border.

    python examples/train_by_hand.py
    python examples/train_by_hand.py --backend cupy --epochs 2000 --seed 5
"""

import argparse

import numpy as np

import nnx
from nnx.layers import Dense


def spirals(points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two arms of a spiral with some noise: positions (2 * points, 2) and labels (2 * points, 1)."""
    generator = np.random.default_rng(seed)
    turn = np.sqrt(generator.random((2, points))) * 3 * np.pi
    arms = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=-1) / (3 * np.pi)
    arms[1] *= -1
    noisy = arms + generator.normal(scale=0.02, size=arms.shape)
    return noisy.reshape(-1, 2), np.repeat([[0.0], [1.0]], points, axis=0)


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    points, labels = spirals(250, arguments.seed)
    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        x, y = nnx.asarray(points), nnx.asarray(labels)
        model = nnx.Sequential([Dense(32, "tanh", input_dim=2), Dense(32, "tanh"), Dense(1)])
    optimizer = nnx.optimizers.Adam(learning_rate=0.01)
    loss_function = nnx.losses.BinaryCrossentropy(from_logits=True)

    for epoch in range(arguments.epochs):
        logits, pullback = model.forward(x, training=True)
        loss, pullback_loss = loss_function.forward(y, logits)
        pullback(pullback_loss())
        optimizer.step(model)
        if (epoch + 1) % 200 == 0 or epoch == 0:  # looking at the loss waits for the device: not at every step
            print(f"epoch {epoch + 1:4d}: loss {nnx.to_numpy(loss):.4f}")

    right = float(((model.predict(points, verbose=0) > 0) == labels).mean())
    print(f"{right:.1%} of the points are on the right side")
    draw(model, points, labels)
    return right


def draw(model: nnx.Sequential, points: np.ndarray, labels: np.ndarray) -> None:
    from matplotlib.figure import Figure

    grid = np.linspace(-1.1, 1.1, 200)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    heights = model.predict(plane, batch_size=4000, verbose=0).reshape(200, 200)
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot(aspect="equal", title="two spirals, and the border the network draws")
    axes.contourf(grid, grid, heights, levels=[-1e9, 0, 1e9], colors=["#dbe8f4", "#fbe3d6"])
    axes.scatter(points[:, 0], points[:, 1], c=np.where(labels[:, 0] > 0.5, "#c8561b", "#1f5f99"), s=8)
    figure.savefig("spirals.png", dpi=100, bbox_inches="tight")
    print("written: spirals.png")


if __name__ == "__main__":
    main()
