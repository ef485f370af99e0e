"""Camera, painting, scenes and shots."""

import numpy as np
import pytest

from core.records import SequenceKey
from core.synthetic.background import draw_background
from core.synthetic.camera import Camera
from core.synthetic.identity import draw_identity
from core.synthetic.outfit import draw_outfit
from core.synthetic.scene import Light, SceneWalker, render_scene
from core.synthetic.shot import plan_shot, render_crops, render_whole


def camera(width=320, height=240, focal=380.0):
    return Camera.looking_at(
        np.array([0.0, -6.0, 1.4]), np.array([0.0, 0.0, 0.9]), focal, width, height
    )


def somebody(subject="001", **kw):
    person = draw_identity(0, "casiab", subject)
    outfit = draw_outfit(np.random.default_rng(3), ["shirt"], ["trousers"], [])
    return SceneWalker(person.body, person.dynamics, outfit, **kw)


def backdrop(view):
    return draw_background(np.random.default_rng(0), view.width, view.height, view.horizon())


def test_the_camera_target_is_in_the_middle():
    view = camera()
    pixels, depth = view.project(np.array([[0.0, 0.0, 0.9], [0.5, 0.0, 0.9], [0.0, 0.0, 1.5]]))
    np.testing.assert_allclose(pixels[0], [160, 120], atol=1e-9)
    assert pixels[1, 0] > 170  # right in the world is right in the picture
    assert pixels[2, 1] < 110  # up is up
    assert depth[0] == pytest.approx(np.hypot(6, 0.5))


def test_farther_people_are_smaller():
    view = camera()
    sizes = [
        render_scene([somebody(start=(0, y))], view, backdrop(view), 0.2)[1].sum() for y in (0, 6)
    ]
    assert sizes[0] > 2 * sizes[1] > 0


def test_silhouette_is_where_the_picture_changed():
    view = camera()
    scene = backdrop(view)
    plain = Light(noise=0.0, blur=False)
    image, visible = render_scene([somebody()], view, scene, 0.3, plain)
    assert image.shape == (240, 320, 3)
    assert image.dtype == np.uint8
    assert visible.shape == (1, 240, 320)
    assert visible.dtype == np.bool_
    changed = (image != scene).any(axis=2)
    assert not changed[~visible[0]].any()
    assert changed[visible[0]].mean() > 0.98


def test_nearer_walkers_hide_farther_ones_in_any_order():
    view = camera()
    near, far = somebody("001", start=(0, -1)), somebody("002", start=(0, 1))
    image, visible = render_scene([near, far], view, backdrop(view), 0.0)
    swapped, other = render_scene([far, near], view, backdrop(view), 0.0)
    np.testing.assert_array_equal(image, swapped)
    np.testing.assert_array_equal(visible, other[::-1])
    assert not (visible[0] & visible[1]).any()
    unoccluded = render_scene([near], view, backdrop(view), 0.0)[1][0]
    np.testing.assert_array_equal(visible[0], unoccluded)
    far_alone = render_scene([far], view, backdrop(view), 0.0)[1][0]
    assert 0 < visible[1].sum() < far_alone.sum()


def test_a_scene_may_be_large_and_people_may_leave_it():
    view = camera(1600, 1200, 2400.0)
    image, visible = render_scene([somebody()], view, backdrop(view), 0.1)
    assert image.shape == (1200, 1600, 3)
    assert visible.any(axis=2).sum() > 550
    outside = [somebody(start=(50.0, 0)), somebody(start=(0.0, -30.0))]
    assert not render_scene(outside, view, backdrop(view), 0.1)[1].any()


def shot(dataset, kind, view, subject="001", frames=6, seed=0):
    return plan_shot(dataset, SequenceKey(subject, kind, view), frames, seed)


def test_identity_is_the_subject_and_appearance_the_sequence():
    one, two = shot("casiab", "nm-01", "000"), shot("casiab", "cl-01", "090")
    assert one.walker.body == two.walker.body == draw_identity(0, "casiab", "001").body
    assert (one.walker.outfit.palette != two.walker.outfit.palette).any()
    assert one.light != two.light
    assert (one.background != two.background).any()
    # Two views of one recording are two sequences: their colours say nothing of each other.
    view = shot("casiab", "nm-01", "090")
    assert (one.walker.outfit.palette != view.walker.outfit.palette).any()


