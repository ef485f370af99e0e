"""What plain YAML is, for settings as for manifests."""

import pytest

from core.config.resolve import parse_override, read_yaml
from core.errors import ConfigError
from core.system.plain_yaml import KNOWN_BYTES, MAX_BYTES, YamlFault, plain_yaml, read_plain_yaml

# Each line unfolds to nine of the line before: 9^9 values from a few hundred bytes.
BOMB = "a0: &a0 [x]\n" + "\n".join(
    f"a{line}: &a{line} [{', '.join([f'*a{line - 1}'] * 9)}]" for line in range(1, 10)
)
BAD = [
    ("a: [1", "line 1"),
    ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ("a: 1\na: 2", "given twice"),
    ("a: &x [*x]", "holds itself"),
    ("[" * 5000, "nested too deeply"),
    ("? [1, 2]\n: 3", "unhashable"),
    ("a: 2001-99-99", "month must be"),
    (BOMB, "unfold to more than 200,000"),
    ("x" * (MAX_BYTES + 1), "larger than 1 MiB"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_yaml_with_objects_or_duplicate_keys_is_refused(tmp_path, text, words):
    with pytest.raises(YamlFault, match=words) as caught:
        plain_yaml(text)
    assert "\n" not in str(caught.value)
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_yaml(path)
    with pytest.raises(ConfigError, match=words):
        parse_override(f"key={text}")


def test_plain_values_are_read():
    text = "a: off\nb: true\nc: &x [1, 2.5]\nd: {<<: {e: *x}, f: null}\n"
    assert plain_yaml(text) == {
        "a": "off",
        "b": True,
        "c": [1, 2.5],
        "d": {"e": [1, 2.5], "f": None},
    }


@pytest.mark.parametrize("rest", ["", "# " + "x" * KNOWN_BYTES])
def test_a_text_that_is_read_again_gives_the_caller_values_of_its_own(rest):
    text = f"a: &x [1, {{b: 2}}]\nc: *x\n{rest}"
    first = plain_yaml(text)
    first["a"][1]["b"], first["d"] = 3, 4
    again = plain_yaml(text)
    assert again == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}
    assert again["a"] is again["c"]


def test_a_byte_order_mark_is_ignored_and_other_encodings_are_refused(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_plain_yaml(path) == {"a": 1}
    path.write_bytes("a: ä".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml(path)
