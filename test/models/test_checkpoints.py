# SPDX-License-Identifier: Apache-2.0
"""Checkpoints load strictly, nested or not, and nothing is ever unpickled."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from evitsam_ros.models import create_model


def same(a, b) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("nesting", [0, 1, 2])
def test_pt_checkpoint_loads_nested_or_not(tmp_path, random_lite_sam, nesting):
    state = dict(random_lite_sam.state_dict())
    for _ in range(nesting):
        state = {"state_dict": state}
    torch.save(state, tmp_path / "model.pt")
    assert same(create_model("lite_sam", tmp_path / "model.pt"), random_lite_sam)


def test_safetensors_checkpoint_loads(tmp_path, random_lite_sam):
    save_file(random_lite_sam.state_dict(), tmp_path / "model.safetensors")
    assert same(create_model("lite_sam", tmp_path / "model.safetensors"), random_lite_sam)


def test_missing_key_is_named(tmp_path, random_lite_sam):
    state = dict(random_lite_sam.state_dict())
    del state["mask_decoder.iou_token.weight"]
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(
        ValueError, match=r"model\.pt is not one of lite_sam: .*mask_decoder\.iou_token\.weight"
    ):
        create_model("lite_sam", tmp_path / "model.pt")


def test_other_models_checkpoint_is_refused(tmp_path, random_lite_sam):
    torch.save(random_lite_sam.state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="not one of lite_sam_x2"):
        create_model("lite_sam_x2", tmp_path / "model.pt")


def test_weights_that_are_not_finite_are_named(tmp_path, random_lite_sam):
    state = {name: tensor.clone() for name, tensor in random_lite_sam.state_dict().items()}
    state["image_encoder.neck.laterals.2.1.running_var"][3] = float("inf")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"infinite values or NaN in image_encoder\.neck\.laterals\.2\.1"):
        create_model("lite_sam", tmp_path / "model.safetensors")


class Evil:
    def __reduce__(self):
        return (open, ("pwned", "w"))


def test_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("model.pt", "wb") as file:
        pickle.dump({"state_dict": Evil()}, file)
    torch.save({"state_dict": Evil()}, "zipped.pt")
    for name in ("model.pt", "zipped.pt"):
        with pytest.raises(ValueError, match="cannot be read"):
            create_model("lite_sam", name)
    assert not (tmp_path / "pwned").exists()


def test_truncated_and_missing_files_are_named(tmp_path, random_lite_sam):
    path = tmp_path / "model.safetensors"
    save_file(random_lite_sam.state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        create_model("lite_sam", path)
    with pytest.raises(ValueError, match=r"nowhere\.pt does not exist"):
        create_model("lite_sam", tmp_path / "nowhere.pt")
