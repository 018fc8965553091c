# SPDX-License-Identifier: Apache-2.0
"""Who may import what of this project, of ROS and of torch; and that every dependency is declared."""

import ast
import graphlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "evitsam_ros"
ROS = {
    *("rclpy", "sensor_msgs", "std_msgs", "std_srvs", "geometry_msgs", "vision_msgs", "diagnostic_msgs"),
    *("evitsam_interfaces", "visualization_msgs", "rcl_interfaces", "lifecycle_msgs", "launch", "launch_ros"),
}
MAY_IMPORT_TORCH = (
    *("models/", "export.py", "dense_export.py", "stored_weights.py", "tensorrt/", "backends/torch_"),
)
#: Package, or module at the top -> what of this project it imports. A line that is added here is a decision:
#: data flows from nodes and commands down to values, and what runs an engine knows nothing of what builds it.
ALLOWED = {
    "__init__": {"moved_modules"},
    "autotune": {"backends", "bundle", "dense", "io", "segment"},
    "backends": {"bundle", "bundle_forms", "models", "threads"},
    "bundle": {"bundle_schema", "catalogue", "installed"},
    "bundle_folder": {"bundle"},
    "bundle_forms": {"bundle"},
    "catalogue": {"catalogue_networks", "remote_file"},
    "catalogue_networks": {"remote_file"},
    "cli": {
        *(
            "autotune",
            "backends",
            "bundle",
            "bundle_schema",
            "catalogue",
            "dense",
            "dense_export",
            "doctor",
            "export",
            "fetch",
        ),
        "io",
        *("labelling", "models", "nodes", "profiler", "segment", "start", "tensorrt", "tracking"),
    },
    "dense": {"backends", "bundle", "bundle_forms", "bundle_schema", "segment"},
    "dense_export": {"bundle", "bundle_folder", "dense", "export", "models", "stored_weights"},
    "doctor": {"backends", "bundle", "dense", "jetson"},
    "export": {"bundle", "bundle_folder", "models", "stored_weights", "tensorrt"},
    "fetch": {"bundle", "bundle_folder", "catalogue", "dense", "dense_export", "installed", "models"},
    "geometry3d": {"io"},
    "io": {"dense", "installed", "segment", "tracking"},
    "labelling": {"bundle", "dense", "installed", "io", "nodes", "segment", "tracking"},
    "models": {"bundle"},
    "moved_modules": {"deprecation"},
    "nodes": {
        *("autotune", "backends", "bundle", "dense", "geometry3d", "installed", "io", "malloc", "profiler"),
        *("segment", "threads", "tracking", "web"),
    },
    "profiler": {"autotune", "backends", "bundle", "dense", "installed", "io", "models", "segment"},
    "segment": {"backends", "bundle", "deprecation"},
    "stored_weights": {"bundle", "models"},
    "tensorrt": {"autotune", "backends", "bundle", "dense", "io", "models", "segment"},
    "tracking": {"deprecation", "segment"},
}
#: Import name -> rosdep key, where they differ.
KEYS = {
    "aiohttp": "python3-aiohttp",
    "numpy": "python3-numpy",
    "cv2": "python3-opencv",
    "yaml": "python3-yaml",
    "jsonschema": "python3-jsonschema",
    "scipy": "python3-scipy",
    "argcomplete": "python3-argcomplete",
    "onnxruntime": "python3-onnxruntime-pip",
    "requests": "python3-requests",
    "tqdm": "python3-tqdm",
    "tf2_ros": "tf2_ros_py",
}
#: Without a rosdep key (README: pip), or needed off the robot only.
NO_KEY = {
    "evitsam_interfaces",  # optional, from this repository
    "openvino",
    "torch",
    "onnx",
    "safetensors",
    "skimage",
    "cuda",
    "pycuda",
    "pynvml",
    "training",  # of a checkout, for 'evitsam quantize'
    "rosbags",
    "jinja2",
    "matplotlib",
    *("pyarrow", "ray"),  # the extras label and fleet
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


def parts_imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """Packages, and modules at the top, of the project that a file imports; its own is none of them."""
    own = path.relative_to(package).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                module = [*own[: len(own) - node.level], *module]
            elif module[:1] == [package.name]:
                module = module[1:]
            else:
                continue
            found |= {module[0]} if module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == package.name and len(name) > 1}
    return {name for name in found if name != own[0] and not name.startswith("__")}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_packages_import_only_packages_of_the_table(path):
    added = parts_imported(path) - ALLOWED.get(part_of(path), set())
    assert not added, f"{path.name} imports {sorted(added)}, which the table does not allow"


def test_the_table_lists_exactly_the_used_imports_and_has_no_cycle():
    needed: dict[str, set[str]] = {}
    for path in FILES:
        needed.setdefault(part_of(path), set()).update(parts_imported(path))
    assert {part: names for part, names in needed.items() if names} == ALLOWED
    order = list(graphlib.TopologicalSorter(ALLOWED).static_order())  # CycleError names a circle
    assert order.index("backends") < order.index("segment") < order.index("tensorrt")


def test_every_form_of_an_import_is_seen(tmp_path):
    package = tmp_path / "evitsam_ros"
    (package / "segment" / "deep").mkdir(parents=True)
    path = package / "segment" / "deep" / "module.py"
    path.write_text(
        "import numpy, evitsam_ros.io.bags.files\nfrom evitsam_ros import doctor\n"
        "from evitsam_ros.nodes.qos import x\nfrom ... import malloc\nfrom ...cli import y\n"
        "from ..masks import Masks\nfrom . import z\ndef late():\n    from ...tensorrt.build import build\n"
    )
    assert parts_imported(path, package) == {"io", "doctor", "nodes", "malloc", "cli", "tensorrt"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_nodes_import_ros_and_only_some_packages_torch(path):
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
        "heavy = {'torch', 'rclpy', 'onnx', 'pycocotools', 'skimage', 'requests', 'tqdm'}\n"
        "heavy |= {'jinja2', 'matplotlib', 'aiohttp', 'pyarrow', 'ray'}\n"
        "heavy &= set(sys.modules)\n"
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


def test_no_test_module_imports_another():
    """Helpers of several test modules are in modules of their own."""
    found = []
    for path in sorted((ROOT / "test").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                own = node.level > 0 or node.module.split(".")[0] == "test"
                if own and node.module.split(".")[-1].startswith("test_"):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found
