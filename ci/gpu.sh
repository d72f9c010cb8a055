#!/usr/bin/env bash
# The row of the suite that needs a GPU, on a machine that has one: in a virtual environment of its own, what is
# installed, the comparison with NumPy and its times, and all tests on CuPy. Ends with 1 where there is no CUDA device.
#
#     ci/gpu.sh                 # in a temporary environment
#     ci/gpu.sh ~/nnx-gpu       # in one that is kept, for the next time
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

say "the CUDA driver"
# The driver itself is asked: it says which CUDA it is for, and whether there is a device.
cuda=$(
    python3 - << 'EOF'
import ctypes
import sys

try:
    driver = ctypes.CDLL("libcuda.so.1")
except OSError as error:
    sys.exit(f"there is no GPU here: the NVIDIA driver is not installed ({error})")
problem = driver.cuInit(0)
if problem:
    sys.exit(f"there is no GPU here: cuInit failed with CUDA error {problem}; see nvidia-smi")
version, devices = ctypes.c_int(), ctypes.c_int()
driver.cuDriverGetVersion(ctypes.byref(version))
driver.cuDeviceGetCount(ctypes.byref(devices))
if not devices.value:
    sys.exit("there is no GPU here: the NVIDIA driver finds no device; see nvidia-smi")
print(version.value // 1000)
EOF
)
if [ "$cuda" -lt 12 ]; then
    echo "the driver is for CUDA $cuda, but CuPy 14 needs one for CUDA 12 or later: update the driver" >&2
    exit 1
fi
if [ "$cuda" -eq 12 ]; then
    extra=cupy wheel=cupy-cuda12x
else
    extra=cupy13 wheel=cupy-cuda13x # drivers also serve earlier versions of CUDA than their own
fi
echo "for CUDA $cuda"
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

say "CuPy against NumPy"
compared=0
python -m nnx selftest --backend cupy || compared=$?

say "the tests on CuPy"
tested=0
python -m pytest -q --nnx-backend cupy -k cupy tests || tested=$?

say "done: selftest $compared, tests $tested (0 is good)"
[ "$compared" -eq 0 ] && [ "$tested" -eq 0 ]
