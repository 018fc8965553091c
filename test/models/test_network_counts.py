# SPDX-License-Identifier: Apache-2.0
"""Every network is built, run on shapes and counted against the published tables."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evitsam_ros.models.efficientvit.blocks import B_STYLE
from evitsam_ros.models.efficientvit.build import create_network
from evitsam_ros.models.efficientvit.linear_attention import EfficientViTModule
from evitsam_ros.models.efficientvit.segmentation import SegmentationNetwork
from evitsam_ros.models.network_specs import NETWORK_SPECS, network_spec

#: Tables 2, 3 and 4: name, input size, parameters and multiply-adds as printed (None: not in the paper).
PUBLISHED = [
    ("efficientvit_cls_b1", (224, 224), "9.1M", "0.52G"),
    ("efficientvit_cls_b2", (256, 256), "24M", "2.1G"),
    ("efficientvit_cls_b3", (224, 224), "49M", "4.0G"),
    ("efficientvit_cls_b3", (288, 288), "49M", "6.5G"),
    ("efficientvit_cls_l1", (224, 224), "53M", "5.3G"),
    ("efficientvit_cls_l2", (288, 288), "64M", "11G"),
    ("efficientvit_cls_l2", (384, 384), "64M", "20G"),
    ("efficientvit_cls_l3", (224, 224), "246M", "28G"),
    ("efficientvit_seg_b0_cityscapes", (1024, 2048), "0.7M", "4.4G"),
    ("efficientvit_seg_b1_cityscapes", (1024, 2048), "4.8M", "25G"),
    ("efficientvit_seg_b2_cityscapes", (1024, 2048), "15M", "74G"),
    ("efficientvit_seg_b3_cityscapes", (1024, 2048), "40M", "179G"),
    ("efficientvit_seg_l1_cityscapes", (1024, 2048), "40M", "282G"),
    ("efficientvit_seg_l2_cityscapes", (1024, 2048), "53M", "396G"),
    ("efficientvit_seg_b1_ade20k", (512, 512), "4.8M", "3.1G"),
    ("efficientvit_seg_b2_ade20k", (512, 512), "15M", "9.1G"),
    ("efficientvit_seg_b3_ade20k", (512, 512), "39M", "22G"),
    ("efficientvit_seg_l1_ade20k", (512, 512), "40M", "36G"),
    ("efficientvit_seg_l2_ade20k", (512, 512), "51M", "45G"),
]


def count(name: str, size: tuple[int, int]) -> tuple[int, float, tuple[int, ...]]:
    """Parameters, multiply-adds and output shape; the meta device runs on shapes alone."""
    with torch.device("meta"):
        network = create_network(name, size=size)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            output = network(torch.empty(1, 3, *size))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2, tuple(output.shape)


def assert_as_printed(value: float, printed: str) -> None:
    """Within 1 % of a printed number, or within what its rounding hides."""
    number, unit = printed[:-1], {"M": 1e6, "G": 1e9}[printed[-1]]
    digits = len(number.partition(".")[2])
    assert value / unit == pytest.approx(float(number), rel=0.01, abs=0.5 * 10**-digits)


@pytest.mark.parametrize(("name", "size", "params", "macs"), PUBLISHED)
def test_parameters_and_macs_are_the_published_ones(name, size, params, macs):
    found_params, found_macs, _ = count(name, size)
    # Table 4 prints 39M for B3, which has 39.55 M.
    assert_as_printed(found_params, "39.5M" if params == "39M" else params)
    assert_as_printed(found_macs, macs)


@pytest.mark.parametrize("name", NETWORK_SPECS)
def test_specification_matches_the_network(name):
    spec = network_spec(name)
    params, macs, shape = count(name, spec.size)
    assert params == pytest.approx(spec.params, rel=0.01)
    assert macs == pytest.approx(spec.macs, rel=0.015)
    height, width = spec.size
    if spec.kind == "classify":
        assert shape == (1, 1000)
    elif spec.kind == "semantic":
        assert shape == (1, spec.classes, height // 8, width // 8)
    else:
        assert shape == (1, 3, 2 * height, 2 * width)


@pytest.mark.parametrize("part", ["no_multi_scale", "no_attention", "neither"])
@pytest.mark.parametrize("dataset", ["cityscapes", "camvid"])
def test_ablations_have_the_multiply_adds_of_the_full_network(part, dataset):
    """EfficientViT's table 1: the widths are scaled until the multiply-adds are the same."""
    complete, ablated = f"efficientvit_seg_b0_{dataset}", f"efficientvit_seg_b0_{part}_{dataset}"
    size = network_spec(complete).size
    assert count(ablated, size)[1] == pytest.approx(count(complete, size)[1], rel=0.02)
    kinds = {type(module).__name__ for module in create_network(ablated).modules()}
    assert ("MultiScaleLinearAttention" in kinds) == (part == "no_multi_scale")
    assert ("MultiScaleTokens" in kinds) == (part == "no_attention")


@torch.no_grad()
def test_an_ablation_lacks_the_part_in_its_name():
    torch.manual_seed(0)
    image = torch.randn(1, 8, 24, 24)
    other = image.clone()
    other[..., 12, 12] += 1.0
    reach = {}
    for part, options in {
        "whole": {},
        "no multi-scale": {"scale": 0},
        "no attention": {"attends": False},
        "neither": {"scale": 0, "attends": False},
    }.items():
        module = EfficientViTModule(8, 4, head_dim=4, style=B_STYLE, **options).eval()
        changed = (module(image) - module(other)).abs().amax(1)[0] > 1e-6
        reach[part] = int(changed.any(0).sum())
    # 3x3 of the MBConv, 5x5 of the tokens before it, or everywhere.
    assert reach == {"whole": 24, "no multi-scale": 24, "no attention": 7, "neither": 3}


def test_width_of_super_resolution_is_three_quarters():
    wide, narrow = (create_network(name) for name in ("efficientvit_sr", "efficientvit_sr_w075"))
    assert narrow.first.out_channels / wide.first.out_channels == 0.75
    assert len(narrow.groups) == len(wide.groups)


@torch.no_grad()
def test_super_resolution_starts_as_bicubic():
    network = create_network("efficientvit_sr_tiny")
    image = torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(image, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(network(image), expected)


def test_sides_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match=r"250x330 does not fit.*multiples of 32"):
        create_network("efficientvit_seg_b0_camvid", size=(250, 330))
    network = create_network("efficientvit_seg_b0_camvid")
    assert isinstance(network, SegmentationNetwork)
    with pytest.raises(ValueError, match="250x330"):
        network(torch.zeros(1, 3, 250, 330))


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match=r"'efficientvit_b9' is unknown.*efficientvit_cls_b0"):
        network_spec("efficientvit_b9")
