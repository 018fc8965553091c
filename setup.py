# SPDX-License-Identifier: Apache-2.0
"""ament_python package: code, launch files, configuration and the shipped bundles."""

from collections import defaultdict
from pathlib import Path

import setuptools
from setuptools import find_packages, setup

NAME = "evitsam_ros"
ROOT = Path(__file__).parent
# `colcon test` runs pytest for a package with this extra. setuptools of Ubuntu 22.04 reads no pyproject.toml.
EXTRAS = {} if int(setuptools.__version__.split(".")[0]) >= 61 else {"test": ["pytest"]}


def share_files() -> list[tuple[str, list[str]]]:
    """Everything that a robot needs beside the code, by its folder under ``share/evitsam_ros``."""
    folders: dict[str, list[str]] = defaultdict(list)
    for top in ("launch", "config", "engines", "demo/pictures"):
        for path in sorted(Path(top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not is_spare_checkpoint(path):
                folders[f"share/{NAME}/{path.parent}"].append(str(path))
    return list(folders.items())


def is_spare_checkpoint(path: Path) -> bool:
    """Tell whether a file is a bundle's checkpoint that its networks do not read their weights from."""
    return (
        path.suffix == ".safetensors" and f"file: {path.name}" not in (path.parent / "model.yaml").read_text()
    )


setup(
    name=NAME,
    version="0.2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"], f"{NAME}.profiler": ["templates/*"], f"{NAME}.web": ["page.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *share_files(),
    ],
    install_requires=["setuptools"],
    extras_require=EXTRAS,
    zip_safe=True,
    maintainer="evitsam_ros maintainers",
    maintainer_email="maintainers@evitsam-ros.example",
    description="Segment anything on a robot: EfficientViT-SAM and Lite-SAM as ROS 2 nodes",
    license="Apache-2.0",
    classifiers=[
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
    ],
    entry_points={
        "console_scripts": [
            f"segmenter = {NAME}.start:segmenter",
            f"semantic = {NAME}.start:semantic",
            f"camera = {NAME}.start:camera",
            f"profiler = {NAME}.start:profiler",
            f"compose = {NAME}.start:compose",
            f"detections_converter = {NAME}.start:detections_converter",
            f"web = {NAME}.start:web",
            f"evitsam = {NAME}.start:evitsam",
        ]
    },
)
