"""Curves, identities and the walk itself."""

import numpy as np
import pytest

from core.synthetic.curves import JOINTS, evaluate, normative
from core.synthetic.identity import draw_identity, vary
from core.synthetic.motion import pose, progression
from core.synthetic.outfit import CARRYABLE, LOWERS, UPPERS, draw_outfit
from core.synthetic.scene import SceneWalker
from core.synthetic.seeds import stream

PHASE = np.arange(200) / 200


def curve(joint):
    return evaluate(normative(joint), PHASE)


@pytest.mark.parametrize(
    ("joint", "low", "high"),
    [
        ("hip", (-14, -8), (25, 31)),
        ("knee", (0, 6), (57, 65)),
        ("ankle", (-21, -14), (7, 13)),
        ("shoulder", (-25, -17), (8, 16)),
        ("elbow", (14, 22), (34, 42)),
    ],
)
def test_ranges_are_those_of_healthy_adults(joint, low, high):
    angles = curve(joint)
    assert low[0] <= angles.min() <= low[1]
    assert high[0] <= angles.max() <= high[1]


def test_knee_bends_twice_a_cycle():
    knee = curve("knee")
    stance, swing = knee[:80], knee[80:]
    assert 13 <= stance.max() <= 22
    assert 0.08 <= PHASE[stance.argmax()] <= 0.20
    assert 0.68 <= PHASE[80 + swing.argmax()] <= 0.76


def test_ankle_pushes_off_when_the_foot_leaves():
    assert 0.58 <= PHASE[curve("ankle").argmin()] <= 0.68


def test_a_series_repeats_after_a_cycle():
    for joint in JOINTS:
        np.testing.assert_allclose(
            evaluate(normative(joint), PHASE), evaluate(normative(joint), PHASE + 3), atol=1e-9
        )


def test_identities_repeat_and_differ():
    first, again = (draw_identity(5, "casiab", "001") for _ in range(2))
    assert first.body == again.body
    np.testing.assert_array_equal(first.dynamics.curves, again.dynamics.curves)
    for other in (draw_identity(5, "casiab", "002"), draw_identity(6, "casiab", "001")):
        assert other.body != first.body
        assert other.dynamics.cycle != first.dynamics.cycle


def test_a_person_varies_less_than_people_do():
    people = [draw_identity(0, "casiab", f"{n:03d}") for n in range(60)]
    walks = [vary(people[0].dynamics, stream(n, "walk")) for n in range(60)]
    angles = [
        np.stack([evaluate(d.curves[:, 0], PHASE) for d in group])
        for group in ([p.dynamics for p in people], walks)
    ]
    between, within = (a.std(axis=0).mean(axis=-1) for a in angles)
    assert (within < 0.6 * between).all()
    assert (within[:3] < 0.35 * between[:3]).all()  # legs repeat themselves better than arms
    assert (within > 0).all()


def test_walkers_walk_like_people():
    for n in range(40):
        person = draw_identity(0, "ccpg", f"{n:03d}")
        course = progression(person.body, person.dynamics)
        assert 0.75 <= course.stride <= 2.0
        assert 0.6 <= course.stride / person.dynamics.cycle <= 2.1
        assert (np.diff(course.forward) > -0.002).all()  # never backwards
        legs = person.body.thigh + person.body.shank + person.body.ankle_height
        assert 0.85 * legs <= course.height.min()
        assert course.height.max() <= 1.06 * legs
        assert np.ptp(course.height) < 0.15


def walker(subject="001", **kw):
    person = draw_identity(0, "casiab", subject)
    outfit = draw_outfit(np.random.default_rng(0), ["shirt"], ["trousers"], [])
    return SceneWalker(person.body, person.dynamics, outfit, **kw)


@pytest.mark.parametrize("subject", [f"{n:03d}" for n in range(1, 13)])
def test_a_standing_foot_stays_where_it_is(subject):
    person = walker(subject)
    cycle = person.dynamics.cycle
    times = np.linspace(0.15, 0.35, 21) * cycle  # the left foot alone is flat on the ground
    body = person.skeleton(times)
    balls = body.balls[:, 0]
    travelled = body.pelvis[-1, 0] - body.pelvis[0, 0]
    assert travelled > 0.08
    assert np.ptp(balls[:, 0]) < 0.15 * travelled
    assert np.ptp(balls[:, 1]) < 0.02
    assert np.abs(balls[:, 2]).max() < 0.02
    swinging = body.balls[:, 1]
    assert np.ptp(swinging[:, 0]) > 1.3 * travelled


def test_bones_keep_their_length():
    person = draw_identity(0, "casiab", "003")
    skeleton = pose(person.body, person.dynamics, PHASE)
    for start, end, length in (
        ("hips", "knees", "thigh"),
        ("knees", "ankles", "shank"),
        ("shoulders", "elbows", "upper_arm"),
        ("elbows", "wrists", "forearm"),
    ):
        bones = np.linalg.norm(getattr(skeleton, end) - getattr(skeleton, start), axis=-1)
        np.testing.assert_allclose(bones, getattr(person.body, length), rtol=1e-9)


def test_heading_turns_the_whole_walk():
    straight = walker().skeleton(np.array([0.0, 1.0]))
    turned = walker(heading=90.0).skeleton(np.array([0.0, 1.0]))
    np.testing.assert_allclose(turned.pelvis[:, 1], straight.pelvis[:, 0], atol=1e-9)
    np.testing.assert_allclose(turned.knees[..., 0], -straight.knees[..., 1], atol=1e-9)


@pytest.mark.parametrize("load", CARRYABLE)
@pytest.mark.parametrize("upper", sorted(UPPERS))
def test_every_garment_and_load_makes_a_figure(upper, load):
    person = draw_identity(0, "casiab", "004")
    for lower in LOWERS:
        outfit = draw_outfit(np.random.default_rng(1), [upper], [lower], [load])
        figure = SceneWalker(person.body, person.dynamics, outfit).figure(np.linspace(0, 1, 5))
        assert np.isfinite(figure.balls).all()
        assert (figure.balls[..., 3] > 0).all()
        assert 0.0 <= figure.balls[..., 2].max() < 2.8
        assert figure.balls.shape[1] == len(figure.labels) == len(figure.nearer)
