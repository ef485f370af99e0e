"""GaitEdge: boxes, RoIAlign, edges and GaitGL against plain loops, and what trains in it."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import ConfigError
from core.models.base import implementation_of
from core.models.gaitedge.align import (
    MARGIN,
    SQUASHED_PLACES,
    Boxes,
    People,
    align,
    person_boxes,
    roi_align,
    squash,
    squash_masks,
    synthesise,
)
from core.models.gaitedge.build import build_gaitedge
from core.models.gaitedge.config import GaitEdgeConfig, GaitEdgeTrainConfig
from core.models.gaitedge.gaitgl import SMALLEST, GaitGL, GlobalLocal, PowerMean
from core.models.gaitedge.network import GaitEdge
from core.models.gaitedge.unet import UNet
from core.models.parameters import count_parts
from core.training.engine import make_engine
from core.training.loop import Runner
from core.training.optimizer import make_optimizer, set_rate
from core.video.cut import cut_silhouette
from tests.fakes.families import batch_of, model_of, settings_of
from tests.fakes.gpu_steps import job_of, losses_of
from tests.fakes.networks import multiply_adds, parameters, shaken

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)
PUBLISHED = GaitEdgeConfig()
SMALL = GaitEdgeConfig(
    size=32, segmentation=(2, 4, 8), rows=32, channels=(3, 4, 5), bands=4, embedding=6
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(5)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def person(rows, columns, top, bottom, left, right):
    """A mask float64 [rows, columns] of a body that is narrower above."""
    mask = torch.zeros(rows, columns, dtype=torch.float64)
    middle = (top + bottom) // 2
    third = (right - left) // 3
    mask[top:middle, left + third : right - third] = 1
    mask[middle:bottom, left:right] = 1
    return mask


# --- sizes ---


def test_parameters_and_work_are_the_published_ones():
    model = build_gaitedge(PUBLISHED, classes=74)
    unet, gaitgl = model.segmentation, model.recogniser
    assert parameters(unet) == 537_425
    assert sum(p.numel() for p in unet.parameters() if p.requires_grad) == 242_945
    assert parameters(gaitgl) == 3_096_673
    assert parameters(gaitgl.classifier) == 64 * 128 * 74
    counts = {part.name: (part.trainable, part.frozen) for part in count_parts(PUBLISHED, 74)}
    assert counts == {
        "encoder of the U-Net": (0, 294_480),
        "decoder of the U-Net": (242_945, 0),
        "classifier": (606_208, 0),
        "GaitGL": (2_490_465, 0),
    }
    with torch.device("meta"):
        unet, gaitgl = UNet().eval(), GaitGL(classes=74).eval()
        work, logits = multiply_adds(lambda: unet(torch.empty(30, 3, 128, 128)))
        assert work == pytest.approx(23.6, rel=0.01)
        assert logits.shape == (30, 1, 128, 128)
        work, output = multiply_adds(lambda: gaitgl(torch.empty(1, 1, 30, 64, 44)))
        assert work == pytest.approx(12.6, rel=0.01)
        assert output.embedding.shape == (1, 128, 64)
        assert output.logits.shape == (1, 74, 64)
        assert gaitgl.features(torch.empty(2, 1, 31, 64, 44)).shape == (2, 128, 10, 64, 22)


@pytest.mark.parametrize(
    ("levels", "bands"), [((2, 3, 2, 3, 2), 16), ((2, 3), 1)], ids=["most", "fewest"]
)
def test_levels_and_bands_that_fit_are_built(levels, bands):
    model = build_gaitedge(
        SMALL.model_copy(update={"segmentation": levels, "bands": bands}), classes=3
    ).eval()
    masks = person(32, 32, 2, 30, 4, 25).float().repeat(3, 1, 1, 1)
    output = model.recognise(People(torch.randn(3, 3, 32, 32), masks, torch.full((3,), 0.5)), 1)
    assert output.foreground.shape == (3, 1, 32, 32)
    assert output.embedding.shape == (1, 6, 32)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="edge must be odd"):
        GaitEdgeConfig(edge=4)
    bands = SMALL.model_copy(update={"bands": 3})
    with pytest.raises(ConfigError, match="3 bands do not divide the 16 rows") as caught:
        build_gaitedge(bands, classes=0)
    assert caught.value.where == "model.bands"


# --- boxes and RoIAlign ---


def bilinear(picture, y, x):
    """The value of a picture [H, W] at a place, whose pixels' centres are whole numbers."""
    height, width = picture.shape
    if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, share in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, part in ((left, 1 - (x - left)), (left + 1, x - left)):
            if share * part:
                total += share * part * float(picture[row, column])
    return total


