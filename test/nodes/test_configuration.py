# SPDX-License-Identifier: Apache-2.0
"""The parameter file against the node. What else is in config/ is tested in test/launch_files."""

from pathlib import Path

import yaml

from evitsam_ros.nodes.parameters import PARAMETERS

ROOT = Path(__file__).parents[2]


def test_parameter_file_states_every_parameter_with_its_default():
    content = yaml.safe_load((ROOT / "config" / "segmenter.yaml").read_text())
    stated = content["/**/segmenter"]["ros__parameters"]
    assert stated == {name: spec.default for name, spec in PARAMETERS.items()}
