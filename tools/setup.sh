#!/usr/bin/env bash
# Make .venv.  tools/setup.sh unit: what the unit tests need.  tools/setup.sh demo: what the demo needs.
# tools/setup.sh web: what the page needs, on top of the demo.
# tools/setup.sh: all tests, export and training as well.
# Safe to run again.
#
# Sizes on x86_64 with Python 3.11: see requirements/README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
level="${1:-all}"
python="${PYTHON:-python3}"
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH PYTHONPATH
export HOME="${HOME:-/tmp}"

say() { printf '== %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case "$level" in unit | demo | web | all) ;; *) die "unknown level '$level': expected unit, demo, web or all" ;; esac
command -v "$python" >/dev/null || die "$python not found; install it: sudo apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' ||
  die "$("$python" --version) is not supported: Python 3.10 to 3.14 is; name one with PYTHON=python3.12 make setup"
[ "$(uname -sm)" = "Linux x86_64" ] ||
  die "the Python index has ROS 2 for Linux x86_64 only; on $(uname -sm) use a ROS installation and colcon (docs/quickstart.md)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  die "$python has no venv module; install it: sudo apt-get install python3-venv"

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip="$PWD/.venv/bin/python -m pip --disable-pip-version-check"

# The package, without ROS, and pytest.
setup_unit() {
  say "ONNX Runtime, OpenCV and pytest (once)"
  $pip install -q -r requirements/runtime.txt -r requirements/unit.txt
  touch .venv/.ready-unit
}

# ROS 2, ONNX Runtime, the package and the messages that the Python index lacks.
setup_demo() {
  say "ROS 2 Jazzy and ONNX Runtime (once)"
  $pip install -q -r requirements/ros.txt -r requirements/runtime.txt -r requirements/interfaces.txt
  $pip install -q --no-deps --no-build-isolation -e .
  say "vision_msgs, tf2_msgs"
  if [ -x .venv/bin/cmake ]; then
    ./env.sh .venv/bin/python tools/build_interfaces.py
  else
    # Outside .venv: nothing but this build needs CMake.
    local tools
    tools="$(mktemp -d)"
    $pip install -q --target "$tools" -r requirements/cmake.txt
    PATH="$tools/cmake/data/bin:$PATH" ./env.sh .venv/bin/python tools/build_interfaces.py ||
      { rm -rf "$tools"; die "the messages of interfaces/ could not be generated (see above)"; }
    rm -rf "$tools"
  fi
  touch .venv/.ready-demo
}

# The page of `make live`, on top of the demo.
setup_web() {
  say "aiohttp (once)"
  $pip install -q -r requirements/web.txt
  touch .venv/.ready-web
}

# Tests, export, training and evaluation, on top of the demo.
setup_all() {
  say "runtimes and tools of the tests"
  $pip install -q -r requirements/unit.txt -r requirements/dev.txt -r requirements/cmake.txt -r requirements/page.txt \
    -r requirements/web.txt
  if ! .venv/bin/python -c 'import importlib.metadata as m; m.version("torch"), m.version("torchvision")' 2>/dev/null; then
    say "torch, CPU build"
    # Where the index would answer with the CUDA build (gigabytes), take the CPU build from PyTorch's own index.
    if $pip install --dry-run --quiet --report - -r requirements/torch.txt | grep -q '"nvidia-'; then
      $pip install -q --index-url https://download.pytorch.org/whl/cpu -r requirements/torch.txt
    else
      $pip install -q -r requirements/torch.txt
    fi
  fi
  say "training and evaluation"
  $pip install -q -r requirements/train.txt -r requirements/quantize.txt
  $pip install -q --no-deps -r requirements/nodeps.txt
  say "labelling over many machines"
  $pip install -q -r requirements/fleet.txt
  if [ ! -x .venv-peer/bin/python ]; then
    say "another vendor's DDS for the tests"
    "$python" -m venv .venv-peer
    .venv-peer/bin/python -m pip install -q --disable-pip-version-check -r requirements/peer.txt ||
      { rm -rf .venv-peer; say "no cyclonedds wheel for this Python: its test will be skipped"; }
  fi
  touch .venv/.ready
}

case "$level" in
  unit) setup_unit ;;
  demo) setup_demo ;;
  web)
    [ -e .venv/.ready-demo ] || setup_demo
    setup_web
    ;;
  all)
    [ -e .venv/.ready-demo ] || setup_demo
    setup_all
    ;;
esac
