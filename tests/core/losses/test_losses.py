"""The losses against slow loops written from the equations, and their gradients."""

import math
from functools import partial

import pytest
import torch

from core.losses.contrastive import contrastive_loss
from core.losses.diversity import diversity_loss
from core.losses.identity import identity_loss
from core.losses.silhouette import silhouette_loss
from core.losses.smoothness import smoothness_loss
from core.losses.total import total_loss
from core.losses.triplet import hard_triplet_loss, strip_distances, triplet_loss
from core.models.base import implementation_of
from core.models.lmgait.config import LMGaitLosses
from core.models.lmgait.losses import TERMS
from tests.fakes.models import batch_of, output_of, small_config

# float64 against loops over Python floats: nothing but the order of additions differs, which was
# measured below 1e-14 on all of these.
assert_exact = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-13)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(7)


def draw(random, *shape):
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def mean_of_positive(strips):
    """The mean over strips of the mean of each one's positive terms; 0 where it has none."""
    positive = [[term for term in terms if term > 0] for terms in strips]
    return sum(sum(terms) / max(len(terms), 1) for terms in positive) / len(strips)


def slow_triplet(embedding, labels, margin):
    strips = []
    count = len(labels)
    for strip in range(embedding.shape[2]):
        terms = []
        for a in range(count):
            for p in range(count):
                for n in range(count):
                    if a == p or labels[a] != labels[p] or labels[a] == labels[n]:
                        continue
                    near = math.dist(embedding[a, :, strip].tolist(), embedding[p, :, strip])
                    far = math.dist(embedding[a, :, strip].tolist(), embedding[n, :, strip])
                    terms.append(max(near - far + margin, 0.0))
        strips.append(terms)
    return mean_of_positive(strips)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [3, 3, 3, 1, 1, 0], [0, 1, 0, 1, 0, 1]])
@pytest.mark.parametrize("margin", [0.2, 0.0, 3.0])
def test_triplet_loss_is_its_equation(random, labels, margin):
    embedding = draw(random, 6, 5, 3)
    result = triplet_loss(embedding, torch.tensor(labels), margin)
    expected = slow_triplet(embedding, labels, margin)
    assert_exact(result.item(), expected)


def test_strip_distances_are_euclidean(random):
    embedding = draw(random, 4, 5, 3)
    result = strip_distances(embedding)
    for strip in range(3):
        expected = torch.cdist(embedding[..., strip], embedding[..., strip])
        # the square root magnifies the rounding of equal vectors: 1e-16 becomes 1e-8
        torch.testing.assert_close(result[strip], expected, rtol=1e-12, atol=1e-7)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [5]])
def test_without_a_valid_triplet_loss_and_gradient_are_zero(random, labels):
    embedding = draw(random, len(labels), 5, 3).requires_grad_()
    loss = triplet_loss(embedding, torch.tensor(labels), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert not embedding.grad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_embeddings_have_the_margin_as_loss_and_finite_gradients(dtype):
    embedding = torch.full((4, 5, 3), 0.3, dtype=dtype, requires_grad=True)
    loss = triplet_loss(embedding, torch.tensor([0, 0, 1, 1]), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.2, abs=2e-3)
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


def slow_identity(logits, labels, scale, smoothing):
    total, classes = 0.0, logits.shape[1]
    for b, label in enumerate(labels):
        for p in range(logits.shape[2]):
            row = [scale * float(value) for value in logits[b, :, p]]
            norm = math.log(sum(math.exp(value) for value in row))
            for c, value in enumerate(row):
                target = (1 - smoothing) * (c == label) + smoothing / classes
                total -= target * (value - norm)
    return total / (len(labels) * logits.shape[2])


@pytest.mark.parametrize(("scale", "smoothing"), [(16.0, 0.1), (1.0, 0.0)])
def test_cross_entropy_is_its_equation(random, scale, smoothing):
    logits = draw(random, 3, 4, 2).tanh()
    labels = [2, 0, 3]
    result = identity_loss(logits, torch.tensor(labels), scale, smoothing)
    expected = slow_identity(logits, labels, scale, smoothing)
    assert_exact(result.item(), expected)


def slow_silhouette(logits, silhouettes, valid):
    frames = []
    for n, counts in enumerate(valid):
        if not counts:
            continue
        total, (rows, columns) = 0.0, silhouettes.shape[1:]
        for i in range(rows):
            for j in range(columns):
                back, front = (math.exp(float(value)) for value in logits[n, :, i, j])
                chance, y = front / (back + front), float(silhouettes[n, i, j])
                total -= y * math.log(chance) + (1 - y) * math.log(1 - chance)
        frames.append(total / (rows * columns))
    return sum(frames) / max(len(frames), 1)


@pytest.mark.parametrize("valid", [[True, True, True], [True, False, True], [False, False, False]])
def test_silhouette_loss_is_its_equation_over_valid_frames(random, valid):
    logits = draw(random, 3, 2, 4, 5)
    silhouettes = torch.rand(3, 4, 5, generator=random, dtype=torch.float64)
    result = silhouette_loss(logits, silhouettes, torch.tensor(valid))
    expected = slow_silhouette(logits, silhouettes, valid)
    assert_exact(result.item(), expected)


def test_frames_without_a_silhouette_give_no_gradient(random):
    logits = draw(random, 2, 2, 4, 5).requires_grad_()
    silhouette_loss(logits, torch.zeros(2, 4, 5).double(), torch.tensor([False, True])).backward()
    assert not logits.grad[0].any()
    assert logits.grad[1].any()
    logits.grad = None
    silhouette_loss(logits, torch.zeros(2, 4, 5).double(), torch.tensor([False] * 2)).backward()
    assert logits.grad.isfinite().all()
    assert not logits.grad.any()


def test_extreme_logits_keep_the_silhouette_loss_finite():
    logits = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    wrong = silhouette_loss(logits, torch.ones(1, 3, 3), torch.tensor([True]))
    right = silhouette_loss(logits, torch.zeros(1, 3, 3), torch.tensor([True]))
    assert (wrong.item(), right.item()) == (400.0, 0.0)


SOBEL_X = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))


