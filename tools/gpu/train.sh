#!/usr/bin/env bash
# Train on a machine that is there for minutes: tools/gpu/train.sh RECIPE DATA OUT MINUTES [WHEELS]
#
# DATA holds part0, part1, … of training.pack_parts, or images/ and annotations/. Once a minute OUT gets the averaged weights in
# float16 and, at the end, all that the run needs to go on, in files of 8 MiB at most: cat OUT/model.safetensors.* > model.safetensors
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -ge 4 ] || { echo "usage: $0 RECIPE DATA OUT MINUTES [WHEELS]" >&2; exit 2; }
recipe=$1 data=$2 out=$3 minutes=$4 wheels=${5:-}
python=${PYTHON:-python3}
workers=${WORKERS:-$(($(nproc) > 4 ? $(nproc) - 4 : 1))}
work=$(mktemp -d)
saver=
trap 'if [ -n "$saver" ]; then kill "$saver" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
mkdir -p "$out"

if [ -n "$wheels" ]; then
  "$python" -m pip install --quiet --no-index --find-links "$wheels" --no-deps "$wheels"/*.whl
fi
if [ ! -d "$data/annotations" ]; then
  mkdir "$work/data"
  for part in "$data"/part*/; do cp -r "$part." "$work/data/"; done
  data=$work/data
fi

send() { # FILE: into pieces beside the earlier ones, which are replaced
  [ -f "$1" ] || return 0
  rm -f "$out/$(basename "$1")".*
  split -b 8M -d "$1" "$out/$(basename "$1")."
}

save_weights() {
  [ -f "$work/run/model.safetensors" ] || return 0
  "$python" - "$work/run/model.safetensors" "$work/model.safetensors" <<'EOF'
import sys
from safetensors.torch import load_file, save_file
save_file({name: value.half() if value.is_floating_point() else value for name, value in load_file(sys.argv[1]).items()}, sys.argv[2])
EOF
  send "$work/model.safetensors"
  cp "$work/run/log.csv" "$out/" 2>/dev/null || true
}

(while sleep 60; do save_weights; done) &
saver=$!
status=0
"$python" -m training.timed "$recipe" --data "$data" --out "$work/run" --minutes "$minutes" --workers "$workers" || status=$?
kill "$saver" 2>/dev/null || true
saver=
save_weights
send "$work/run/progress.pt"
exit "$status"
