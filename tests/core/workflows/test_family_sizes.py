"""Published sizes of each family, as `lmgait config show` gives them, and the work of a clip."""

from dataclasses import dataclass, field

import pytest
import torch

from core.config import resolve_config
from core.models.base import implementation_of
from core.models.families import FAMILIES
from core.models.gaitedge.align import People
from core.models.gaitedge.network import GaitEdge
from core.models.layers.sequences import frames_of
from core.workflows.show_config import show_config
from tests.fakes.networks import multiply_adds

# Training identities of the official splits.
DATASETS = {"casiab": 74, "ccpg": 100, "sustech1k": 250}
# DINOv2-small, and the text tower of CLIP ViT-B/32.
ENCODER, TOWER = 22_056_576, 63_165_952
# GaitBase on silhouettes without its classifier; of its first convolution, an input channel.
GAITBASE, CHANNEL = 6_994_112, 64 * 3 * 3


@dataclass(frozen=True)
class Published:
    """What is published of a family.

    Attributes:
        shape: Of an embedding.
        inference: Parameters that inference needs.
        training: Further parameters of training alone, without the classifier.
        classifiers: Strips of all classifiers and their batch norms, 256 channels each.
        clip: Shape of a clip of 30 frames, or of 60 of poses, whose work is published.
        frozen: Parameters that never train; None where that depends on the stage.
        parts: Parameters of some parts.
        work: Multiply-adds of that clip, in units of 10^9.
        normed: Strips whose batch norm before the classifier is needed at test.
        others: As ``inference``, of datasets whose settings have other sizes.
        share: Largest relative error, where published numbers are rounded.
    """

    shape: tuple[int, int]
    inference: int
    classifiers: int
    training: int = 0
    frozen: int | None = 0
    parts: dict[str, int] = field(default_factory=dict)
    work: float | None = None
    clip: tuple[int, ...] = (1, 1, 30, 64, 44)
    normed: int = 0
    others: dict[str, int] = field(default_factory=dict)
    share: float = 0.0

    def classifier(self, classes: int) -> int:
        """Parameters of classifiers, and of batch norms before them that training alone needs."""
        return 256 * (self.classifiers * (2 + classes) - 2 * self.normed)


PUBLISHED = {
    "lmgait": Published(
        (256, 16),
        ENCODER + 135_816 + 59_024 + 14_656 + GAITBASE + 15 * CHANNEL,
        classifiers=16,
        training=TOWER + 2 * 786_432,
        frozen=ENCODER + TOWER,
        parts={
            "image encoder": ENCODER,
            "text tower": TOWER,
            "MAM": 12 * 2 * 512 * 64,
            "text projection": 512 * 4 * 384,
            "GaitBase": GAITBASE + 15 * CHANNEL,
        },
    ),
    "gaitset": Published(
        (256, 62), 2_594_592, classifiers=0, parts={"linear maps of strips": 2_031_616}, work=3.26
    ),
    "gaitbase": Published(
        (256, 16), GAITBASE, classifiers=16, parts={"GaitBase": 4_896_960 + 2_097_152}, work=35.42
    ),
    "deepgaitv2": Published(
        (256, 16),
        704 + 73_984 + 279_552 + 1_116_160 + 4_460_544 + 2_097_152,
        classifiers=16,
        parts={"residual network": 5_930_944, "linear maps of strips": 2_097_152},
        work=41.66,
    ),
    "biggait": Published(
        (256, 16),
        ENCODER + 7_505_056 - 256 * 16 * (2 + 100) + 1_192_720 + 24_592 + 1_922,
        classifiers=16,
        frozen=None,
    ),
    # Inference needs all but a classifier of 64 strips with half as many channels as elsewhere, and
    # the batch norm before it has those of one strip.
    "gaitedge": Published(
        (128, 64),
        537_425 + 3_096_673 - 128 * 64 * 74,
        classifiers=32,
        normed=32,
        frozen=537_425 - 242_945,
        parts={"decoder of the U-Net": 242_945, "GaitGL": 2_490_465},
        work=23.6 + 12.6,
        clip=(1, 4, 30, 128, 128),
    ),
    "gaitgraph2": Published(
        (384, 1),
        350_822,
        classifiers=0,
        work=0.22,
        clip=(1, 60, 17, 3),
        # Published with 18 joints: 4 distances in the edges of each of 8 modules.
        others={"ccpg": 438_862 - 8 * 4 * (18**2 - 17**2)},
    ),
    "gait-tr": Published((128, 1), 512_010, classifiers=0, work=0.49, clip=(1, 60, 17, 3)),
    "gpgait": Published(
        (256, 19),
        3_781_274 - 256 * 19 * 100,
        classifiers=19,
        normed=19,
        parts={
            "branch of joints": 803_193,
            "branch of bones": 803_193,
            "branch of angles": 433_576,
        },
        work=2.04,
        clip=(1, 60, 17, 3),
    ),
    "skeletongait": Published(
        (256, 16),
        8_446_464 - 256 * 16 * 100,
        classifiers=16,
        normed=16,
        parts={"residual network": 5_930_944 + CHANNEL, "linear maps of strips": 2_097_152},
        work=41.71,
        clip=(1, 2, 30, 64, 44),
    ),
    "skeletongait++": Published(
        (256, 16),
        8_522_336 - 256 * 16 * 100,
        classifiers=16,
        normed=16,
        parts={"fusion": 1_184, "linear maps of strips": 2_097_152},
        work=48.12,
        clip=(1, 3, 30, 64, 44),
    ),
    "multigait++": Published(
        (256, 16),
        11_511_424 - 256 * 16 * (2 + 100),
        classifiers=16,
        parts={
            "stem and first stage of the first part": 704 + 73_984 + CHANNEL,
            "stem and first stage of the second part": 704 + 73_984 + 2 * CHANNEL,
            "fusion": 1_088,
            "streams of two stages": 3 * (279_552 + 1_116_160),
            "joining convolution": 196_608,
            "last stage": 4_460_544,
            "linear maps of strips": 2_097_152,
        },
        work=72.84,
        clip=(1, 5, 30, 64, 44),
    ),
    "parsinggait": Published(
        (256, 21),
        24_323_781 - 256 * 21 * (2 + 3000),
        classifiers=21,
        parts={
            "residual network": 4_896_960,
            "weights of parts, coarse": 5,
            "graph of parts, coarse": 535_552,
        },
        work=35.5,
    ),
    # In two groups: 19.9 million in networks with 100 classes, 0.9 million in projections.
    "biggergait": Published(
        (256, 192),
        ENCODER + 19_900_000 - 256 * 2 * 32 * (2 + 100) + 900_000,
        classifiers=2 * 32,
        frozen=None,
        share=0.003,
    ),
}
# Of which clips of SUSTech1K have ten frames.
FEWER_FRAMES = ("deepgaitv2", "skeletongait", "skeletongait++", "multigait++")
NAMES = [name for name in PUBLISHED if name in FAMILIES]


