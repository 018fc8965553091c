# SPDX-License-Identifier: Apache-2.0
"""The generated messages have the interface of the published ones, are made once, and can be missing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "build_interfaces.py"
#: Fields of vision_msgs 4, and of tf2_msgs.
PUBLISHED = {
    "BoundingBox3D": {"center": "geometry_msgs/Pose", "size": "geometry_msgs/Vector3"},
    "Detection3D": {
        "header": "std_msgs/Header",
        "results": "sequence<vision_msgs/ObjectHypothesisWithPose>",
        "bbox": "vision_msgs/BoundingBox3D",
        "id": "string",
    },
    "Detection3DArray": {"header": "std_msgs/Header", "detections": "sequence<vision_msgs/Detection3D>"},
    "TFMessage": {"transforms": "sequence<geometry_msgs/TransformStamped>"},
    "Point2D": {"x": "double", "y": "double"},
    "Pose2D": {"position": "vision_msgs/Point2D", "theta": "double"},
    "BoundingBox2D": {"center": "vision_msgs/Pose2D", "size_x": "double", "size_y": "double"},
    "ObjectHypothesis": {"class_id": "string", "score": "double"},
    "ObjectHypothesisWithPose": {
        "hypothesis": "vision_msgs/ObjectHypothesis",
        "pose": "geometry_msgs/PoseWithCovariance",
    },
    "Detection2D": {
        "header": "std_msgs/Header",
        "results": "sequence<vision_msgs/ObjectHypothesisWithPose>",
        "bbox": "vision_msgs/BoundingBox2D",
        "id": "string",
    },
    "Detection2DArray": {"header": "std_msgs/Header", "detections": "sequence<vision_msgs/Detection2D>"},
    "VisionClass": {"class_id": "uint16", "class_name": "string"},
    "LabelInfo": {
        "header": "std_msgs/Header",
        "class_map": "sequence<vision_msgs/VisionClass>",
        "threshold": "float",
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_messages_have_the_published_fields(name):
    package = "tf2_msgs.msg" if name == "TFMessage" else "vision_msgs.msg"
    msg = pytest.importorskip(package, reason="the messages are not built")
    assert getattr(msg, name).get_fields_and_field_types() == PUBLISHED[name]


def test_a_second_build_does_no_work():
    if not (Path(sys.prefix) / "interfaces" / "built_from").exists():
        pytest.skip("the messages were not built here")
    # Without a compiler it cannot change the environment that the tests run in.
    environment = os.environ | {"CXX": "/nowhere/g++"}
    command = [sys.executable, str(SCRIPT)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 0 and result.stdout.strip() == "interfaces: already built"


def test_only_packages_that_changed_are_built(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("build_interfaces", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    source, prefix, done = tmp_path / "interfaces", tmp_path / "prefix", []
    for name in ("first_msgs", "second_msgs"):
        (source / name / "msg").mkdir(parents=True)
        (source / name / "package.xml").write_text("<package/>")
    prefix.mkdir()
    monkeypatch.setattr(script, "SOURCE", source)
    monkeypatch.setattr(script, "VENV", tmp_path)
    monkeypatch.setattr(script, "PREFIX", prefix)
    monkeypatch.setattr(script, "STAMP", prefix / "built_from")
    monkeypatch.setattr(script, "build", lambda package, folder: done.append(package.name))
    monkeypatch.setattr(script, "_run", lambda command: None)
    monkeypatch.setattr(script.shutil, "which", lambda name: "/usr/bin/g++")
    assert script.main() == 0 and done == ["first_msgs", "second_msgs"]
    assert script.main() == 0 and len(done) == 2
    old = prefix / "share" / "second_msgs"
    old.mkdir(parents=True)
    (source / "second_msgs" / "msg" / "New.msg").write_text("int32 value")
    assert script.main() == 0 and done[2:] == ["second_msgs"] and not old.exists()
    assert script.main() == 0 and len(done) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "interfaces: already built"


def test_a_missing_compiler_is_reported_with_the_command_and_is_not_a_failure(tmp_path):
    # A copy beside other definitions, so that nothing counts as built already.
    (tmp_path / "tools").mkdir()
    (tmp_path / "interfaces" / "other_msgs").mkdir(parents=True)
    (tmp_path / "interfaces" / "other_msgs" / "package.xml").write_text("<package/>")
    script = tmp_path / "tools" / SCRIPT.name
    script.write_text(SCRIPT.read_text() + "\n# another fingerprint\n")
    environment = os.environ | {"CXX": "/nowhere/g++"}
    command = [sys.executable, str(script)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 0
    assert "sudo apt-get install g++" in result.stdout and "~/prompts" in result.stdout


def test_every_file_of_our_interfaces_is_generated():
    msg = pytest.importorskip("evitsam_interfaces.msg", reason="the messages are not built")
    srv = pytest.importorskip("evitsam_interfaces.srv")
    folder = ROOT / "interfaces" / "evitsam_interfaces"
    for kind, module in (("msg", msg), ("srv", srv)):
        names = [path.stem for path in (folder / kind).glob(f"*.{kind}")]
        assert names and all(hasattr(module, name) for name in names)
    assert not (folder / "COLCON_IGNORE").exists()


@pytest.mark.parametrize("package", ["vision_msgs", "tf2_msgs"])
def test_robots_do_not_build_our_copy(package):
    assert (ROOT / "interfaces" / package / "COLCON_IGNORE").exists()
