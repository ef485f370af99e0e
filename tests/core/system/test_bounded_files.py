"""Reading what may be larger or deeper than it should."""

import errno

import pytest

from core.system.files import plain_json, read_bounded, read_plain_json


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1]")
    assert read_bounded(path, 3) == b"[1]"
    assert read_plain_json(path) == [1]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_plain_json(path) == [1]
    with pytest.raises(OSError, match="larger than 2 bytes") as caught:
        read_bounded(path, 2)
    assert caught.value.errno == errno.EOVERFLOW
    with pytest.raises(OSError, match="larger"):
        read_plain_json(path, most=2)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"{'a': 1}"])
def test_anything_but_json_is_a_value_error(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        read_plain_json(path)


def test_json_as_text():
    assert plain_json('{"a": null}') == {"a": None}
    with pytest.raises(ValueError, match="nested too deeply"):
        plain_json("[" * 100_000)
