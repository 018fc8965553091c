# SPDX-License-Identifier: Apache-2.0
"""JetPacks by their release files, and packages that a virtual environment hides."""

import sys

import pytest

from evitsam_ros import doctor
from evitsam_ros.jetson import (
    cuda_bindings_remedy,
    hidden_package,
    onnxruntime_remedy,
    read_jetpack,
    tensorrt_remedy,
)

RELEASE = "# R{} (release), REVISION: {}, GCID: 1, BOARD: generic, EABI: aarch64, DATE: Wed Jan 8"


@pytest.mark.parametrize(
    ("release", "name", "cuda"),
    [
        (("36", "4.3"), "JetPack 6 (Jetson Linux 36.4.3)", 12),
        (("38", "2.0"), "JetPack 7 (Jetson Linux 38.2.0)", 13),
        (("39", "1.0"), "JetPack 7 (Jetson Linux 39.1.0)", 13),
        (("35", "4.1"), "JetPack 5 or older (Jetson Linux 35.4.1)", 11),
    ],
)
def test_a_jetpack_is_known_by_its_release(tmp_path, release, name, cuda):
    path = tmp_path / "nv_tegra_release"
    path.write_text(RELEASE.format(*release) + "\n")
    jetpack = read_jetpack(path)
    assert (jetpack.name, jetpack.cuda) == (name, cuda)
    assert f"cuda-bindings=={cuda}.*" in cuda_bindings_remedy(jetpack)
    assert "no onnxruntime-gpu for aarch64" in onnxruntime_remedy(jetpack)


def test_other_machines_are_no_jetsons(tmp_path):
    assert read_jetpack(tmp_path / "no") is None
    (tmp_path / "odd").write_bytes(b"\xff\xfe nothing known")
    assert read_jetpack(tmp_path / "odd") is None
    assert "12.x for CUDA 12, 13.x for CUDA 13" in cuda_bindings_remedy(None)


def test_a_hidden_tensorrt_is_found(tmp_path, monkeypatch):
    package = tmp_path / "python3.10" / "dist-packages" / "tensorrt"
    assert "apt install tensorrt" in tensorrt_remedy(tmp_path)
    package.mkdir(parents=True)
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    assert hidden_package("tensorrt", tmp_path) == package
    assert f"is in {package.parent}" in tensorrt_remedy(tmp_path)
    assert "--system-site-packages" in tensorrt_remedy(tmp_path)
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert hidden_package("tensorrt", tmp_path) is None


def test_the_doctor_of_a_jetson_names_its_jetpack(tmp_path, monkeypatch):
    path = tmp_path / "nv_tegra_release"
    path.write_text(RELEASE.format("36", "4.3"))
    monkeypatch.setattr(doctor, "read_jetpack", lambda: read_jetpack(path))
    found = {item.name: item for item in doctor.findings()}
    assert "JetPack 6" in found["GPU"].found and "Python 3.10" in found["GPU"].found
    assert "cuda-bindings==12.*" in found["CUDA bindings"].remedy
