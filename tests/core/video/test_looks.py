import cv2
import numpy as np
import pytest

from core.video.images import decode_picture
from core.video.looks import Look, look_at
from core.video.pictures import Picture
from tests.fakes import files
from tests.fakes.raw_datasets import person, scene

PEOPLE = [person(120, 60, frame, frame) for frame in range(4)]


def look(content):
    return look_at(decode_picture(content, grey=True))


@pytest.mark.parametrize("kind", files.SILHOUETTES)
def test_silhouettes_of_all_kinds_are_silhouettes(kind):
    least = Look.CUTOUT if kind == "alpha of a cut-out" else Look.SILHOUETTE
    assert {look(files.SILHOUETTES[kind](mask)) for _, mask in PEOPLE} == {least}
    assert look(files.SILHOUETTES[kind](scene(1)[1])) is least


@pytest.mark.parametrize("kind", files.INVERTED)
def test_inverted_silhouettes_are_silhouettes(kind):
    least = Look.CUTOUT if kind == "alpha" else Look.FLAT
    assert all(look(files.INVERTED[kind](mask)) >= least for _, mask in PEOPLE)


@pytest.mark.parametrize("sigma", [1.5, 3])
def test_soft_silhouettes_are_more_than_photographs(sigma):
    for _, mask in PEOPLE:
        assert look(files.png(cv2.GaussianBlur(mask, (0, 0), sigma))) >= Look.SOFT


@pytest.mark.parametrize("write", [files.png, files.jpeg], ids=["png", "jpeg"])
@pytest.mark.parametrize("light", [1.0, 0.3])
def test_photographs_in_grey_or_few_colours_are_not_silhouettes(write, light):
    for rgb, mask in PEOPLE:
        toned = (rgb * light).astype(np.uint8)
        grey = cv2.cvtColor(toned, cv2.COLOR_RGB2GRAY)
        assert look(write(toned)) is Look.PHOTO
        assert look(write(grey)) < Look.FLAT
        assert look(write(np.dstack([grey] * 3))) < Look.FLAT
        assert look(write(np.full_like(toned, 90))) is Look.PHOTO
        noise = files.photograph(mask)
        assert look(write(noise)) is Look.PHOTO
        assert look(write(noise[..., 0])) is Look.PHOTO


def test_photographs_with_a_palette_or_alpha_stay_photographs():
    from PIL import Image as PillowImage

    noise = files.photograph(PEOPLE[0][1])
    assert look(files.png(noise)) is Look.PHOTO
    quantized = np.asarray(PillowImage.fromarray(noise).quantize(64).convert("RGB"))
    assert look(files.png(quantized)) is Look.PHOTO
    opaque = files.alpha(noise, np.full(noise.shape[:2], 255, np.uint8))
    assert look(files.png(opaque)) is Look.PHOTO


def test_a_few_flat_colours_are_less_than_a_silhouette():
    colours = np.full((60, 40, 3), (70, 90, 110), np.uint8)
    colours[20:50, 10:30] = (200, 60, 30)
    colours[10:20, 15:25] = (90, 60, 30)
    assert look_at(Picture(colours)) is Look.FLAT
