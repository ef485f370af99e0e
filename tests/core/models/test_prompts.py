import re

import pytest

from core.errors import ConfigError, WeightsError
from core.models.backbones import prompts
from core.models.backbones.prompts import built_in_prompts, prompt_tokens, prompt_words
from core.models.lmgait.build import build_text_encoder
from tests.fakes.models import small_config, small_model

NO_FOLDER = "openai/clip-vit-base-patch32"


@pytest.fixture
def tokenizer():
    return pytest.importorskip("instant_clip_tokenizer").Tokenizer()


def test_built_in_ids_are_clips_own(tokenizer):
    for name, entry in built_in_prompts().items():
        expected = [49406, *tokenizer.encode(entry["text"]), 49407]
        assert entry["ids"] == expected, name
    assert {"designed", "wrong", "random"} <= set(built_in_prompts())


def test_the_designed_prompt_says_what_the_paper_says():
    text = built_in_prompts()["designed"]["text"].lower()
    for word in ("walking posture", "pedestrian", "arms", "legs", "boundary", "body"):
        assert word in text


def test_a_built_in_prompt_needs_no_tokenizer(monkeypatch):
    def never():
        raise AssertionError("the tokenizer was asked")

    monkeypatch.setattr(prompts, "_package_tokenizer", never)
    ids, kept = prompt_tokens("designed", NO_FOLDER)
    assert ids.shape == kept.shape == (1, 31)
    assert kept.all()


def test_own_sentences(tmp_path, tokenizer):
    path = tmp_path / "own.txt"
    path.write_text("Arms swing.\n\n  The legs move far apart and together again.  \n")
    ids, kept = prompt_tokens(str(path), NO_FOLDER)
    first = [49406, *tokenizer.encode("Arms swing."), 49407]
    second = [49406, *tokenizer.encode("The legs move far apart and together again."), 49407]
    assert ids.shape == (2, len(second))
    assert ids[0, : len(first)].tolist() == first
    assert ids[1].tolist() == second
    assert kept.sum(1).tolist() == [len(first), len(second)]
    assert ids[0, len(first) :].unique().tolist() == [49407]
    words = [word.text for word in prompt_words(str(path), NO_FOLDER)]
    assert words[:3] == ["[begin]", "arms", "swing"]
    assert words.count("[end]") == 2


def test_own_sentences_reach_the_model(tmp_path, tokenizer):
    path = tmp_path / "own.txt"
    path.write_text("Arms swing.\nLegs move.\n")
    text = small_model(text={"prompt": str(path)}).text_features()
    config = small_config(model={"text": {"prompt": str(path)}}).model
    kept = build_text_encoder(config, 96)[2]
    assert text is not None
    assert text.shape == (int(kept.sum()), 96)


def test_a_sentence_of_77_tokens_fits_and_one_more_does_not(tmp_path, tokenizer):
    path = tmp_path / "own.txt"
    path.write_text(" ".join(["arm"] * 75))
    assert prompt_tokens(str(path), NO_FOLDER)[0].shape == (1, 77)
    path.write_text("short\n" + " ".join(["arm"] * 76))
    with pytest.raises(ConfigError, match="Sentence 2 has 78 tokens; CLIP takes 77"):
        prompt_tokens(str(path), NO_FOLDER)


@pytest.mark.parametrize("content", [None, b"", b" \n\n", b"\xff\xfe\x00", b"a" * (1 << 17)])
def test_files_that_are_no_prompt(tmp_path, content):
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        prompt_tokens(str(path), NO_FOLDER)


def test_without_a_tokenizer_own_sentences_say_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "instant_clip_tokenizer", None)
    path = tmp_path / "own.txt"
    path.write_text("Arms swing.")
    with pytest.raises(WeightsError, match=r"lmgait\[tokenizer\]"):
        prompt_tokens(str(path), NO_FOLDER)
    # built-in prompts go on without it, in pictures too
    assert prompt_words("designed", NO_FOLDER)[0].text == "[begin]"


@pytest.mark.parametrize("name", built_in_prompts())
def test_a_built_in_prompt_has_one_token_for_each_word(name, tokenizer):
    ids = built_in_prompts()[name]["ids"]
    words = prompt_words(name, NO_FOLDER)
    assert [word.rows for word in words] == [(row,) for row in range(len(ids))]
    decoded = [tokenizer.decode([i]).strip() for i in ids[1:-1]]
    assert [word.text for word in words] == ["[begin]", *decoded, "[end]"]


def test_a_rare_word_is_one_word_of_several_tokens(tmp_path, tokenizer):
    path = tmp_path / "own.txt"
    path.write_text("A gaitprint walks.\nLegs move.\n")
    words = prompt_words(str(path), NO_FOLDER)
    texts = [word.text for word in words]
    assert texts == [
        "[begin]",
        "a",
        "gaitprint",
        "walks",
        ".",
        "[end]",
        "[begin]",
        "legs",
        "move",
        ".",
        "[end]",
    ]
    assert len(words[2].rows) == len(tokenizer.encode("gaitprint")) > 1
    rows = [row for word in words for row in word.rows]
    assert rows == list(range(int(prompt_tokens(str(path), NO_FOLDER)[1].sum())))
