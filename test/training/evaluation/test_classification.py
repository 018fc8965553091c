# SPDX-License-Identifier: Apache-2.0
"""The crop by the numbers of torchvision, and accuracy and the command on known answers."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from evitsam_ros.models.network_specs import network_spec
from training.evaluate_dense import main
from training.evaluation.classification import ClassRecord, centre_crop, score_classifier


@pytest.mark.parametrize(
    ("shape", "size", "share", "resized", "corner"),
    [
        ((300, 400), 224, 0.95, (314, 236), (45, 6)),
        ((401, 299), 224, 1.0, (224, 300), (0, 38)),
        ((256, 256), 192, 0.875, (220, 220), (14, 14)),
        ((500, 333), 288, 0.95, (304, 456), (8, 84)),
    ],
)
def test_the_crop_is_torchvisions(shape, size, share, resized, corner):
    """Of (H, W): (W, H) that Resize gives, and x, y where CenterCrop begins, by their documentation."""
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    scaled = Image.fromarray(image).resize(resized, Image.Resampling.BICUBIC)
    expected = scaled.crop((*corner, corner[0] + size, corner[1] + size))
    np.testing.assert_array_equal(centre_crop(image, size, share), np.asarray(expected))


def test_accuracy_counts_the_best_and_the_five_best(tmp_path):
    """The network's best class is the grey of the image, and the next classes follow."""
    spec = network_spec("efficientvit_cls_b0")

    class Grey(torch.nn.Module):
        def forward(self, blob):
            value = torch.round((blob[0, 0].mean() * spec.std[0] + spec.mean[0]) * 255).int()
            return -(torch.arange(1000) - value).abs().float()[None] - torch.arange(1000) * 1e-4

    records = []
    for index, (grey, number) in enumerate([(10, 10), (20, 21), (30, 90), (40, 40)]):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), np.full((40, 60, 3), grey, np.uint8))
        records.append(ClassRecord(path, number))
    (tmp_path / "broken.png").write_bytes(b"no image")
    records.append(ClassRecord(tmp_path / "broken.png", 0))
    score = score_classifier(Grey(), spec, records, 32, 1.0)
    assert score == {"top-1": 50.0, "top-5": 75.0, "images": 4}


def test_the_command_reads_the_folders_of_a_split(tmp_path, capsys):
    from evitsam_ros.models.efficientvit.build import create_network

    checkpoint, data, record = tmp_path / "b0.pt", tmp_path / "val", tmp_path / "report.json"
    network = create_network("efficientvit_cls_b0")
    torch.save({"state_dict": network.state_dict()}, checkpoint)
    command = ["classify", "--model", "efficientvit_cls_b0", "--checkpoint", str(checkpoint)]
    command += ["--data", str(data), "--image-size", "64", "--json", str(record)]
    assert main(command) == 1
    assert "has 0 class folders; expected 1000" in capsys.readouterr().err
    for number in range(1000):
        (data / f"n{number:08}").mkdir(parents=True)
    assert main(command) == 1
    assert "no images" in capsys.readouterr().err
    image = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    expected = centre_crop(np.ascontiguousarray(image[..., ::-1]), 64, 0.95)
    mean, std = (np.array(v, np.float32) for v in (network.spec.mean, network.spec.std))
    blob = torch.from_numpy(((expected / np.float32(255) - mean) / std).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        best = int(network(blob).argmax())
    cv2.imwrite(str(data / f"n{best:08}" / "a.png"), image)
    assert main(command) == 0
    assert json.loads(record.read_text()) == {
        "ImageNet, 64 pixels, crop 0.95": {
            "efficientvit_cls_b0": {"top-1": 100.0, "top-5": 100.0, "images": 1}
        }
    }
    wrong = ["classify", "--model", "efficientvit_sr", "--checkpoint", str(checkpoint), "--data", str(data)]
    assert main(wrong) == 2 and "is not a classifier" in capsys.readouterr().err
