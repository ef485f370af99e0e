"""Batch norms over processes: what a share of a batch does to the classifier's neck."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.data.sampler import ClipRequest, share_of
from core.losses.identity import identity_loss
from core.models.deepgaitv2.network import DeepGaitV2
from core.models.layers.gaitbase import BNNeck
from core.training.statistics import SharedBatchNorm, share_statistics
from tests.fakes.models import small_model

IDENTITIES, SEQUENCES, CLASSES, WIDTH, STRIPS, STEPS = 6, 8, 60, 32, 1, 500


def last_loss(processes):
    """Cross entropy at the end of a training on noisy points, each share normed by itself."""
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, WIDTH, STRIPS, generator=random)
    torch.manual_seed(1)
    embed, neck = nn.Linear(WIDTH, WIDTH), BNNeck(STRIPS, WIDTH, CLASSES)
    optimizer = torch.optim.SGD([*embed.parameters(), *neck.parameters()], lr=0.1, momentum=0.9)
    places = [ClipRequest(place, 0.0, 0.0) for place in range(IDENTITIES * SEQUENCES)]
    shares = [[r.sequence for r in share_of(places, i, processes)] for i in range(processes)]
    found = []
    for _ in range(STEPS):
        chosen = torch.randperm(CLASSES, generator=random)[:IDENTITIES]
        labels = chosen.repeat_interleave(SEQUENCES)
        noise = torch.randn(len(labels), WIDTH, STRIPS, generator=random)
        points = centres[labels] + 0.5 * noise
        losses = []
        for share in shares:
            embedding = embed(points[share].transpose(1, 2)).transpose(1, 2)
            losses.append(identity_loss(neck(embedding), labels[share], 16.0, 0.1))
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return sum(found[-50:]) / 50


@pytest.fixture(scope="module")
def alone():
    return last_loss(1)


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_shared_statistics_match_the_whole_batch(alone, processes):
    """Strided shares hold all identities, so that norms may do without the other processes."""
    assert alone < 1.2
    assert abs(last_loss(processes) - alone) < 0.01


@pytest.mark.parametrize(
    ("make", "neck"),
    [(small_model, "neck.norm"), (lambda: DeepGaitV2(classes=3, kind="3d"), "head.neck.norm")],
)
def test_every_batch_norm_is_shared_under_its_old_name_with_its_old_tensors(make, neck):
    model = make()
    norms = [n for n, part in model.named_modules() if isinstance(part, _BatchNorm)]
    before = {name: value.data_ptr() for name, value in model.state_dict().items()}
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    share_statistics(model, torch.device("cpu"))
    assert {n for n, part in model.named_modules() if isinstance(part, SharedBatchNorm)} == set(
        norms
    )
    assert neck in norms
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == before
    assert [name for name, value in model.named_parameters() if value.requires_grad] == trained


def test_on_a_gpu_torchs_own_take_their_place():
    model = small_model()
    share_statistics(model, torch.device("cuda"))
    norm = model.get_submodule("neck.norm")
    assert isinstance(norm, nn.SyncBatchNorm)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_alone_a_shared_norm_is_an_ordinary_one(training):
    plain = nn.BatchNorm2d(3)
    shared = SharedBatchNorm.of(nn.BatchNorm2d(3))
    for step in range(3):
        values = torch.randn(4, 3, 5, 2, generator=torch.Generator().manual_seed(step)) * 3 + 1
        plain.train(training or step == 0)
        shared.train(training or step == 0)
        assert torch.equal(plain(values), shared(values))
    assert all(
        torch.equal(shared.state_dict()[n], v)
        for n, v in plain.state_dict().items()
        if "num" not in n
    )
