"""Galleries: what goes in comes out, what is damaged or foreign is refused."""

import json
import struct

import numpy as np
import pytest

from core.errors import DataError, OutputError, UsageError
from core.recognition.gallery import (
    MAX_NAME,
    Entry,
    ModelId,
    changing,
    check_maker,
    checked_name,
    empty_gallery,
    read_gallery,
    remove,
    write_gallery,
)

MAKER = ModelId(run="first", dataset="casiab", step=6, fingerprint="ab" * 32)


def walk(name, video="a.mp4", track=1, value=0.0):
    entry = Entry(name=name, video=video, digest=f"of {video}", track=track, frames=30)
    return entry, np.full((3, 2), value, np.float32)


def gallery(*walks):
    return empty_gallery(MAKER, (3, 2)).with_walks(walks)


def test_a_gallery_comes_back_as_it_was(tmp_path):
    path = tmp_path / "people.safetensors"
    made = gallery(walk("Ayşe / 李", value=1.5), walk("Bo", "b.mp4", 2, -1.0))
    write_gallery(path, made)
    found = read_gallery(path)
    assert (found.maker, found.entries) == (made.maker, made.entries)
    np.testing.assert_array_equal(found.embeddings, made.embeddings)
    assert found.names == ("Ayşe / 李", "Bo")


def test_enrolling_a_video_again_replaces_its_walks():
    first = gallery(walk("Anna", value=1.0), walk("Bo", "b.mp4"))
    again = first.with_walks([walk("Anna", track=3, value=2.0)])
    assert [entry.name for entry in again.entries] == ["Bo", "Anna"]
    assert again.embeddings[1, 0, 0] == 2.0
    renamed = again.with_walks([walk("Cleo", track=3)])
    assert renamed.names == ("Bo", "Cleo")
    both = renamed.with_walks([walk("Dora", track=4)])
    assert both.names == ("Bo", "Cleo", "Dora")


def test_a_name_can_be_removed(tmp_path):
    path = tmp_path / "people.safetensors"
    write_gallery(path, gallery(walk("Anna"), walk("Anna", "c.mp4"), walk("Bo", "b.mp4")))
    assert remove(path, " Anna ") == 2
    assert read_gallery(path).names == ("Bo",)
    with pytest.raises(DataError, match="Nobody is called 'Anna'"):
        remove(path, "Anna")
    assert remove(path, "Bo") == 1
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * (MAX_NAME + 1), "bell\a"])
def test_unprintable_names_raise_a_usage_error(name):
    with pytest.raises(UsageError):
        checked_name(name)


def test_one_spelling_of_a_name():
    assert checked_name("  Zoe\u0308 ") == "Zoë"
    assert checked_name("../a b") == "../a b"


def test_a_gallery_of_another_model_is_refused(tmp_path):
    other = MAKER.model_copy(update={"run": "second", "fingerprint": "cd" * 32})
    with pytest.raises(DataError, match="another model: first") as caught:
        check_maker(gallery(walk("Anna")), other, tmp_path / "g")
    assert "--run first" in str(caught.value)
    check_maker(gallery(), MAKER, tmp_path / "g")


def test_two_writers_exclude_each_other(tmp_path):
    path = tmp_path / "g.safetensors"
    with changing(path), pytest.raises(OutputError, match="Another process"), changing(path):
        pass


def rewritten(path, change):
    """Write the gallery with its header changed."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    told = json.loads(header["__metadata__"]["lmgait"])
    change(told)
    header["__metadata__"]["lmgait"] = json.dumps(told)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told.update(gallery=2), "format 2, this lmgait reads 1"),
        (lambda told: told.update(kind="text cache"), "not a gallery"),
        (lambda told: told["entries"].pop(), "damaged: 2 embeddings of 1 walks"),
        (lambda told: told["entries"][0].update(track="1"), "damaged"),
        (lambda told: told["entries"][0].pop("name"), "damaged"),
        (lambda told: told.update(maker=None), "damaged"),
        (lambda told: told.update(more=1), "damaged"),
    ],
)
def test_a_header_that_is_wrong(tmp_path, change, told):
    path = tmp_path / "g.safetensors"
    write_gallery(path, gallery(walk("Anna"), walk("Bo", "b.mp4")))
    rewritten(path, change)
    with pytest.raises(DataError, match=told) as caught:
        read_gallery(path)
    assert "\n" not in caught.value.what
    assert caught.value.next_step


@pytest.mark.parametrize("content", [None, b"", b"text", b"\xff" * 64, "cut", "nan"])
def test_a_file_that_is_not_a_gallery_raises_a_data_error(tmp_path, content):
    path = tmp_path / "g.safetensors"
    write_gallery(path, gallery(walk("Anna", value=np.nan if content == "nan" else 0.0)))
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_gallery(path)
    assert "\n" not in caught.value.what
