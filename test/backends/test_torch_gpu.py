# SPDX-License-Identifier: Apache-2.0
"""Half precision with islands in torch, on the CPU: the arithmetic of the GPU's way, without its graphs.

CUDA graphs are left to a machine with a GPU: no stand-in would show whether they are right.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from evitsam_ros.backends.torch_backend import COORDINATES, COORDINATES_AND_CELLS
from evitsam_ros.backends.torch_gpu import ISLANDS, Graphed, Halved, InPowersOfTwo, halve
from evitsam_ros.models import create_model
from evitsam_ros.models.decoder_rewrites import DeployedDecoder
from evitsam_ros.models.foveal_decoder import FovealDecoder
from evitsam_ros.models.layers import LayerNorm2d
from evitsam_ros.models.registry import read_checkpoint

from ..conftest import ROOT, lively

aten = torch.ops.aten
#: What CUDA computes in one floating type only, by the places of the arguments that have to agree; the CPU
#: mixes some of them.
OF_ONE_TYPE = {
    aten.native_layer_norm.default: (0, 2, 3),
    aten.convolution.default: (0, 1, 2),
    aten.addmm.default: (0, 1, 2),
    aten.mm.default: (0, 1),
    aten.bmm.default: (0, 1),
    aten.native_batch_norm.default: (0, 1, 2),
}


class AsStrictAsCuda(TorchDispatchMode):
    """Raises where CUDA would: operators whose arguments differ in their type."""

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        places = OF_ONE_TYPE.get(operator, ())
        found = {arguments[i].dtype for i in places if i < len(arguments) and arguments[i] is not None}
        if len(found) > 1:
            raise RuntimeError(f"{operator}: expected one scalar type, found {found}")
        return operator(*arguments, **(named or {}))


@pytest.fixture(scope="module")
def shipped():
    return create_model("lite_sam", ROOT / "engines" / "lite_sam" / "model.safetensors")


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).item()


@torch.no_grad()
def test_shipped_masks_survive_half_precision(shipped, photograph):
    from evitsam_ros.segment.transform import preprocess

    blob = torch.from_numpy(preprocess(photograph, 640, shipped.spec.mean, shipped.spec.std))
    embedding = shipped.image_encoder(blob)
    half = halve(shipped.deploy())
    (found,) = Halved(half.image_encoder)(blob)
    assert found.dtype == torch.float32 and cosine(found, embedding) > 0.9999
    coords = torch.tensor([[[200.0, 60.0], [420.0, 400.0]], [[20.0, 20.0], [600.0, 600.0]]])
    labels = torch.tensor([[2.0, 3.0], [2.0, 3.0]])
    empty = torch.zeros(1, 1, *shipped.spec.mask_size), torch.zeros(1)
    expected, _ = DeployedDecoder(shipped, "plain").eval()(embedding, coords, labels, *empty)
    masks, _ = Halved(DeployedDecoder(half).eval(), kept=COORDINATES)(found, coords, labels, *empty)
    ours, right = masks.numpy() > 0, expected.numpy() > 0
    assert (ours & right).sum() / (ours | right).sum() > 0.99
    for ours, right in zip(Halved(half.auto_ppn)(found), shipped.auto_ppn(embedding), strict=True):
        assert cosine(ours, right) > 0.999


@torch.no_grad()
def test_linear_attention_and_the_last_norm_do_not_overflow():
    """With everything in float16 this encoder gives nothing but NaN."""
    model = lively(create_model("efficientvit_sam_l0"))
    blob = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    expected = model.image_encoder(blob)
    (found,) = Halved(halve(model, torch.bfloat16).image_encoder, torch.bfloat16)(blob)
    assert found.isfinite().all() and cosine(found, expected) > 0.99


def test_islands_keep_every_bit(shipped):
    half = halve(shipped.deploy())
    plain = dict(shipped.deploy().named_modules())
    islands = [(name, module) for name, module in half.named_modules() if isinstance(module, ISLANDS)]
    assert len(islands) >= 4
    for name, module in islands:
        for a, b in zip(module.state_dict().values(), plain[name].state_dict().values(), strict=True):
            assert torch.equal(a, b) and a.dtype == torch.float32
    inside = half.mask_decoder.transformer.layers[0].mlp.lin1.weight
    assert inside.dtype == torch.float16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_graphs_equal_the_module(shipped):
    module = Halved(halve(shipped.deploy()).cuda().image_encoder)
    graphed = Graphed(module)
    with torch.inference_mode():
        for seed in range(3):
            blob = torch.randn(1, 3, 640, 640, generator=torch.Generator().manual_seed(seed)).cuda()
            np.testing.assert_allclose(graphed(blob)[0].cpu(), module(blob)[0].cpu(), rtol=1e-2, atol=1e-2)


def test_the_shipped_checkpoint_is_plain_tensors():
    state = read_checkpoint(ROOT / "engines" / "lite_sam" / "model.safetensors")
    assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_any_number_of_prompts_runs_in_few_shapes():
    """Rows of a batch do not see each other, so what is filled up changes nothing."""
    decoder = FovealDecoder(lively(create_model("lite_sam")))
    seen = set()

    def network(*inputs):
        seen.add(tuple(inputs[1].shape))
        with torch.no_grad():
            return list(decoder(*inputs))

    embedding = torch.randn(1, *decoder.sam.spec.embedding, generator=torch.manual_seed(0))
    for count in (1, 3, 4, 5):
        prompts = (
            torch.rand(count, 3, 2) * 640,
            torch.tensor([[1.0, 2.0, 3.0]]).expand(count, 3),
            torch.randint(0, 1600, (count, 9), dtype=torch.int32),
        )
        with torch.no_grad():
            expected = decoder(embedding, *prompts)
        for ours, plain in zip(InPowersOfTwo(network)(embedding, *prompts), expected, strict=True):
            torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    assert seen == {(1, 3, 2), (4, 3, 2), (8, 3, 2)}


def test_views_survive_half_precision(shipped):
    """Cells stay whole numbers, coordinates float32."""
    halved = Halved(FovealDecoder(halve(shipped.deploy())).eval(), kept=COORDINATES_AND_CELLS)
    embedding = torch.randn(1, 256, 40, 40, generator=torch.manual_seed(0))
    cells = torch.arange(64, dtype=torch.int32).expand(2, -1) + 400
    coords = torch.tensor([[[170.0, 170.0], [150.0, 160.0], [200.0, 190.0]]]).expand(2, -1, -1)
    labels = torch.tensor([[1.0, 2.0, 3.0]]).expand(2, -1)
    with torch.no_grad():
        expected, _ = FovealDecoder(shipped)(embedding, coords, labels, cells)
        found, _ = halved(embedding, coords, labels, cells)
    assert torch.isfinite(found).all() and ((found > 0) == (expected > 0)).float().mean() > 0.97


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rows_of_channels_are_normalised_in_float32(dtype):
    """Against PyTorch's layer norm of the same values in float64."""
    norm = LayerNorm2d(24).eval()
    torch.nn.init.normal_(norm.weight, generator=torch.manual_seed(0))
    torch.nn.init.normal_(norm.bias)
    rows = (torch.randn(3, 50, 24) * 200).to(dtype)  # squares beyond float16
    with torch.no_grad(), AsStrictAsCuda():
        found, same = norm.rows(rows), norm.rows(rows.float())
        as_image = norm(rows.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
    expected = F.layer_norm(rows.double(), (24,), norm.weight.double(), norm.bias.double(), norm.eps)
    assert found.dtype == as_image.dtype == dtype and same.dtype == torch.float32
    torch.testing.assert_close(same.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, expected.to(dtype))
    torch.testing.assert_close(as_image, expected.to(dtype))


@pytest.mark.parametrize("name", ["lite_sam", "efficientvit_sam_l0"])
@torch.no_grad()
def test_a_halved_model_never_mixes_types_where_cuda_cannot(name):
    """Every network of a model, with random numbers of prompts and points; on tensors without values."""
    rng = np.random.default_rng(0)
    half = halve(create_model(name).deploy())
    decoder, foveal = DeployedDecoder(half).eval().to("meta"), FovealDecoder(half).eval().to("meta")
    spec = half.spec
    with AsStrictAsCuda(), torch.device("meta"):
        embedding = torch.empty(1, *spec.embedding)
        image = torch.empty(1, 3, spec.image_size, spec.image_size)
        (found,) = Halved(half.image_encoder)(image)
        assert found.dtype == torch.float32 and found.shape == embedding.shape
        if half.auto_ppn is not None:
            assert len(Halved(half.auto_ppn)(embedding)) == 2
        nothing = torch.empty(1, 1, *spec.mask_size), torch.empty(1)
        for count, points, cells in rng.integers(1, (5, 8, 40), (6, 3)).tolist():
            prompts = torch.empty(count, points, 2), torch.empty(count, points)
            masks, iou = Halved(decoder, kept=COORDINATES)(embedding, *prompts, *nothing)
            assert masks.dtype == iou.dtype == torch.float32 and masks.shape[:2] == (count, 3)
            places = torch.empty(count, cells, dtype=torch.int32)
            masks, iou = Halved(foveal, kept=COORDINATES_AND_CELLS)(embedding, *prompts, places)
            assert masks.dtype == iou.dtype == torch.float32 and masks.shape == (count, 3, 16 * cells)