def loop_roi_align(picture, box, size, most):
    """RoIAlign of one channel, bin by bin and place by place."""
    top, bottom, left, right = box
    high, wide = (bottom - top) / size[0], (right - left) / size[1]
    rows = min(max(math.ceil(high), 1), most[0])
    columns = min(max(math.ceil(wide), 1), most[1])
    out = torch.zeros(size, dtype=torch.float64)
    for i in range(size[0]):
        for j in range(size[1]):
            values = [
                bilinear(
                    picture,
                    top + (i + (a + 0.5) / rows) * high - 0.5,
                    left + (j + (b + 0.5) / columns) * wide - 0.5,
                )
                for a in range(rows)
                for b in range(columns)
            ]
            out[i, j] = sum(values) / len(values)
    return out


BOXES = [
    (2.0, 14.0, 1.0, 9.0),
    (0.0, 16.0, -4.5, 17.25),  # beyond both sides
    (3.25, 5.0, 6.5, 7.0),  # smaller than the result
    (-3.0, 19.0, 2.0, 60.0),  # more places than are allowed
]


def test_roi_align_is_that_of_plain_loops():
    pictures = draw(len(BOXES), 2, 16, 11)
    sides = torch.tensor(BOXES, dtype=torch.float64).unbind(1)
    aligned = roi_align(pictures, Boxes(*sides), (6, 5), (3, 4))
    for number, box in enumerate(BOXES):
        for channel in range(2):
            expected = loop_roi_align(pictures[number, channel], box, (6, 5), (3, 4))
            assert_exact(aligned[number, channel], expected)
    channels_last = pictures.contiguous(memory_format=torch.channels_last)
    assert_exact(roi_align(channels_last, Boxes(*sides), (6, 5), (3, 4)), aligned)


def test_boxes_are_around_the_person_and_all_of_an_empty_mask():
    masks = torch.zeros(3, 9, 7)
    masks[0, 2:6, 3:5] = 1
    masks[0, 7, 6] = 1
    masks[1] = 1
    boxes = person_boxes(masks)
    assert [side.tolist() for side in boxes] == [[2, 0, 0], [8, 9, 9], [3, 0, 0], [7, 7, 7]]


def test_people_are_squashed_with_their_ratio():
    """The box and a margin fill the square, and colours are normalised."""
    frames = torch.zeros(2, 3, 256, 128, dtype=torch.uint8)
    masks = torch.zeros(2, 256, 128, dtype=torch.uint8)
    masks[0, 10:250, 40:100] = 255
    masks[1, 100:180, 0:100] = 200
    masks[:, :5] = 127  # not a person
    frames[0, 0, 10:250, 40:100] = 255
    people = squash(frames, masks, 64)
    assert people.ratios.tolist() == pytest.approx([60 / 240, 100 / 80])
    inner = np.zeros((64, 64))
    inner[MARGIN:-MARGIN, MARGIN:-MARGIN] = 1
    assert people.masks[0, 0].numpy().tolist() == inner.tolist()
    assert people.masks[1, 0].numpy().tolist() == inner.tolist()
    red, black = (1 - 0.485) / 0.229, -0.485 / 0.229
    assert people.pictures[0, 0, 30, 30] == pytest.approx(red, rel=1e-5)
    assert people.pictures[0, 0, 30, 0] == pytest.approx(black, rel=1e-5)
    assert people.pictures[1, 2].unique().tolist() == pytest.approx([-0.406 / 0.225], rel=1e-5)
    shapes, ratios = squash_masks(masks, 64)
    assert torch.equal(shapes, people.masks)
    assert torch.equal(ratios, people.ratios)


def test_a_squash_is_the_box_resampled_by_loops():
    frames = torch.randint(0, 256, (1, 3, 256, 128), dtype=torch.uint8)
    masks = torch.zeros(1, 256, 128, dtype=torch.uint8)
    masks[0, 31:200, 20:73] = 255
    people = squash(frames, masks, 32, torch.float64)
    above, beside = 169 * MARGIN / 28, 53 * MARGIN / 28
    box = (31 - above, 200 + above, 20 - beside, 73 + beside)
    blue = loop_roi_align(frames[0, 2].double(), box, (32, 32), SQUASHED_PLACES)
    assert_exact(people.pictures[0, 2], (blue / 255 - 0.406) / 0.225)


