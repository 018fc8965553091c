#!/usr/bin/env bash
# Run a command in the environment that `make setup` made:  ./env.sh ros-command ...
# On a robot with ROS installed you do not need it: source your workspace instead.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$root/.venv"
if [ ! -x "$venv/bin/python" ]; then
  echo "env.sh: $venv is missing; run 'make setup' first" >&2
  exit 1
fi
# The ROS wheels re-execute python once and remember it here; a fresh start must not inherit that.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH PYTHONHOME
export HOME="${HOME:-/tmp}"
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
export AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" ROS_DISTRO=jazzy
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
export PYTHONPATH="$root"
generated="$venv/interfaces"
if [ -f "$generated/built_from" ]; then
  site="$("$venv/bin/python" -c 'import sys; print(f"lib/python3.{sys.version_info[1]}/site-packages")')"
  export PYTHONPATH="$PYTHONPATH:$generated/$site" LD_LIBRARY_PATH="$generated/lib"
  export AMENT_PREFIX_PATH="$generated:$AMENT_PREFIX_PATH"
fi
[ -x "$root/.venv-peer/bin/python" ] && export EVITSAM_PEER_PYTHON="$root/.venv-peer/bin/python"
exec "$@"
