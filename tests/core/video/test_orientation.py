import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from core.video.images import decode_image, decode_picture
from core.video.orientation import orientation_mark, outline_contrast, turn, turned_shape
from tests.fakes import files
from tests.fakes.raw_datasets import person

RGB, MASK = person(40, 24, 1)


@pytest.mark.parametrize("mark", range(1, 9))
@pytest.mark.parametrize("image", [RGB, MASK], ids=["rgb", "mask"])
def test_marks_turn_as_viewers_turn(image, mark):
    picture = PillowImage.fromarray(image)
    picture.getexif()[0x0112] = mark
    expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(turn(image, mark), expected)
    assert turned_shape(image.shape, mark) == expected.shape[:2]
    assert turn(image, mark).flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("mark", range(1, 9))
@pytest.mark.parametrize("write", [files.png, files.jpeg], ids=["png", "jpeg"])
def test_the_mark_is_read_and_the_pixels_stay(write, mark):
    marked = decode_picture(write(RGB, exif=files.exif(mark)), grey=False)
    assert marked.mark == mark
    np.testing.assert_array_equal(marked.pixels, decode_image(write(RGB), grey=False))
    grey = decode_picture(write(MASK, exif=files.exif(mark)), grey=True)
    assert (grey.mark, grey.pixels.shape) == (mark, MASK.shape)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order):
    block = files.exif(8)
    block.endian = order
    assert orientation_mark(block.tobytes()) == 8


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0MM\0*\0\0\0\xff\0\0",
        b"Exif\0\0" + bytes(50),
        files.exif(0).tobytes(),
        files.exif(9).tobytes(),
        files.exif(6).tobytes()[:-9],
        files.exif(6).tobytes().replace(b"\0\3\0\0\0\1", b"\0\2\0\0\0\1"),
    ],
)
def test_broken_blocks_mean_no_turn(block):
    assert orientation_mark(block) == 1


def test_an_outline_lies_on_the_edges_of_its_own_frame():
    rgb, mask = person(96, 48, 2)
    assert outline_contrast(rgb, mask) > 1.5 * outline_contrast(rgb, np.roll(mask, 20, axis=0))
    assert outline_contrast(rgb, np.zeros_like(mask)) == 0