def loop_align(picture, mask, ratio, size):
    """A silhouette of one channel: the mask's rows, its middle, its true proportions."""
    side = len(mask)
    rows = [y for y in range(side) if any(mask[y, x] > 0 for x in range(side))]
    top, bottom = rows[0], rows[-1] + 1
    whole, mass, centre = float(mask.sum()), 0.0, 0
    for x in range(side):
        mass += float(mask[:, x].sum())
        if 2 * mass > whole:
            centre = x
            break
    half = (bottom - top) * size[1] / size[0] / ratio / 2
    box = (top, bottom, centre - half, centre + half)
    return loop_roi_align(picture, box, size, (math.ceil(side / size[0]), 8))


@pytest.mark.parametrize("ratio", [0.2, 0.45, 1.1])
def test_align_is_that_of_plain_loops(ratio):
    pictures = draw(2, 1, 32, 32)
    masks = torch.stack([person(32, 32, 3, 30, 4, 25), person(32, 32, 0, 32, 0, 32)])[:, None]
    ratios = torch.full((2,), ratio, dtype=torch.float64)
    aligned = align(pictures, masks, ratios, (16, 11))
    for number in range(2):
        expected = loop_align(pictures[number, 0], masks[number, 0], ratio, (16, 11))
        assert_exact(aligned[number, 0], expected)


def test_a_mask_is_cut_as_silhouettes_commonly_are():
    """Squashed and aligned again, a person comes out as the field's cut makes it, but for edges."""
    mask = person(256, 128, 20, 246, 38, 96).numpy().astype(np.uint8) * 255
    mask[120:180, 96:110] = 255  # an arm, so that the middle is not that of the box
    cut = cut_silhouette(mask, 64, "area", None)
    assert cut is not None
    shapes, ratios = squash_masks(torch.from_numpy(mask)[None], 128)
    ours = align(shapes, shapes, ratios, (64, 44))[0, 0].numpy()
    theirs = cut[:, 10:54] / 255.0
    assert np.abs(ours - theirs).mean() < 0.03
    assert ((ours > 0.5) != (theirs > 0.5)).mean() < 0.03
    mirrored = np.abs(ours[:, ::-1] - theirs).mean()
    assert mirrored > 0.05, "a wrong middle would show"


def test_an_empty_mask_gives_numbers():
    nothing = torch.zeros(1, 1, 32, 32)
    aligned = align(torch.ones(1, 1, 32, 32), nothing, torch.ones(1), (16, 11))
    assert aligned.isfinite().all()
    people = squash(torch.zeros(1, 3, 256, 128), torch.zeros(1, 256, 128), 32)
    assert people.pictures.isfinite().all()
    assert people.ratios.tolist() == [0.5]


def test_gradients_pass_through_the_alignment_into_the_u_net():
    """Numerical ones of the cut, and none where the mask decides alone."""
    masks = torch.stack([person(32, 32, 3, 30, 4, 25)])[:, None]
    ratios = torch.tensor([0.5], dtype=torch.float64)
    small = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    weights = draw(1, 1, 8, 6)

    def value(probability):
        silhouettes = align(synthesise(probability, masks, 3), masks, ratios, (8, 6))
        return (weights * silhouettes).sum()

    (gradient,) = torch.autograd.grad(value(small), small)
    edge = synthesise(torch.ones_like(masks), masks, 3) - synthesise(0 * masks, masks, 3)
    assert torch.equal(gradient != 0, edge > 0) or (gradient[edge == 0] == 0).all()
    assert (gradient[edge > 0] != 0).float().mean() > 0.9
    with torch.no_grad():
        for y, x in ((3, 12), (16, 4), (29, 20), (16, 15)):
            moved = small.clone()
            moved[0, 0, y, x] += 1e-4
            slope = (value(moved) - value(small)) / 1e-4
            assert float(slope) == pytest.approx(float(gradient[0, 0, y, x]), abs=1e-8)


# --- edges ---


@pytest.mark.parametrize("edge", [3, 5])
def test_edges_are_those_of_plain_loops(edge):
    masks = torch.stack([person(12, 12, 1, 11, 2, 12), (torch.rand(12, 12) < 0.6).double()])
    probability = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    shapes = synthesise(probability, masks[:, None], edge)
    reach = edge // 2
    for number in range(2):
        for y in range(12):
            for x in range(12):
                around = [
                    float(masks[number, v, u])
                    for v in range(max(0, y - reach), min(12, y + reach + 1))
                    for u in range(max(0, x - reach), min(12, x + reach + 1))
                ]
                dilated, eroded = max(around), min(around)
                differ = dilated != eroded
                own = float(probability[number, 0, y, x])
                expected = differ * own + eroded * float(masks[number, y, x])
                assert float(shapes[number, 0, y, x]) == pytest.approx(expected, abs=1e-12)


# --- GaitGL ---


