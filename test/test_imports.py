# SPDX-License-Identifier: Apache-2.0
"""Who may import what: ROS stays in nodes/, torch off the robot's path, every dependency is declared."""

import ast
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "evitsam_ros"
ROS = {
    *("rclpy", "sensor_msgs", "std_msgs", "std_srvs", "geometry_msgs", "vision_msgs", "diagnostic_msgs"),
    *("visualization_msgs", "rcl_interfaces", "lifecycle_msgs", "launch", "launch_ros"),
}
MAY_IMPORT_TORCH = (
    *("models/", "export.py", "dense_export.py", "stored_weights.py", "tensorrt/"),
    *("backends/torch_", "backends/choice.py"),
)
#: Import name -> rosdep key, where they differ.
KEYS = {
    "numpy": "python3-numpy",
    "cv2": "python3-opencv",
    "yaml": "python3-yaml",
    "jsonschema": "python3-jsonschema",
    "scipy": "python3-scipy",
    "tf2_ros": "tf2_ros_py",
}
#: Without a rosdep key (README: pip), or needed off the robot only.
NO_KEY = {
    "onnxruntime",
    "openvino",
    "torch",
    "onnx",
    "safetensors",
    "skimage",
    "cuda",
    "pycuda",
    "pynvml",
    "tqdm",
    "rosbags",
    *("backports", "compression", "lz4"),  # come with rosbags, and with Python
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_ros_stays_in_nodes_and_torch_where_it_belongs(path):
    relative = path.relative_to(PACKAGE).as_posix()
    found = imports(path)
    if not relative.startswith("nodes/"):
        assert not found & ROS
    if not relative.startswith(MAY_IMPORT_TORCH):
        assert not found & {"torch", "safetensors", "onnx"}


def test_every_import_is_a_dependency_and_every_dependency_is_used():
    declared = {
        node.text for node in ElementTree.parse(ROOT / "package.xml").getroot() if "depend" in node.tag
    }
    used = set().union(*(imports(path) for path in [*FILES, *(ROOT / "launch").glob("*.py")]))
    third_party = used - set(sys.stdlib_module_names) - {"evitsam_ros"} - NO_KEY
    missing = {KEYS.get(name, name) for name in third_party} - declared
    assert not missing


def test_robots_import_path_is_light():
    code = (
        "import sys, evitsam_ros.segment, evitsam_ros.cli, evitsam_ros.doctor\n"
        "heavy = {'torch', 'rclpy', 'onnx', 'pycocotools', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_no_pickle_is_ever_loaded():
    for path in [*FILES, *(ROOT / "training").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("torch.load", "pickle.load", "np.load")
            ):
                arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert arguments.get("weights_only") == "True", f"{path}: {ast.unparse(node)}"
