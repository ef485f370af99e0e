import io
import struct
import time

import numpy as np
import pytest
from PIL import Image as PillowImage

from core.video.faults import FrameFault, Reason
from core.video.headers import MAX_PARTS, read_header
from core.video.images import declared_size, decode_image
from tests.fakes import files
from tests.fakes.raw_datasets import person

RGB, MASK = person(64, 48, 0)
OTHER = person(90, 31, 1)[0]
JPEGS = {
    "baseline": files.jpeg(RGB),
    "progressive": files.jpeg(RGB, progressive=True),
    "grey": files.jpeg(MASK),
    "restarts": files.jpeg(RGB, restart_marker_blocks=1),
}
PNGS = {"rgb": files.png(RGB), "mask": files.png(MASK), "16 bit": files.png(MASK.astype(np.uint16))}
FILES = {**JPEGS, **PNGS}

MOTION_PHOTO = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + np.random.default_rng(0).bytes(100_000)
TRAILERS = {
    "a zero": b"\0",
    "zeros": bytes(300),
    "many zeros": bytes(70_000),
    "line feeds": b"\r\n" * 200,
    "text": b"SEFH" + b"Image_UTC_Data" * 40 + b"SEFT",
    "motion photo": b"MotionPhoto_Data" + MOTION_PHOTO,
    "another JPEG": files.jpeg(OTHER),
    "a cut JPEG": files.jpeg(OTHER)[:-40],
    "another PNG": files.png(OTHER),
    "start mark": b"\xff\xd8",
    "ones": b"\xff" * 999,
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("kind", FILES)
def test_bytes_behind_the_end_mark_are_ignored(kind, trailer):
    content = FILES[kind]
    assert read_header(content).end == len(content)
    longer = content + TRAILERS[trailer]
    assert read_header(longer) == read_header(content)
    for grey in (False, True):
        np.testing.assert_array_equal(
            decode_image(longer, grey=grey), decode_image(content, grey=grey)
        )


def with_thumbnail():
    """A JPEG whose EXIF block holds another, as cameras write it."""
    thumbnail = files.jpeg(OTHER[:16, :16])
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    content = JPEGS["baseline"]
    return content[:2] + segment + content[2:], 2 + len(segment)


def cuts(content):
    return [content[: int(len(content) * share)] for share in (0.3, 0.6, 0.9, 0.99)]


@pytest.mark.parametrize("trailer", ["", *TRAILERS])
@pytest.mark.parametrize("kind", ["baseline", "progressive", "restarts"])
def test_a_jpeg_without_its_end_is_truncated_whatever_follows(kind, trailer):
    content = JPEGS[kind]
    behind_start = content.index(b"\xff\xda") + 20
    for shortened in (content[:behind_start], content[:-300], content[:-2], content[:-1]):
        # A lone 0xFF at the end and what follows could be anything.
        if shortened[-1:] == b"\xff" and trailer:
            continue
        with pytest.raises(FrameFault) as caught:
            read_header(shortened + TRAILERS.get(trailer, b""))
        assert caught.value.reason is Reason.TRUNCATED


def test_the_end_mark_of_a_thumbnail_is_not_the_images():
    content, behind = with_thumbnail()
    assert declared_size(content) == (64, 48)
    assert read_header(content + bytes(900)).end == len(content)
    for shortened in (
        content[: behind - 30],
        content[:behind],
        content[: behind + 200],
        content[:-9],
    ):
        for padding in (b"", bytes(4000)):
            with pytest.raises(FrameFault) as caught:
                declared_size(shortened + padding)
            assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("padding", [b"", bytes(16), bytes(50_000), files.png(OTHER)])
@pytest.mark.parametrize("kind", PNGS)
def test_a_png_without_its_end_is_truncated_whatever_follows(kind, padding):
    for shortened in [*cuts(PNGS[kind]), PNGS[kind][:-12], PNGS[kind][:-1]]:
        with pytest.raises(FrameFault) as caught:
            decode_image(shortened + padding, grey=False)
        assert caught.value.reason is Reason.TRUNCATED


def test_the_first_picture_of_a_phones_file_is_read():
    both = io.BytesIO()
    first, second = PillowImage.fromarray(RGB), PillowImage.fromarray(OTHER)
    first.save(both, "MPO", save_all=True, append_images=[second])
    assert decode_image(both.getvalue(), grey=False).shape == (64, 48, 3)


@pytest.mark.parametrize("start", [files.png(MASK)[:33], files.jpeg(MASK)[:2]], ids=["png", "jpeg"])
@pytest.mark.parametrize(
    "part", [b"\0\0\0\0tEXt\0\0\0\0", b"\xff\xfe\0\2", b"\0\0\0\0\0\0\0\0\0\0\0\0", b"\xff\x01"]
)
def test_files_of_many_parts_are_read_quickly(start, part):
    started = time.process_time()
    with pytest.raises(FrameFault):
        read_header(start + part * (20 * MAX_PARTS // 3))
    assert time.process_time() - started < 2
