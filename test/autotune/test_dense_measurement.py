# SPDX-License-Identifier: Apache-2.0
"""The backend of a dense bundle is chosen by time, and by label maps or images that are float32's."""

import numpy as np
import pytest

from evitsam_ros.autotune.dense_proof import MIN_IOU, MIN_PSNR
from evitsam_ros.autotune.measurement import measure
from evitsam_ros.backends.choice import Choice, NetworkChoice, read_choice, store_choice
from evitsam_ros.bundle import DENSE_NETWORK
from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter, Upscaler, open_semantic, open_upscale
from evitsam_ros.dense_export import export_network

from ..nodes.colour_classes import write_colour_classes


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Return a semantic bundle whose classes are the colours."""
    return open_semantic(write_colour_classes(tmp_path_factory.mktemp("engines") / "colours"))


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory):
    """Return a bundle of a random network for tiles of 32 pixels."""
    folder = tmp_path_factory.mktemp("engines") / "tiny"
    return open_upscale(export_network("efficientvit_sr_tiny", None, folder, size=(32, 32)))


def candidates(choice: Choice) -> dict:
    return {each.backend: each for each in choice.networks[DENSE_NETWORK].candidates}


def test_the_fastest_with_float32s_label_maps_is_chosen(measured, machine, colours):
    machine.seconds["own_int8"] = 0.004
    machine.change["own_int8"] = lambda logits: logits[:, ::-1]  # stop for water
    choice = measured(bundle=colours).choice
    assert choice.backends == {DENSE_NETWORK: "own_bf16"} and choice.is_final(colours)
    bf16, int8 = (candidates(choice)[name] for name in ("own_bf16", "own_int8"))
    assert (bf16.measure, bf16.value) == ("mean IoU", 1.0)
    assert int8.verdict == f"mean IoU is {int8.value:.4f}; int8 needs {MIN_IOU['int8']}"
    assert "own_bf16 10 ms, mean IoU 1.0000" in str(choice)


def test_an_upscaler_is_proved_by_its_images(measured, machine, upscaler):
    machine.seconds["own_int8"] = 0.004
    machine.change["own_int8"] = lambda image: image + np.float32(0.1)
    machine.change["own_bf16"] = lambda image: image + np.float32(0.004)  # one of 255
    found = candidates(measured(bundle=upscaler).choice)
    assert found["own_bf16"].verdict == "chosen" and found["own_bf16"].measure == "PSNR"
    assert found["own_bf16"].value == pytest.approx(20 * np.log10(255), abs=0.5)
    assert f"int8 needs {MIN_PSNR['int8']}" in found["own_int8"].verdict


def test_another_runtime_is_taken_where_it_is_faster(measured, machine, colours):
    machine.seconds |= {"own_bf16": 0.03, "other": 0.01}
    choice = measured(bundle=colours).choice
    assert choice.backends == {DENSE_NETWORK: "other"} and candidates(choice)["own"].verdict == "float32"


def test_values_that_are_not_finite_are_rejected(measured, machine, colours):
    machine.change["own_bf16"] = lambda logits: logits * np.float32("nan")
    choice = measured(bundle=colours).choice
    assert choice.backends == {DENSE_NETWORK: "own"}
    assert "not finite" in candidates(choice)["own_bf16"].verdict


def test_without_time_float32_stays_and_the_choice_is_kept(machine, colours, photograph):
    from evitsam_ros.autotune.budget import Budget

    choice = measure(colours, [photograph], Budget(0.55, lambda: machine.now))
    assert choice.unsettled == {DENSE_NETWORK: "no time was left"} and read_choice(colours) == choice


@pytest.mark.parametrize("kind", ["semantic", "upscale"])
def test_what_was_chosen_is_opened(kind, colours, upscaler, cache):
    bundle, job = (colours, SemanticSegmenter) if kind == "semantic" else (upscaler, Upscaler)
    store_choice(bundle, Choice({DENSE_NETWORK: NetworkChoice("onnxruntime", ())}))
    opened = job.open(bundle.folder, threads=1)
    assert opened.runtime.backends == {"onnxruntime"} and "measured" in opened.description
    exact = job.open(bundle.folder, threads=1, precision="fp32")
    assert exact.runtime.info()[DENSE_NETWORK]["precision"] == "fp32"
    with pytest.raises(ValueError, match="precision int8: network would run in fp32"):
        job.open(bundle.folder, "onnxruntime", precision="int8")


def test_int8_is_for_the_model_that_has_it(colours, cache):
    beside = SemanticSegmenter.open_beside(colours.folder, "onnxruntime", 1, "int8")
    assert beside.runtime.info()[DENSE_NETWORK]["precision"] == "fp32"


def test_the_command_measures_a_dense_bundle(colours, cache, capsys):
    assert main(["build", "--target", "cpu", "--model", str(colours.folder)]) == 0
    choice = read_choice(colours)
    # Beside other work the times of so small a network may not settle.
    assert choice is not None and {*choice.networks, *choice.unsettled} == {DENSE_NETWORK}
    assert f"{DENSE_NETWORK} " in capsys.readouterr().out