def test_colours_do_not_follow_the_subject():
    def colours(subject):
        keys = [(f"nm-0{n}", view) for n in range(1, 5) for view in ("000", "054", "090")]
        shots = [shot("casiab", kind, view, subject, 2) for kind, view in keys]
        return np.stack([s.walker.outfit.palette.astype(float) for s in shots])

    people = np.stack([colours(f"{n:03d}") for n in range(1, 17)])  # [subject, sequence, label, 3]
    between = people.mean(axis=1).var(axis=0)
    expected = people.reshape(-1, *people.shape[2:]).var(axis=0) / people.shape[1]
    assert (between[1:] / expected[1:]).mean() == pytest.approx(1.0, abs=0.35)


def areas(dataset, kind, view, subject, frames=4):
    pairs = render_crops(shot(dataset, kind, view, subject, frames))
    return np.mean([(silhouette > 0).sum() / len(silhouette) ** 2 for _, silhouette in pairs])


@pytest.mark.parametrize(
    ("dataset", "plain", "changed", "view"),
    [
        ("ccpg", "U0_D0", "U2_D2", "03_0"),
        ("ccpg", "U0_D0", "U0_D0_BG", "03_0"),
        ("sustech1k", "01-nm", "01-cl", "090"),
        ("sustech1k", "01-nm", "01-bg", "090"),
        ("sustech1k", "01-nm", "01-cr", "090"),
    ],
)
def test_conditions_change_the_shape(dataset, plain, changed, view):
    ratio = [
        areas(dataset, changed, view, f"{n:03d}") / areas(dataset, plain, view, f"{n:03d}")
        for n in range(8)
    ]
    assert np.mean(ratio) > 1.06


def test_an_umbrella_opens_above_the_head():
    pairs = list(render_crops(shot("sustech1k", "01-ub", "090")))
    plain = list(render_crops(shot("sustech1k", "01-nm", "090")))
    assert pairs[0][1].shape[1] / pairs[0][1].shape[0] > plain[0][1].shape[1] / plain[0][1].shape[0]


def test_occlusion_hides_part_of_the_silhouette_only():
    for n in range(8):
        planned = shot("sustech1k", "01-oc", "090", f"{n:04d}", 25)
        assert planned.cover is not None
        reference_area, visible_area = 0, 0
        for frame, (_, silhouette) in enumerate(render_crops(planned)):
            visible_area += int((silhouette > 0).sum())
            box = planned.drawing.boxes[frame]
            reference_area += 0.30 * (box[2] - box[0]) * (box[3] - box[1])
        assert visible_area > 0.3 * reference_area
    assert shot("sustech1k", "01-nm", "090").cover is None


def test_night_is_dark():
    night = np.mean([image for image, _ in render_whole(shot("sustech1k", "01-nt", "000"))])
    assert night < 70


@pytest.mark.parametrize("view", ["000", "090", "180"])
def test_casiab_walkers_stay_in_the_picture(view):
    sizes = []
    for image, silhouette in render_whole(shot("casiab", "nm-01", view, frames=60)):
        assert image.shape == (240, 320, 3)
        assert not silhouette[[0, -1]].any()
        assert not silhouette[:, [0, -1]].any()
        sizes.append(silhouette.any(axis=1).sum())
    growth = sizes[-1] / sizes[0]
    assert (
        growth > 1.15 if view == "000" else growth < 0.87 if view == "180" else 0.9 < growth < 1.1
    )


def test_crops_are_person_sized_and_vary():
    for view in ("01_0", "07_0"):
        heights = set()
        for image, silhouette in render_crops(shot("ccpg", "U0_D0", view, "000", 20)):
            assert image.shape[:2] == silhouette.shape
            assert 120 < image.shape[0] < 330
            assert set(np.unique(silhouette)) <= {0, 255}
            assert (silhouette > 0).any(axis=1).mean() > 0.75
            heights.add(image.shape[0])
        assert len(heights) > 3
