# SPDX-License-Identifier: Apache-2.0
"""``evitsam fetch`` and ``evitsam pack`` as people type them, and what a missing model says everywhere."""

import subprocess
import sys

import pytest

from evitsam_ros.catalogue import CATALOGUE
from evitsam_ros.cli import main


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "evitsam"


def test_the_list_shows_every_name(capsys):
    assert main(["fetch", "--list"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(CATALOGUE) <= set(rows)
    assert "139 MB" in rows["efficientvit_sam_l0"] and "not installed" in rows["efficientvit_sam_l0"]
    assert "non-commercial" in rows["edge_sam"] and "trusted" in rows["tiny_sam"]
    assert "file only" in rows["coco_vitdet"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give names, or --all, or --from"),
        (["--all", "mobile_sam"], "give names, or --all"),
        (["sam9"], "'sam9' cannot be fetched"),
        (["efficientvit_sam_l0", "--mirror", "nowhere"], "is not a URL"),
        (["efficientvit_sam_l0", "--from", "/no/such/stick"], "/no/such/stick does not exist"),
        (["--from", "/no/such.tar"], "/no/such.tar does not exist"),
    ],
)
def test_mistakes_are_one_line(words, text, capsys):
    assert main(["fetch", *words]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("evitsam fetch: ") and text in errors[-1]


def test_pack_and_fetch_move_a_model_to_a_machine_without_torch(
    bundle_folder, tmp_path, data, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["pack", "--model", str(bundle_folder)]) == 0
    assert "lite_sam.tar" in capsys.readouterr().out
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'safetensors', 'requests', 'rclpy'):\n"
        "    sys.modules[name] = None\n"
        "from evitsam_ros.cli import main\n"
        "assert main(['fetch', '--from', 'lite_sam.tar']) == 0\n"
        "assert main(['fetch', '--list']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(data / "models" / "lite_sam")
    assert main(["fetch", "lite_sam", "--from", str(tmp_path)]) == 0


def test_pack_names_its_mistakes(bundle_folder, tmp_path, capsys):
    assert main(["pack", "--model", "sam9"]) == 1 and "no bundle 'sam9'" in capsys.readouterr().err
    assert main(["pack", "--model", str(bundle_folder), "--out", str(tmp_path / "x.zip")]) == 1
    assert "expected NAME.tar" in capsys.readouterr().err
    assert main(["pack", "--model", str(bundle_folder), "--out", str(tmp_path / "no" / "x.tar")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["segment", "demo/pictures/astronaut.jpg", "--everything", "--model"],
        ["bench", "--model"],
        ["build", "--model"],
        ["verify", "--backend", "onnxruntime", "--model"],
        ["pack", "--model"],
    ],
)
def test_a_missing_model_names_the_install_command(words, capsys):
    assert main([*words, "efficientvit_sam_l0"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith("bundle 'efficientvit_sam_l0' is not installed: evitsam fetch efficientvit_sam_l0")
