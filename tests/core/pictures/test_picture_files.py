"""PNG, GIF and MP4 open again with what was drawn, and come out the same twice."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from core.errors import OutputError, UsageError
from core.pictures.files import check_ending, moves, write_film, write_png


def frames(count=4, size=(48, 64)):
    """A bright square that walks to the right."""
    made = [np.full((*size, 3), 200, np.uint8) for _ in range(count)]
    for number, picture in enumerate(made):
        picture[16:32, 8 * number : 8 * number + 16] = (220, 30, 30)
    return made


def opened(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_a_png_is_exact(tmp_path):
    write_png(tmp_path / "a.png", frames()[1])
    with Image.open(tmp_path / "a.png") as found:
        assert (np.asarray(found) == frames()[1]).all()


@pytest.mark.parametrize("ending", [".gif", ".mp4", ".GIF"])
def test_a_film_has_its_frames_in_order(tmp_path, ending):
    write_film(tmp_path / f"a{ending}", iter(frames()))
    found = opened(tmp_path / f"a{ending}")
    assert len(found) == 4
    for number, picture in enumerate(found):
        assert picture.shape == (48, 64, 3)
        centre = picture[24, 8 * number + 8].astype(int)
        assert abs(centre - (220, 30, 30)).max() < 40
        assert abs(picture[40, 40].astype(int) - 200).max() < 20


def test_a_film_of_one_frame_and_a_gif_that_goes_round(tmp_path):
    write_film(tmp_path / "a.mp4", frames(1))
    assert len(opened(tmp_path / "a.mp4")) == 1
    write_film(tmp_path / "a.gif", frames(3))
    with Image.open(tmp_path / "a.gif") as found:
        assert isinstance(found, GifImageFile)
        assert found.n_frames == 3
        assert found.info["loop"] == 0
        assert found.info["duration"] == 100


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_equal_pictures_give_equal_bytes(tmp_path, ending):
    for name in ("a", "b"):
        write_film(tmp_path / f"{name}{ending}", frames())
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_a_film_that_breaks_off_leaves_nothing(tmp_path, ending):
    def broken():
        yield from frames(2)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_film(tmp_path / f"a{ending}", broken())
    assert list(tmp_path.iterdir()) == []


def test_endings():
    for name in ("a.png", "a.gif", "a.MP4"):
        check_ending(Path(name))
        assert moves(Path(name)) == (name != "a.png")
    with pytest.raises(UsageError, match=r"\.avi"):
        check_ending(Path("a.avi"))


def test_an_unwritable_folder_raises_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_png(tmp_path / "file" / "a.png", frames()[0])