def paper(name, dataset):
    return resolve_config("paper", model=name, dataset=dataset)


@pytest.mark.parametrize(("dataset", "classes"), DATASETS.items())
@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_shapes_are_the_published_ones(name, dataset, classes):
    one = PUBLISHED[name]
    inference = one.others.get(dataset, one.inference)
    shown = show_config(paper(name, dataset), dataset).to_json()
    assert shown["embedding"] == {"channels": one.shape[0], "strips": one.shape[1]}
    parts, totals = shown["parameters"]["parts"], shown["parameters"]["totals"]
    whole = inference + one.training + one.classifier(classes)
    assert totals["inference"] == pytest.approx(inference, rel=one.share, abs=0)
    assert totals["trainable"] + totals["frozen"] == pytest.approx(whole, rel=one.share, abs=0)
    if one.frozen is not None:
        assert totals["frozen"] == one.frozen
    for key in ("trainable", "frozen"):
        assert sum(part[key] for part in parts.values()) == totals[key]
    for part, count in one.parts.items():
        assert parts[part]["trainable"] + parts[part]["frozen"] == count
    if one.classifiers and one.share == 0:
        needed = sum(p["trainable"] + p["frozen"] for p in parts.values() if not p["inference"])
        assert needed == one.training + one.classifier(classes)


def test_totals_are_those_that_papers_print():
    printed = {
        ("gaitbase", "casiab"): 7_305_408,
        ("gaitbase", "ccpg"): 7_411_904,
        ("gaitbase", "sustech1k"): 8_026_304,
        ("gaitset", "casiab"): 2_594_592,
        ("deepgaitv2", "ccpg"): 8_445_888,
        ("skeletongait", "ccpg"): 8_446_464,
        ("skeletongait++", "ccpg"): 8_522_336,
        ("multigait++", "ccpg"): 11_511_424,
        ("gaitedge", "casiab_star"): 242_945 + 3_096_673,
        ("gaitgraph2", "casiab"): 350_822,
        ("gait-tr", "casiab"): 512_010,
        ("gpgait", "casiab"): 3_654_810,
        ("gpgait", "ccpg"): 3_781_274,
        ("gpgait", "sustech1k"): 4_510_874,
    }
    for (name, dataset), count in printed.items():
        assert show_config(paper(name, dataset), dataset).totals["trainable"] == count


def passed(network, clip):
    """A training pass; GaitEdge's begins where the published one does, with squashed people."""
    if isinstance(network, GaitEdge):
        frames = frames_of(clip)
        people = People(frames[:, :3], frames[:, 3:], torch.empty(len(frames)))
        return network.recognise(people, len(clip))
    return network(clip)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", [name for name in NAMES if PUBLISHED[name].work is not None])
def test_a_clip_takes_the_published_work(name, dataset):
    config, one = paper(name, dataset), PUBLISHED[name]
    family, frames = implementation_of(config.model), config.data.frames
    assert one.work is not None
    sequence = "poses" if one.clip[-1] == 3 else "images"
    published = one.clip[1 if sequence == "poses" else 2]
    fewer = dataset == "sustech1k" and name in FEWER_FRAMES
    assert frames == (10 if fewer else published)
    shape = [frames if size == published else size for size in one.clip]
    with torch.device("meta"):
        network = family.build(config.model, classes=DATASETS[dataset], seed=0).eval()
        clip = torch.empty(*shape)
        work, output = multiply_adds(lambda: passed(network, clip))
    expected = one.work * frames / published
    if dataset not in one.others:
        assert work == pytest.approx(expected, rel=0.02 if one.work < 1 else 0.01)
    views = 3 if name == "gaitgraph2" else 1
    assert output.embedding.shape == (1, one.shape[0] // views, one.shape[1])