def slow_smoothness(maps):
    sums, count = [0.0, 0.0], 0
    n, c, h, w = maps.shape
    for image in range(n):
        for channel in range(c):
            for i in range(1, h - 1):
                for j in range(1, w - 1):
                    x = y = 0.0
                    for di in range(3):
                        for dj in range(3):
                            value = float(maps[image, channel, i + di - 1, j + dj - 1])
                            x += SOBEL_X[di][dj] * value
                            y += SOBEL_X[dj][di] * value
                    sums[0] += abs(x)
                    sums[1] += abs(y)
                    count += 1
    return sum(sums) / count


def test_smoothness_loss_is_its_equation(random):
    maps = draw(random, 2, 3, 5, 4)
    result = smoothness_loss(maps)
    assert_exact(result.item(), slow_smoothness(maps))
    assert smoothness_loss(torch.ones(1, 2, 4, 4)).item() == 0


def slow_diversity(maps, form):
    n, channels, h, w = maps.shape
    if form == "literal":
        total = 0.0
        for image in range(n):
            for c in range(channels):
                mass = float(maps[image, c].sum())
                for i in range(h):
                    for j in range(w):
                        p = float(maps[image, c, i, j]) / mass
                        total -= p * math.log(p)
        return total / (n * channels)
    masses = [float(maps[:, c].sum()) for c in range(channels)]
    shares = [value / sum(masses) for value in masses]
    entropy = -sum(p * math.log(p) for p in shares)
    return (math.log(channels) - entropy) / math.log(channels)


@pytest.mark.parametrize("form", ["entropy", "literal"])
def test_diversity_loss_is_its_equation(random, form):
    maps = torch.rand(2, 3, 4, 5, generator=random, dtype=torch.float64) + 0.05
    result = diversity_loss(maps, form)
    # the 1e-8 inside the logarithm, which keeps empty channels finite
    torch.testing.assert_close(result.item(), slow_diversity(maps, form), rtol=1e-6, atol=1e-7)


def test_diversity_goes_from_equal_shares_to_one_channel():
    one = torch.zeros(2, 4, 3, 3)
    one[:, 1] = 1
    assert diversity_loss(torch.ones(2, 4, 3, 3)).item() == pytest.approx(0, abs=1e-6)
    assert diversity_loss(one).item() == pytest.approx(1, abs=1e-6)
    # read literally, the equation has it the other way round
    spread, point = torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    point[:, :, 0, 0] = 1
    assert diversity_loss(spread, "literal") > diversity_loss(point, "literal")


@pytest.mark.parametrize("form", ["entropy", "literal"])
def test_maps_without_any_activation_stay_finite(form):
    maps = torch.zeros(1, 3, 4, 4, requires_grad=True)
    loss = diversity_loss(maps, form)
    loss.backward()
    assert loss.isfinite()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("loss", "shape", "prepare"),
    [
        # margin 5: away from the hinge, whose slope jumps
        (lambda x: triplet_loss(x, LABELS, 5.0), (4, 3, 2), lambda x: x),
        (lambda x: triplet_loss(x, LABELS, 0.2), (4, 3, 2), lambda x: x),
        (lambda x: identity_loss(x, LABELS, 16.0, 0.1), (4, 3, 2), torch.tanh),
        (
            lambda x: silhouette_loss(
                x, torch.eye(3).double().expand(4, 3, 3), torch.tensor([True, False, True, True])
            ),
            (4, 2, 3, 3),
            lambda x: x,
        ),
        (smoothness_loss, (2, 2, 4, 4), lambda x: x),
        (diversity_loss, (2, 3, 4, 4), lambda x: x.abs() + 0.1),
        (lambda x: diversity_loss(x, "literal"), (2, 3, 4, 4), lambda x: x.abs() + 0.1),
    ],
    ids=["triplet-wide", "triplet", "identity", "silhouette", "smoothness", "entropy", "literal"],
)
def test_gradients_equal_finite_differences_in_float64(random, loss, shape, prepare):
    value = prepare(draw(random, *shape)).requires_grad_()
    assert torch.autograd.gradcheck(loss, (value,))


