#!/usr/bin/env bash
# The row of the suite that needs a GPU, on a machine that has one: in a virtual environment of its own, what is
# installed, the comparison with NumPy and its times, and all tests on CuPy. Ends with 1 where there is no CUDA device.
#
#     ci/gpu.sh                 # in a temporary environment
#     ci/gpu.sh ~/nnx-gpu       # in one that is kept, for the next time
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

say "the CUDA driver and the cards"
chosen=$(python3 ci/cuda_wheel.py)
read -r extra wheel <<< "$chosen"
echo "$wheel"
if command -v nvidia-smi > /dev/null; then nvidia-smi; fi

say "a virtual environment with nnx-array[test,$extra]"
if [ $# -gt 0 ]; then
    environment=$1
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    environment="$work/venv"
fi
python3 -m venv "$environment"
# shellcheck disable=SC1091
source "$environment/bin/activate"
export PIP_DISABLE_PIP_VERSION_CHECK=1
python -m pip install --quiet -e ".[test,$extra]"
if ! python -c 'import cupy; (cupy.ones(3) + 1).sum()'; then
    echo "CuPy does not work yet: what it misses of CUDA comes with its extra ctk"
    python -m pip install --quiet "${wheel}[ctk]"
fi

say "what is installed"
python -m nnx info

say "the selftest, about five minutes"
compared=0
python -m nnx selftest --backend cupy || compared=$?

say "the tests on CuPy"
tested=0
python -m pytest -q --nnx-backend cupy -k cupy tests || tested=$?

say "done: selftest $compared, tests $tested (0 is good); what to report is in nnx-selftest-cupy.txt"
[ "$compared" -eq 0 ] && [ "$tested" -eq 0 ]
