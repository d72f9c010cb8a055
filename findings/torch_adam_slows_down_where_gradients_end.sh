#!/usr/bin/env bash
# PyTorch 2.13.0 on the CPU: one would guess that Adam's average of a gradient that has become 0 decays to 0, and that a
# step takes the same time whatever the gradients are. The average of a parameter without gradient, such as that of a
# unit which is never active again or the row of a word that comes no more, ends at a subnormal number, 5.6e-45: a tenth
# of that is rounded to nothing, so it is never 0. A processor takes a hundred times as long for such numbers.
# Seen: after 1,000 steps with gradient 0 the fused Adam takes 10 to 14 times as long as before, and stays so. JAX 0.10.2
# computes the same average on the CPU as 0, since it flushes subnormal numbers.
# nnx makes the subnormal numbers of its optimisers' averages 0 at every 64th step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'torch==2.13.0' 'numpy==2.4.6' 'jax==0.10.2'
JAX_PLATFORMS=cpu OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import statistics
import time

import jax
import jax.numpy as jnp
import torch

torch.set_num_threads(1)
parameter = torch.nn.Parameter(torch.ones(1_000_000))
optimizer = torch.optim.Adam([parameter], fused=True)


def seconds() -> float:
    times = []
    for _ in range(30):
        start = time.process_time()
        optimizer.step()
        times.append(time.process_time() - start)
    return statistics.median(times)


parameter.grad = torch.ones(1_000_000)
before = seconds()
parameter.grad = torch.zeros(1_000_000)
for _ in range(1000):
    optimizer.step()
after, average = seconds(), optimizer.state[parameter]["exp_avg"][0].item()
print(f"a step took {before * 1e3:.1f} ms, and takes {after * 1e3:.1f} ms with an average of {average}")
assert 0.0 < average < 1e-40, "the average decays to 0 now"
assert after > 3.0 * before, "the step is as fast as before now"

decayed = jax.lax.fori_loop(0, 1000, lambda _, m: m + 0.1 * (0.0 - m), jnp.float32(0.5))
print(f"the average in JAX: {float(decayed)}")
assert float(decayed) == 0.0, "JAX keeps subnormal numbers now"
PYTHON
