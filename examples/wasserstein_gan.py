"""A Wasserstein GAN with gradient penalty: points that come to lie where those of eight clusters do.

A generator makes points of noise, a critic scores real ones against made ones. The critic has to be a function of
slope one, and so pays for the slope that it has between them: a derivative with respect to its inputs, which is
differentiated once more with respect to its weights (Gulrajani et al., "Improved training of Wasserstein GANs", 2017).
`train_step` is one's own, with an optimizer for each network. After 40 epochs, half a minute on a laptop, 92 % of the
made points were within three standard deviations of one of the eight centres, and all eight had some. Written is
wasserstein_gan.png.

    python examples/wasserstein_gan.py
    python examples/wasserstein_gan.py --epochs 100 --backend cupy
"""

import argparse
from typing import Any

import numpy as np

import nnx
from nnx import ops
from nnx.layers import Dense

CENTRES = np.stack([2.0 * np.cos(np.arange(8) * np.pi / 4), 2.0 * np.sin(np.arange(8) * np.pi / 4)], axis=1)
WIDTH = 0.1


def penalty_of(critic: Any, x: Any) -> Any:
    """The mean squared distance from one of the critic's slope at points x."""
    slope = nnx.grad(lambda z: ops.sum(critic(z)))(x)
    return ops.mean((ops.norm(slope, axis=-1) - 1.0) ** 2)


class WassersteinGAN(nnx.Model):
    """A generator and a critic of points in the plane, trained by turns."""

    def __init__(self, noise: int = 8, hidden: int = 64, penalty: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise, self.penalty = noise, penalty
        self.generator = nnx.Sequential([nnx.Input((noise,)), Dense(hidden, "relu"), Dense(hidden, "relu"), Dense(2)])
        self.critic = nnx.Sequential([nnx.Input((2,)), Dense(hidden, "relu"), Dense(hidden, "relu"), Dense(1)])
        self.critic_optimizer = nnx.optimizers.Adam(0.001, beta_1=0.5, beta_2=0.9)
        self.generator_optimizer = nnx.optimizers.Adam(0.001, beta_1=0.5, beta_2=0.9)

    def train_step(self, data: Any) -> dict[str, Any]:
        count = data.shape[0]
        for _ in range(3):
            made = self.generator(nnx.random.normal((count, self.noise)))
            between = made + nnx.random.uniform((count, 1)) * (data - made)
            with nnx.GradientTape() as tape:
                distance = ops.mean(self.critic(data)) - ops.mean(self.critic(made))
                loss = -distance + self.penalty * penalty_of(self.critic, between)
            tape.backward(loss, self.critic)
            self.critic_optimizer.step(self.critic)
        with nnx.GradientTape() as tape:
            loss = -ops.mean(self.critic(self.generator(nnx.random.normal((count, self.noise)))))
        tape.backward(loss, self.generator)
        self.generator_optimizer.step(self.generator)
        return {"distance": distance}


def real_points(count: int, generator: np.random.Generator) -> np.ndarray:
    """Points of the eight clusters."""
    return np.float32(CENTRES[generator.integers(0, 8, count)] + WIDTH * generator.normal(size=(count, 2)))


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto", help="numpy, cupy, torch, array-api-strict or auto")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    generator = np.random.default_rng(arguments.seed)
    nnx.random.set_seed(arguments.seed)
    with nnx.backend(arguments.backend):
        model = WassersteinGAN()
        model.compile()
        model.fit(real_points(12_800, generator), batch_size=256, epochs=arguments.epochs)
        noise = np.float32(generator.normal(size=(1000, model.noise)))
        made = model.generator.predict(noise, verbose=0)
    distances = np.linalg.norm(made[:, None] - CENTRES, axis=-1)
    near = distances.min(axis=1) < 3.0 * WIDTH
    found = len(set(distances.argmin(axis=1)[near]))
    print(f"\n{near.mean():.1%} of the made points are near one of the 8 centres; {found} centres have some")

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 5))
    axes.scatter(*real_points(1000, generator).T, s=4, label="real")
    axes.scatter(*made.T, s=4, label="made")
    axes.legend()
    figure.savefig("wasserstein_gan.png", dpi=120)
    print("written: wasserstein_gan.png")
    return float(near.mean())


if __name__ == "__main__":
    main()