def test_bands_are_seen_by_themselves():
    layer = GlobalLocal(2, 3, bands=4).double()
    clips = draw(2, 2, 5, 8, 6)
    local = layer.in_bands(clips)
    for band in range(4):
        rows = slice(2 * band, 2 * band + 2)
        assert_exact(local[:, :, :, rows], layer.local(clips[:, :, :, rows].contiguous()))


def convolved(clips, weights, t, y, x, first, end):
    """A 3x3x3 convolution at one place, whose rows are those from ``first`` to ``end``."""
    total = torch.zeros(len(weights), dtype=torch.float64)
    for dt in range(3):
        for dy in range(3):
            for dx in range(3):
                at = (t + dt - 1, y + dy - 1, x + dx - 1)
                inside = 0 <= at[0] < clips.shape[2] and first <= at[1] < end
                if inside and 0 <= at[2] < clips.shape[4]:
                    total += weights[:, :, dt, dy, dx] @ clips[0, :, at[0], at[1], at[2]]
    return total


@pytest.mark.parametrize("stack", [False, True])
def test_a_global_and_local_layer_is_that_of_plain_loops(stack):
    layer = GlobalLocal(2, 3, bands=2, stack=stack).double()
    clips = draw(1, 2, 3, 4, 3)
    with torch.no_grad():
        output = layer(clips)
        for t in range(3):
            for y in range(4):
                for x in range(3):
                    band = y // 2 * 2
                    whole = convolved(clips, layer.whole.weight, t, y, x, 0, 4)
                    local = convolved(clips, layer.local.weight, t, y, x, band, band + 2)
                    whole, local = (torch.where(v > 0, v, 0.01 * v) for v in (whole, local))
                    if stack:
                        assert_exact(output[0, :, t, y, x], whole)
                        assert_exact(output[0, :, t, 4 + y, x], local)
                    else:
                        assert_exact(output[0, :, t, y, x], whole + local)


def test_the_power_mean_is_its_formula_and_has_gradients_of_nothing():
    layer = PowerMean(6.5).double()
    maps = draw(2, 3, 4, 5)
    means = layer(maps).detach()
    for b in range(2):
        for c in range(3):
            for y in range(4):
                powers = [max(float(v), SMALLEST) ** 6.5 for v in maps[b, c, y]]
                assert float(means[b, c, y]) == pytest.approx((sum(powers) / 5) ** (1 / 6.5))
    twos = torch.full((1, 1, 1, 4), 2.0, dtype=torch.float64)
    assert float(layer(twos).detach()) == pytest.approx(2.0)
    single = PowerMean(6.5)
    zeros = torch.zeros(1, 1, 1, 4, requires_grad=True)
    single(zeros).sum().backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()
    assert single.power.grad is not None
    assert single.power.grad.isfinite().all()


def small_gaitgl(classes=0):
    return shaken(GaitGL((3, 4, 5), bands=4, rows=32, embedding=6, classes=classes))


def test_short_clips_are_repeated():
    model = small_gaitgl()
    clips = torch.rand(1, 1, 2, 32, 22, dtype=torch.float64)
    one, two = clips[:, :, :1], clips
    with torch.no_grad():
        thrice = model(one.repeat(1, 1, 3, 1, 1)).embedding
        assert_exact(model(one).embedding, thrice)
        twice = model(torch.cat([two, two], 2)).embedding
        assert_exact(model(two).embedding, twice)
        assert_exact(model.embed([two[0].transpose(0, 1)]), twice[0])
        assert_exact(model.embed(one[0].transpose(0, 1).split(1)), thrice[0])
        assert (thrice - twice).abs().max() > 1e-4


@pytest.mark.parametrize("count", [3, 4, 5, 12, 13, 14, 30, 47])
def test_windows_of_three_frames_give_what_the_whole_gives(count):
    model = small_gaitgl()
    frames = torch.rand(count, 1, 32, 22, dtype=torch.float64)
    with torch.no_grad():
        whole = model(frames.transpose(0, 1)[None]).embedding[0]
        for length in (1, 2, 7, 16, 100):
            assert_exact(model.embed(frames.split(length)), whole)


def test_frames_that_no_three_takes_matter_to_their_neighbours_alone():
    """The 31st frame is the last one's neighbour in the first layer; the 32nd is that of none."""
    model = small_gaitgl()
    clips = torch.rand(1, 1, 32, 32, 22, dtype=torch.float64)
    with torch.no_grad():
        all_of, less, thirty = (model.features(clips[:, :, :n]) for n in (32, 31, 30))
        assert all_of.shape == less.shape == thirty.shape == (1, 5, 10, 32, 11)
        assert torch.equal(all_of, less)
        assert (less - thirty).abs().max() > 1e-6


