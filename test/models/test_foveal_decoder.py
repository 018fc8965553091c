# SPDX-License-Identifier: Apache-2.0
"""With all cells the foveal decoder is the decoder; with fewer it costs what they cost."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evitsam_ros.models import create_model
from evitsam_ros.models.decoder_rewrites import DeployedDecoder
from evitsam_ros.models.foveal_decoder import FovealDecoder
from evitsam_ros.segment.mask_filter import stability

from ..conftest import lively
from .logits import with_large_logits


@pytest.fixture(scope="module", params=["lite_sam", "efficientnet_sam_lite0", "edge_sam"])
def model(request):
    model = lively(create_model(request.param, image_size=640))
    # EdgeSAM's masks are rated by logits beyond 1.
    return with_large_logits(model) if request.param == "edge_sam" else model


def prompts(spec, count: int):
    generator = torch.Generator().manual_seed(count)
    coords = torch.rand(count, 3, 2, generator=generator) * spec.prompt_size
    labels = torch.tensor([1.0, 2.0, 3.0]).expand(count, 3)
    return torch.randn(1, *spec.embedding, generator=generator), coords, labels


def high_res(spec) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return [torch.randn(1, *shape, generator=generator) for shape in spec.high_res]


def in_image_order(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    count = masks.shape[0]
    fine = masks.reshape(count, 3, height, width, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
    return fine.reshape(count, 3, 4 * height, 4 * width)


def test_all_cells_give_the_decoder_itself(model):
    spec = model.spec
    _, height, width = spec.embedding
    embedding, coords, labels = prompts(spec, 3)
    cells = torch.arange(height * width, dtype=torch.int32).expand(3, -1)
    with torch.no_grad():
        empty = torch.zeros(1, 1, *spec.mask_size), torch.zeros(1)
        fine = high_res(spec)
        expected, wanted_iou = DeployedDecoder(model)(embedding, coords, labels, *empty, *fine)
        masks, iou = FovealDecoder(model)(embedding, coords, labels, cells, *fine)
    masks = in_image_order(masks, height, width)
    assert ((masks - expected).abs().max() / expected.std()).item() < 1e-4
    torch.testing.assert_close(iou, wanted_iou, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_masks_without_a_predicted_iou_are_rated_by_stability():
    """As everything mode computes it on the masks; cells count by their areas."""
    model = with_large_logits(lively(create_model("edge_sam", image_size=320)))
    embedding, coords, labels = prompts(model.spec, 3)
    empty = torch.zeros(1, 1, *model.spec.mask_size), torch.zeros(1)
    for form in ("plain", "folded"):
        masks, rates = DeployedDecoder(model, form)(embedding, coords, labels, *empty)
        for one, rate in zip(masks, rates, strict=True):
            np.testing.assert_allclose(rate.numpy(), stability(one.numpy()), rtol=1e-4)
    # Cells of the coarsest level have as many logits as the finest, and 64 times their area.
    coarse = torch.arange(400 + 100 + 25, 400 + 100 + 25 + 4, dtype=torch.int32)
    both = torch.cat([torch.arange(4, dtype=torch.int32), coarse]).expand(3, -1)
    masks, rates = FovealDecoder(model)(embedding, coords, labels, both)
    weights = np.repeat([1.0] * 4 + [64.0] * 4, 16)
    inner, outer = ((masks.numpy() > offset) @ weights for offset in (1.0, -1.0))
    np.testing.assert_allclose(rates.numpy(), inner / outer, rtol=1e-4)


def test_the_order_of_the_cells_is_the_order_of_the_masks(model):
    """Attention does not mind the order, so shuffled cells give the same masks, shuffled."""
    embedding, coords, labels = prompts(model.spec, 2)
    cells = torch.randint(0, 2125, (2, 60), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        fine = high_res(model.spec)
        masks, iou = FovealDecoder(model)(embedding, coords, labels, cells, *fine)
        shuffled, same_iou = FovealDecoder(model)(embedding, coords, labels, cells[:, order], *fine)
    torch.testing.assert_close(
        shuffled.unflatten(2, (60, 16)), masks.unflatten(2, (60, 16))[:, :, order], rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(iou, same_iou, rtol=1e-4, atol=1e-5)


def test_few_cells_cost_little():
    """Of the work that one more prompt brings, 64 of 1,600 cells leave less than a tenth."""
    with torch.device("meta"):
        model = create_model("lite_sam")

    def more(decoder, *inputs) -> float:
        flops = []
        for count in (2, 10):
            batch = [x[:1].expand(count if i else 1, *x.shape[1:]) for i, x in enumerate(inputs)]
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                decoder(*batch)
            flops.append(counter.get_total_flops())
        return flops[1] - flops[0]

    embedding, coords, labels = (x.to("meta") for x in prompts(model.spec, 1))
    cells = torch.zeros(1, 64, dtype=torch.int32, device="meta")
    mask = torch.zeros(1, 1, *model.spec.mask_size, device="meta")
    few = more(FovealDecoder(model), embedding, coords, labels, cells)

    def complete(embedding, coords, labels):
        return DeployedDecoder(model)(embedding, coords, labels, mask, mask[:, 0, 0, 0])

    assert few < 0.1 * more(complete, embedding, coords, labels)


def test_wide_cells_are_the_means_of_their_fine_ones(model):
    """Where the embedding is the same all over four by four cells, the mean of them says as much as each."""
    spec = model.spec
    coarse = torch.randn(1, spec.embedding[0], 10, 10, generator=torch.Generator().manual_seed(3))
    embedding = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    decoder = FovealDecoder(model)
    levels = decoder._levels(embedding)
    assert [level.shape[1] for level in levels] == [1600, 400, 100, 25]
    torch.testing.assert_close(levels[2], coarse.flatten(2).transpose(1, 2))
    position = decoder.position[0, 2000 + 10 * 3 + 7]
    centre = torch.tensor([[(7 + 0.5) / 10, (3 + 0.5) / 10]])
    torch.testing.assert_close(position, model.prompt_encoder.pe_layer(centre)[0])


def test_wide_cells_have_the_means_of_the_high_resolution_features():
    """A cell of stride s reads what a pooling by s gives at its place: the feature is the place itself."""
    model = create_model("efficientnet_sam_lite0")
    decoder = FovealDecoder(model)
    rows, columns = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    stride4 = torch.stack([rows, columns] + [rows * 0] * 30)[None]
    stride8 = torch.nn.functional.avg_pool2d(stride4, 2).repeat(1, 2, 1, 1)
    # The cell of row 3 and column 7 of each level, whose grids have 40, 20, 10 and 5 columns (3 and 2 there).
    places = [(3, 7, 40, 0), (3, 7, 20, 1600), (3, 7, 10, 2000), (3, 2, 5, 2100)]
    cells = torch.tensor([[first + row * width + column for row, column, width, first in places]])
    fine4, fine8 = decoder._high_res_of(cells, (stride4, stride8))
    assert fine4.shape == (1, 4 * 16, 32) and fine8.shape == (1, 4 * 4, 64)
    for index, (row, column, width, _) in enumerate(places):
        side = 160 / width / 4  # of a quarter's quarter, in cells of stride 4
        ys = (row * 4 + torch.arange(4)) * side + (side - 1) / 2
        xs = (column * 4 + torch.arange(4)) * side + (side - 1) / 2
        found = fine4[0, index * 16 : index * 16 + 16, :2].reshape(2, 2, 2, 2, 2)
        # y, x of the quarters, then y, x within them.
        found = found.permute(0, 2, 1, 3, 4).reshape(4, 4, 2)
        torch.testing.assert_close(found[:, 0, 0], ys)
        torch.testing.assert_close(found[0, :, 1], xs)
        middle = fine8[0, index * 4 : index * 4 + 4, :2].mean(0)
        torch.testing.assert_close(middle, torch.stack([ys.mean(), xs.mean()]))
