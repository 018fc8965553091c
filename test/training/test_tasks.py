# SPDX-License-Identifier: Apache-2.0
"""Every task learns what it should and nothing else; teachers and heads agree with transformers' SAM."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from evitsam_ros.models import create_model, sam_vit
from evitsam_ros.models.timm_backbone import import_torchvision
from training.annotations import read_folder
from training.checkpoint import save_weights
from training.engine import Engine
from training.heads import heads_from_transformers
from training.mask_teacher import MaskTeacher
from training.precompute import image_batch, precompute
from training.prompting import PromptSet, box_prompts, click_at_error, outside_boxes
from training.recipe import Recipe, Teacher
from training.tasks import TASKS
from training.teachers import FileTeacher, ModelTeacher, open_teacher, read_embedding

import_torchvision()
transformers = pytest.importorskip("transformers")

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
STAGE = {"size": 64, "steps": 2, "batch": 2, "prompts": 4, "lr": 1e-3}


def recipe(task: str, **more) -> Recipe:
    settings = {"task": task, "data": {"train": ["shapes_train"]}, "stages": [STAGE], "precision": "32-true"}
    return Recipe.model_validate({**settings, **more})


def changed(engine: Engine) -> set[str]:
    """The top-level parts of the model whose weights a run changes."""
    before = {name: p.detach().clone() for name, p in engine.model.state_dict().items()}
    engine.run()
    after = engine.model.state_dict()
    return {name.split(".")[0] for name, old in before.items() if not torch.equal(old, after[name])}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A checkpoint of a Lite-SAM."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_weights(create_model("lite_sam").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    """SAM as transformers keeps it, with a small image encoder and the full heads, at random."""
    torch.manual_seed(2)
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 128,
        "window_size": 4,
        "global_attn_indexes": [0],
        "mlp_dim": 32,
    }
    folder = tmp_path_factory.mktemp("sam")
    prompts = {"image_size": 128, "mask_input_channels": 16}
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompts)
    sam = transformers.SamModel(config)
    # What starts as zeros would hide a wrong name.
    for parameter in sam.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    sam.save_pretrained(folder)
    return folder


def test_recipes_name_every_task():
    assert set(TASKS) == set(Recipe.model_fields["task"].annotation.__args__)


def test_joint_training_moves_every_part(shapes_data, tmp_path):
    engine = Engine(recipe("lite_sam"), shapes_data, tmp_path, workers=0)
    assert changed(engine) == {"image_encoder", "prompt_encoder", "mask_decoder", "auto_ppn"}


@pytest.mark.parametrize(
    "losses",
    [{"heat": "focal"}, {"grouping": False}, {"pixel": "bce"}],
    ids=lambda losses: next(iter(losses)),
)
def test_ablations_train(shapes_data, tmp_path, losses):
    more = {
        "losses": losses,
        "ppn_stem": "conv",
        "data": {"train": ["shapes_train"], "heat_target": "gaussian"},
    }
    engine = Engine(recipe("lite_sam", **more), shapes_data, tmp_path, workers=0)
    assert engine.model.auto_ppn.stem.kernel_size == (3, 3)
    assert "auto_ppn" in changed(engine)


def test_proposals_are_trained_on_a_frozen_encoder(shapes_data, tmp_path):
    """EfficientViT-SAM too, batch statistics included."""
    stage = {**STAGE, "size": 256, "steps": 1}
    more = {"model": "efficientvit_sam_l0", "stages": [stage]}
    engine = Engine(recipe("auto_ppn", **more), shapes_data, tmp_path, workers=0)
    assert changed(engine) == {"auto_ppn"}


@pytest.mark.parametrize(("name", "size"), [("auto_ppn_sam_b", 1024), ("auto_ppn_mobile_sam", 256)])
def test_recipes_of_table_3_train_proposals_on_other_encoders(shapes_data, tmp_path, monkeypatch, name, size):
    """Two steps of each recipe, on little data; the ViT is small."""
    monkeypatch.setitem(sam_vit.SIZES, "vit_b", sam_vit.VitSize(64, 2, 2, (1,)))
    settings = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    stage = {**settings["stages"][0], "size": size, "batch": 2, "steps": 2}
    del stage["epochs"]
    few = {"data": {"train": ["shapes_train"]}, "stages": [stage], "precision": "32-true"}
    engine = Engine(Recipe.model_validate({**settings, **few}), shapes_data, tmp_path, workers=0)
    assert changed(engine) == {"auto_ppn"}


@torch.no_grad()
def test_sam_vit_rejects_other_sizes():
    with pytest.raises(ValueError, match=r"1024 x 1024 pixels, not \(64, 64\)"):
        sam_vit.SamVit(sam_vit.VitSize(64, 1, 2, ()))(torch.zeros(1, 3, 64, 64))


def test_efficientvit_sam_is_trained_end_to_end(shapes_data, tmp_path):
    """Boxes or points in the frame of 1024 pixels, masks on the grid of 256 cells, clicks at the errors."""
    stage = {**STAGE, "size": 256, "steps": 1, "batch": 1, "prompts": 2}
    more = {
        "model": "efficientvit_sam_l0",
        "stages": [stage],
        "prompts": {"boxes_and_points": False, "rounds": 2},
    }
    engine = Engine(recipe("sam", **more), shapes_data, tmp_path, workers=0)
    batch = next(engine.feed.batches(engine.recipe.stages[0], engine.model.spec, 0, 0, 1))
    assert batch.coverage.shape[-2:] == (256, 256) and batch.prompt_scale == 4.0
    assert changed(engine) == {"image_encoder", "prompt_encoder", "mask_decoder"}


@pytest.mark.parametrize(
    ("share", "alone", "seen"),
    [
        (0.0, 1.0, [(2, 0), (3, 0), (4, 0)]),
        (1.0, 0.0, [(2, 0), (3, 1), (4, 1)]),
        (1.0, 1.0, [(2, 0), (3, 1), (1, 1)]),
    ],
)
def test_rounds_add_clicks_and_read_the_last_logits_by_the_recipe(
    shapes_data, tmp_path, monkeypatch, share, alone, seen
):
    """(tokens of the prompt, whether it has a mask) by round: the last one may be the mask alone."""
    prompts = {"rounds": 3, "mask_feedback": share, "mask_only": alone, "boxes": 1.0}
    stages = [{**STAGE, "steps": 1, "batch": 1, "prompts": 2}]
    engine = Engine(recipe("lite_sam", stages=stages, prompts=prompts), shapes_data, tmp_path, workers=0)
    decode, calls = type(engine.model).decode, []

    def recording(self, embedding, coords, labels, mask, has_mask, *rest):
        calls.append((coords.shape[1], int(has_mask.max())))
        return decode(self, embedding, coords, labels, mask, has_mask, *rest)

    monkeypatch.setattr(type(engine.model), "decode", recording)
    engine.run()
    assert calls[:3] == seen


def test_a_timm_encoder_is_trained_and_its_fixed_layers_stay(shapes_data, tmp_path):
    """Strides up to 4 and depthwise kernels stay; the rest learns, high-resolution features too."""
    stages = [{**STAGE, "size": 64, "freeze_backbone_stride": 4, "freeze_depthwise": True}]
    more = {"model": "efficientnet_sam_lite0", "backbone": "wheel", "stages": stages}
    engine = Engine(recipe("sam", **more), shapes_data, tmp_path, workers=0)
    before = {name: tensor.clone() for name, tensor in engine.model.state_dict().items()}
    engine.run()
    after = engine.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"image_encoder.high_res.0.weight", "image_encoder.neck.output.weight"} <= moved
    assert "image_encoder.backbone.trunk.blocks.6.0.conv_pwl.weight" in moved
    trunk = {name.removeprefix("image_encoder.backbone.trunk.") for name in moved if ".trunk." in name}
    fixed = ("conv_stem", "blocks.0", "blocks.1")
    assert not any("conv_dw" in name or name.startswith(fixed) for name in trunk)


def test_only_sources_where_every_object_has_a_mask_teach_proposals(shapes_data, tmp_path):
    losses = []
    for sources in (None, ["another"]):
        data = {"train": ["shapes_train"], "proposal_sources": sources}
        engine = Engine(recipe("lite_sam", data=data), shapes_data, tmp_path / str(sources), workers=0)
        batch = next(engine.feed.batches(engine.recipe.stages[0], engine.model.spec, 0, 0, 1))
        losses.append(engine.train_step([batch], 1e-4))
    assert losses[0]["heat"] > 0 and losses[0]["box"] > 0
    assert losses[1]["heat"] == losses[1]["box"] == 0


def test_a_stage_of_heads_only_leaves_the_encoder_as_it_is(shapes_data, tmp_path):
    stages = [{**STAGE, "heads_only": True}]
    engine = Engine(recipe("lite_sam", stages=stages), shapes_data, tmp_path, workers=0)
    assert changed(engine) == {"prompt_encoder", "mask_decoder"}
    both = [*stages, {**STAGE, "steps": 1}]
    engine = Engine(recipe("lite_sam", stages=both), shapes_data, tmp_path / "both", workers=0)
    assert changed(engine) == {"image_encoder", "prompt_encoder", "mask_decoder", "auto_ppn"}


def test_a_frozen_first_stage_is_folded_and_does_not_change(shapes_data, tmp_path):
    stages = [{**STAGE, "freeze_first_stage": True}]
    engine = Engine(recipe("lite_sam", stages=stages), shapes_data, tmp_path, workers=0)
    encoder = engine.model.image_encoder
    image = torch.randn(1, 3, 64, 64, generator=torch.manual_seed(0))
    with torch.no_grad():
        expected = encoder.eval().stages[0](encoder.merges[0](image))
        torch.testing.assert_close(encoder.folded_first_stage()(image), expected, rtol=1e-3, atol=1e-4)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    engine.run()
    after = encoder.state_dict()
    same = {name.split(".")[1] for name, old in before.items() if torch.equal(old, after[name])}
    moved = {name.split(".")[1] for name, old in before.items() if not torch.equal(old, after[name])}
    assert "0" in same and "0" not in moved - {"laterals"} and {"1", "2", "3"} <= moved


def test_distillation_moves_the_encoder_towards_the_teacher(shapes_data, tmp_path, teacher):
    more = {
        "teacher": {"kind": "model", "model": "lite_sam", "path": str(teacher), "proposals_weight": 1.0},
        "stages": [{**STAGE, "steps": 12}],
    }
    engine = Engine(recipe("distill", **more), shapes_data, tmp_path, workers=0)
    batch = next(engine.feed.batches(engine.recipe.stages[0], engine.model.spec, 0, 0, 1))

    def distance() -> float:
        with torch.no_grad():
            return engine.task(batch, 0)[1]["distance"].item()

    before = distance()
    assert changed(engine) == {"image_encoder", "auto_ppn"}
    assert distance() < 0.9 * before


def test_a_student_approaches_the_teachers_embedding_and_masks(shapes_data, tmp_path, teacher):
    stage = {"size": 64, "steps": 16, "batch": 2, "prompts": 4, "lr": 3e-3}
    # The teacher's weights are random, so people's masks would pull elsewhere.
    losses = {"pixel_weight": 0.0, "dice_weight": 0.0, "iou_weight": 0.0}
    options = {"kind": "model", "model": "lite_sam", "path": str(teacher)}
    options |= {"embedding_weight": 1.0, "masks_weight": 10.0}
    taught = recipe("sam", teacher=options, stages=[stage], losses=losses)
    engine = Engine(taught, shapes_data, tmp_path, workers=0)
    task = engine.plain_task
    batch = next(engine.feed.batches(engine.recipe.stages[0], engine.model.spec, 0, 0, 1))

    def distances() -> tuple[float, float]:
        task.eval()
        with torch.no_grad():
            embedding, _ = task.embed(batch)
            teacher_output = task.mask_teacher.encode(batch)
            prompts = box_prompts(batch.boxes.flatten(0, 1))
            task.model.prompt_encoder.embedding_size = tuple(embedding.shape[-2:])
            coords, labels = prompts.in_frame(batch.prompt_scale)
            empty = torch.zeros(1, 1, 16, 16), torch.zeros(1)
            per_prompt = embedding.repeat_interleave(batch.boxes.shape[1], 0)
            logits, _ = task.model.decode(per_prompt, coords, labels, *empty)
            masks = task.mask_teacher.mask_loss(teacher_output, prompts, 64, logits[:, 1:])
            return float(task.mask_teacher.embedding_loss(teacher_output, embedding)), float(masks)

    before = distances()
    teachers = {name: value.clone() for name, value in task.mask_teacher.state_dict().items()}
    engine.run()
    after = distances()
    assert after[0] < 0.85 * before[0] and after[1] < before[1], (before, after)
    assert all(torch.equal(value, task.mask_teacher.state_dict()[name]) for name, value in teachers.items())


def test_a_teacher_drawing_the_students_own_masks_costs_their_entropy(shapes_data, tmp_path, teacher):
    """Cross entropy with oneself is the entropy, the least there is."""
    mask_teacher = MaskTeacher(Teacher(kind="model", model="lite_sam", path=str(teacher)))
    engine = Engine(recipe("lite_sam"), shapes_data, tmp_path, workers=0)
    batch = next(engine.feed.batches(engine.recipe.stages[0], engine.model.spec, 0, 0, 1))
    prompts, teacher_output = box_prompts(batch.boxes.flatten(0, 1)), mask_teacher.encode(batch)
    own, per_prompt = mask_teacher.model, teacher_output.embedding.repeat_interleave(4, 0)
    coords, labels = prompts.in_frame(own.spec.prompt_size / 64)
    own.prompt_encoder.embedding_size = (4, 4)
    with torch.no_grad():
        logits = own.decode(per_prompt, coords, labels, torch.zeros(1, 1, 16, 16), torch.zeros(1))[0][:, 1:]
    p = torch.sigmoid(logits)
    entropy = -(p * p.log() + (1 - p) * (1 - p).log()).nan_to_num().mean()
    torch.testing.assert_close(mask_teacher.mask_loss(teacher_output, prompts, 64, logits), entropy)


def test_embeddings_on_disk_are_those_of_the_teacher(shapes_data, tmp_path, teacher):
    records = read_folder(shapes_data, ["shapes_train"])
    model = ModelTeacher("lite_sam", teacher).eval()
    skipped = precompute(model, records, 128, tmp_path / "embeddings")
    assert not skipped.counts
    batch = image_batch(records[3], 128)
    with torch.no_grad():
        expected = model.embed(batch)
    found = FileTeacher(tmp_path / "embeddings").embed(batch)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)
    with pytest.raises(ValueError, match=r"has no embedding of other\.png: run"):
        read_embedding(tmp_path / "embeddings", "other.png")
    more = {
        "teacher": {"kind": "files", "path": str(tmp_path / "embeddings")},
        "data": {"train": ["shapes_train"], "flip": 0.0},
    }
    engine = Engine(recipe("distill", **more), shapes_data, tmp_path / "run", workers=0)
    assert changed(engine) == {"image_encoder"}


def test_recipe_refuses_augmented_views_of_embeddings_on_disk():
    with pytest.raises(ValueError, match="flip and copy_paste must be 0"):
        recipe("distill", teacher={"kind": "files", "path": "x"})
    with pytest.raises(ValueError, match="needs a teacher"):
        recipe("distill")


def test_sam_as_a_teacher_reads_the_input_of_its_own_processor(shapes_data, sam_folder):
    record = read_folder(shapes_data, ["shapes_train"])[0]
    teacher = open_teacher(Teacher(kind="sam", path=str(sam_folder)))
    with torch.no_grad():
        found = teacher.embed(image_batch(record, 128))
        processor = transformers.SamImageProcessor(
            size={"longest_edge": 128}, pad_size={"height": 128, "width": 128}
        )
        pixels = processor(record.read_image(), return_tensors="pt")["pixel_values"]
        expected = transformers.SamModel.from_pretrained(sam_folder).eval().get_image_embeddings(pixels)
    assert found.shape == expected.shape
    # Two resamplers of the same picture: alike, not equal.
    assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.98
    with pytest.raises(ValueError, match="expected a folder with SAM's config"):
        open_teacher(Teacher(kind="sam", path=str(sam_folder / "nothing")))


def test_heads_of_transformers_give_the_same_masks_in_our_decoder(sam_folder):
    sam = transformers.SamModel.from_pretrained(sam_folder).eval()
    model = create_model("efficientvit_sam_l0")
    heads = heads_from_transformers(load_file(sam_folder / "model.safetensors"))
    missing, unknown = model.load_state_dict(heads, strict=False)
    assert not unknown and all(name.startswith("image_encoder.") for name in missing)
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 256, 8, 8, generator=generator)
    points = torch.tensor([[[30.0, 40.0], [100.0, 20.0]]])
    model.prompt_encoder.embedding_size, model.prompt_encoder.prompt_size = (8, 8), 128
    with torch.no_grad():
        expected = sam(
            image_embeddings=embedding,
            input_points=points[None],
            input_labels=torch.tensor([[[1, 0]]]),
            multimask_output=True,
        )
        coords = torch.cat([points, torch.zeros(1, 1, 2)], dim=1)
        labels = torch.tensor([[1.0, 0.0, -1.0]])
        logits, iou = model.decode(embedding, coords, labels, torch.zeros(1, 1, 32, 32), torch.zeros(1))
    torch.testing.assert_close(logits[:, 1:], expected.pred_masks[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(iou[:, 1:], expected.iou_scores[0], rtol=1e-3, atol=1e-4)


def test_cells_outside_of_a_box_are_those_that_it_does_not_touch():
    boxes = torch.tensor([[8.0, 16.0, 24.0, 20.0], [9.0, 0.0, 15.0, 64.0]])
    inside = ~outside_boxes(boxes, cells=8, view=64.0)
    expected = torch.zeros(2, 8, 8, dtype=torch.bool)
    expected[0, 2:3, 1:3] = True
    expected[1, :, 1:2] = True
    assert torch.equal(inside, expected)


def test_clicks_go_where_the_mask_is_wrong():
    truth = torch.zeros(3, 8, 8)
    truth[:, 2:6, 2:6] = 1
    logits = truth * 2 - 1
    logits[0, 3, 4] = -1  # missed
    logits[1, 7, 0] = 1  # too much
    prompts = PromptSet(torch.zeros(3, 1, 2), torch.ones(3, 1))
    clicked = click_at_error(prompts, logits, truth, torch.Generator().manual_seed(0), view=64)
    assert clicked.coords[:2, 1].tolist() == [[4 * 8 + 3.5, 3 * 8 + 3.5], [3.5, 7 * 8 + 3.5]]
    assert clicked.labels[:, 1].tolist() == [1, 0, 1]
    x, y = ((clicked.coords[2, 1] + 0.5) / 8).long().tolist()
    assert truth[2, y, x] == 1