def test_the_embedding_is_behind_the_batch_norm_and_logits_are_linear_in_it():
    model = small_gaitgl(classes=7)
    output = model(torch.rand(2, 1, 6, 32, 22, dtype=torch.float64))
    assert model.classifier is not None
    assert output.logits is not None
    weight = model.classifier.weight
    for strip in range(32):
        expected = output.embedding[:, :, strip] @ weight[strip]
        assert_exact(output.logits[:, :, strip], expected)
    assert isinstance(model.norm, nn.BatchNorm1d)
    pooled = model.features(torch.rand(2, 1, 6, 32, 22, dtype=torch.float64)).amax(2)
    bare = model.linear(model.mean(pooled))
    mean, variance = model.norm.running_mean, model.norm.running_var
    assert mean is not None
    assert variance is not None
    normed = (bare - mean[:, None]) / (variance[:, None] + 1e-5).sqrt()
    expected = normed * model.norm.weight[:, None] + model.norm.bias[:, None]
    assert_exact(model.head(pooled), expected)


# --- the whole ---


def test_the_given_mask_decides_all_but_the_edge_at_test_too():
    model = build_gaitedge(SMALL, classes=0).eval()
    masks = torch.stack([person(32, 32, 2, 30, 4, 25)])[:, None].float()
    people = People(torch.randn(1, 3, 32, 32), masks, torch.tensor([0.5]))
    with torch.no_grad():
        shapes = model.shapes(people, model.segmentation(people.pictures))
    inside = synthesise(torch.zeros_like(masks), masks, 3)
    outside = synthesise(torch.ones_like(masks), masks, 3)
    assert (shapes >= inside).all()
    assert (shapes <= outside).all()
    edge = outside > inside
    assert shapes[~edge].unique().tolist() == [0.0, 1.0]
    assert 0 < float(shapes[edge].min()) < float(shapes[edge].max()) < 1


def stepped(steps=3):
    """GaitEdge before and after some steps of its training, as copies of its tensors."""
    config = settings_of("gaitedge", "tiny", "train.lr=0.001", "train.segmentation_lr=0.001")
    model = model_of(config, classes=4)
    batch = batch_of(config, identities=4, sequences=2, frames=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    runner = Runner(job_of(model, config.train, losses_of(config)), make_engine(config.train))
    for step in range(steps):
        runner.step(step, batch)
    return before, model.state_dict()


def test_the_encoder_stays_and_its_statistics_move():
    before, after = stepped()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    encoder = {name for name in before if name.startswith("segmentation.encoder.")}
    statistics = {name for name in encoder if "running_" in name or "num_batches" in name}
    assert encoder - statistics
    assert moved & encoder == statistics
    rest = {name for name in before if not name.startswith("segmentation.encoder.")}
    # What stands before a batch norm has no use for a bias.
    idle = {name for name in rest - moved if not name.endswith(".bias")}
    assert idle == set()


def test_two_rates_are_groups_of_one_optimiser():
    model = build_gaitedge(SMALL, classes=2)
    settings = GaitEdgeTrainConfig()
    optimizer = make_optimizer(model, settings)
    names = {id(value): name for name, value in model.named_parameters()}
    groups = [{names[id(p)] for p in group["params"]} for group in optimizer.param_groups]
    assert [group["lr"] for group in optimizer.param_groups] == [1e-4, 1e-4]
    assert all(name.startswith("segmentation.") for name in groups[1])
    assert not any(name.startswith("segmentation.") for name in groups[0])
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert groups[0] | groups[1] == trained
    set_rate(optimizer, 1e-5)  # behind the milestone
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([1e-5, 1e-6], rel=1e-12)


def test_a_family_without_rates_of_its_own_has_one_group():
    config = settings_of("gaitbase")
    optimizer = make_optimizer(model_of(config, classes=2), config.train)
    assert len(optimizer.param_groups) == 1


def test_an_implementation_takes_frames_and_masks_of_chunks():
    model = build_gaitedge(SMALL, classes=0).eval()
    assert isinstance(model, GaitEdge)
    frames = torch.randint(0, 256, (7, 3, 256, 128), dtype=torch.uint8)
    masks = (person(256, 128, 10, 240, 30, 100) * 255).to(torch.uint8).repeat(7, 1, 1)
    family = implementation_of(SMALL)
    with torch.no_grad():
        whole = family.embed(model, [{"rgb": frames, "masks": masks}])
        trained = model(frames, masks, 1).embedding[0]
    assert whole.shape == family.shape(SMALL) == (6, 32)
    torch.testing.assert_close(whole, trained)
