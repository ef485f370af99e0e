import struct
import zlib

import cv2
import numpy as np
import pytest

from core.errors import DataError
from core.video.faults import FrameFault, Reason
from core.video.images import (
    MAX_PIXELS,
    declared_size,
    decode_image,
    looks_like_silhouette,
    read_image,
)
from tests.fakes.raw_datasets import person, write_image


def encoded(ending, image, *options):
    return cv2.imencode(ending, image[..., ::-1] if image.ndim == 3 else image, options)[
        1
    ].tobytes()


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_size_is_known_before_decoding(ending):
    content = encoded(ending, person(50, 31, 0)[0])
    assert declared_size(content) == (50, 31)


def test_progressive_jpeg_and_fill_bytes():
    content = encoded(".jpg", person(40, 30, 0)[0], cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    padded = content[:2] + b"\xff" + content[2:]
    assert declared_size(padded) == (40, 30)


def test_png_decodes_exactly_in_rgb_order():
    rgb, mask = person(60, 40, 1)
    np.testing.assert_array_equal(decode_image(encoded(".png", rgb), grey=False), rgb)
    np.testing.assert_array_equal(decode_image(encoded(".png", mask), grey=True), mask)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_truncated_image_is_recognised(ending, share):
    content = encoded(ending, person(64, 48, 0)[0])
    with pytest.raises(FrameFault) as caught:
        decode_image(content[: int(len(content) * share)], grey=False)
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("content", [b"GIF89a" + bytes(100), b"not an image", b"\xff\xd8\xff\xd9"])
def test_other_files_are_refused(content):
    with pytest.raises(FrameFault) as caught:
        decode_image(content, grey=False)
    assert caught.value.reason is Reason.NOT_AN_IMAGE


def test_empty_file_is_truncated():
    with pytest.raises(FrameFault, match="truncated"):
        decode_image(b"", grey=False)


def test_image_bomb_is_refused_by_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + bytes(4) + b"IEND\xaeB`\x82"
    assert MAX_PIXELS < 200_000**2
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(FrameFault) as caught:
        read_image(tmp_path / "bomb.png", grey=False)
    assert caught.value.reason is Reason.TOO_LARGE
    assert caught.value.file.endswith("bomb.png")


def test_an_image_without_size_is_refused():
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + bytes(8) + b"IEND\xaeB`\x82"
    with pytest.raises(FrameFault) as caught:
        decode_image(content, grey=False)
    assert caught.value.reason is Reason.NOT_AN_IMAGE


def test_damaged_png_content_is_refused():
    content = bytearray(encoded(".png", person(64, 48, 0)[0]))
    content[40:60] = bytes(20)
    with pytest.raises(FrameFault):
        decode_image(bytes(content), grey=False)


def test_a_part_larger_than_the_file_is_refused_unread():
    content = encoded(".png", person(40, 20, 0)[0])
    at = content.index(b"IDAT") - 4
    bomb = content[:at] + struct.pack(">I", 0x7FFFFFF0) + content[at + 4 :]
    with pytest.raises(FrameFault) as caught:
        decode_image(bomb, grey=False)
    assert caught.value.reason is Reason.TRUNCATED


def test_a_file_deleted_while_reading_raises_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="disappeared while"):
        read_image(tmp_path / "gone.png", grey=True)


def test_silhouettes_and_photographs_are_distinguished(tmp_path):
    rgb, mask = person(100, 50, 0)
    write_image(tmp_path / "rgb.jpg", rgb)
    write_image(tmp_path / "mask.png", mask)
    write_image(tmp_path / "mask.jpg", mask)
    write_image(tmp_path / "grey.png", rgb[..., 0])
    assert not looks_like_silhouette(tmp_path / "rgb.jpg")
    assert looks_like_silhouette(tmp_path / "mask.png")
    assert looks_like_silhouette(tmp_path / "mask.jpg")
    assert not looks_like_silhouette(tmp_path / "grey.png")