def arguments(random):
    return {
        "embedding": draw(random, 4, 3, 2),
        "logits": draw(random, 4, 2, 2).tanh(),
        "silhouettes": draw(random, 8, 2, 4, 4),
        "maps": torch.rand(8, 3, 4, 4, generator=random),
    }


def targets(random):
    silhouettes = torch.rand(8, 4, 4, generator=random).round()
    return batch_of(LABELS, silhouettes, torch.ones(8, dtype=torch.bool))


def test_the_total_is_the_weighted_sum(random):
    arguments_by_name, batch = arguments(random), targets(random)
    config = LMGaitLosses(
        triplet=2.0, cross_entropy=3.0, silhouette=0.5, smoothness=0.1, diversity=4
    )
    result = total_loss(TERMS, config, output_of(**arguments_by_name), batch)
    maps = arguments_by_name["maps"]
    expected = {
        "triplet": 2.0 * triplet_loss(arguments_by_name["embedding"], LABELS, 0.2),
        "cross_entropy": 3.0
        * identity_loss(arguments_by_name["logits"].float(), LABELS, 16.0, 0.1),
        "silhouette": 0.5
        * silhouette_loss(
            arguments_by_name["silhouettes"].float(), batch.silhouettes / 255, batch.valid
        ),
        "smoothness": 0.1 * smoothness_loss(maps),
        "diversity": 4 * diversity_loss(maps),
    }
    assert set(result.parts) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(result.parts[name], value)
    assert result.total.item() == pytest.approx(sum(v.item() for v in expected.values()), rel=1e-6)


def test_without_supervision_there_is_no_silhouette_loss(random):
    config = small_config(model={"representation": {"supervise": False}})
    terms = implementation_of(config.model).terms(config.model)
    output = output_of(**arguments(random))
    result = total_loss(terms, config.losses, output, targets(random))
    assert set(result.parts) == {"triplet", "cross_entropy", "smoothness", "diversity"}
    assert result.total.item() == pytest.approx(sum(v.item() for v in result.parts.values()))


def slow_hard_triplet(embedding, labels, margin):
    strips = []
    for strip in range(embedding.shape[2]):
        terms = []
        for a, label in enumerate(labels):
            gaps = [math.dist(embedding[a, :, strip].tolist(), b[:, strip]) for b in embedding]
            near = [gap for b, gap in enumerate(gaps) if labels[b] == label and a != b]
            far = [gap for b, gap in enumerate(gaps) if labels[b] != label]
            if near and far:
                terms.append(max(max(near) - min(far) + margin, 0.0))
        strips.append(terms)
    return mean_of_positive(strips)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [3, 3, 3, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
@pytest.mark.parametrize("margin", [0.3, 0.0, 3.0])
def test_hard_triplet_loss_is_that_of_the_hardest(random, labels, margin):
    embedding = draw(random, 6, 5, 3).requires_grad_()
    loss = hard_triplet_loss(embedding, torch.tensor(labels), margin)
    assert_exact(loss.item(), slow_hard_triplet(embedding.detach(), labels, margin))
    loss.backward()
    assert embedding.grad.isfinite().all()


def slow_contrastive(embedding, labels, temperature):
    strips = []
    for strip in range(embedding.shape[2]):
        rows = [row / math.dist(row, [0.0] * len(row)) for row in embedding[..., strip].numpy()]
        scores = [[-math.dist(one, other) / temperature for other in rows] for one in rows]
        means = []
        for a, label in enumerate(labels):
            others = [b for b in range(len(labels)) if b != a]
            norm = math.log(sum(math.exp(scores[a][b]) for b in others))
            terms = [scores[a][p] - norm for p in others if labels[p] == label]
            if terms:
                means.append(-sum(terms) / len(terms))
        strips.append(sum(means) / max(len(means), 1))
    return sum(strips) / len(strips)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [3, 3, 3, 1, 1, 0], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_contrastive_loss_is_its_equation(random, labels, temperature):
    embedding = draw(random, 6, 5, 2).requires_grad_()
    loss = contrastive_loss(embedding, torch.tensor(labels), temperature)
    assert_exact(loss.item(), slow_contrastive(embedding.detach(), labels, temperature))
    loss.backward()
    assert embedding.grad.isfinite().all()


def test_equal_embeddings_have_finite_gradients_of_the_other_losses():
    for loss in (hard_triplet_loss, contrastive_loss):
        embedding = torch.full((4, 5, 3), 0.3, requires_grad=True)
        loss(embedding, torch.tensor([0, 0, 1, 1]), 0.3).backward()
        assert embedding.grad is not None
        assert embedding.grad.isfinite().all()
