"""The grammar, its words and its tokens."""

import numpy as np
import pytest

from core.models.backbones.prompts import built_in_prompts
from core.models.backbones.sizes import CLIP_END_OF_TEXT, CLIP_TOKENS, CLIP_VOCABULARY
from core.pretraining.labels import REGIONS
from core.pretraining.sentences import (
    NEUTRAL,
    NOTHING,
    Sentence,
    as_tensors,
    draw_sentence,
    region_of,
    sentences_of,
    token_ids,
    vocabulary,
    word_table,
)


@pytest.fixture(scope="module")
def tokenizer():
    return pytest.importorskip("instant_clip_tokenizer").Tokenizer()


@pytest.fixture(scope="module")
def sentences():
    rng = np.random.default_rng(5)
    return [draw_sentence(rng) for _ in range(400)]


def named(sentence):
    return {
        word: REGIONS[name]
        for word, name in zip(sentence.words, sentence.names, strict=True)
        if name != NOTHING
    }


def test_every_region_has_words_and_every_word_one_place():
    assert set(word_table()) == {*REGIONS, NEUTRAL}
    words = [word for part in word_table().values() for word in part]
    assert len(words) == len(set(words)) > 250
    assert all(0 <= i < CLIP_VOCABULARY for i in vocabulary())


def test_ids_are_clips_own(tokenizer):
    for word, ids in token_ids().items():
        assert list(ids) == list(tokenizer.encode(word)), word


def test_whole_sentences_have_clips_ids(tokenizer, sentences):
    for sentence in sentences[:60]:
        batch = as_tensors([sentence])
        expected = tokenizer.encode(" ".join(sentence.words))
        assert batch.tokens[0, 1:-1].tolist() == list(expected)


def test_prompt_words_are_in_the_vocabulary_and_no_sentence_is_a_prompt(sentences):
    texts = {" ".join(sentence.words) for sentence in sentences}
    for entry in built_in_prompts().values():
        words = entry["text"].lower().replace(",", " ,").replace(".", " .").replace("-", " ")
        assert not set(words.split()) - set(region_of())
        assert words not in texts


def test_a_plain_word_names_its_region_and_whose_it_is_does_not(sentences):
    kinds = {"boundary": 0, "negated": 0, "posture": 0}
    for sentence in sentences:
        for place, (word, name) in enumerate(zip(sentence.words, sentence.names, strict=True)):
            own = region_of()[word]
            if own == NOTHING or name == own:
                continue
            before = set(sentence.words[:place])
            if name == NOTHING and before & {"not", "than", "regard", "instead"}:
                kinds["negated"] += 1
            elif (
                name == NOTHING
            ):  # the walker of "the gait of the walker" and "how the walker moves"
                kinds["posture"] += 1
                assert word in word_table()["body"]
                assert before & {"posture", "gait", "movement", "how"}
            else:  # the body of "the boundary of the body", the swing's own word
                kinds["boundary"] += 1
                assert word in word_table()["body"] or "of" in sentence.words[place:]
    assert min(kinds.values()) > 10


def test_known_sentences():
    rng = np.random.default_rng(0)
    sentences = [draw_sentence(rng) for _ in range(3000)]
    by_words = {" ".join(sentence.words): sentence for sentence in sentences}
    boundary = next(s for t, s in by_words.items() if "boundary of the body" in t)
    assert named(boundary)["body"] == "boundary"
    posture = next(s for t, s in by_words.items() if t.startswith("the gait of the pedestrian"))
    assert "pedestrian" not in named(posture)
    photos = [s for text, s in by_words.items() if text.startswith("a photo of")]
    assert len(photos) > 20
    assert all("body" in named(sentence).values() for sentence in photos)


def test_sentences_are_about_the_person_the_surroundings_or_both(sentences):
    around = {REGIONS.index(n) for n in ("sky", "walls", "windows", "ground", "things")}
    several = [s.regions for s in sentences if len(s.regions) > 1]
    for some in (
        [r for r in several if r <= around],
        [r for r in several if not r & around],
        [r for r in several if r & around and r - around],
    ):
        assert len(some) > 0.15 * len(several)
    assert any(not s.regions for s in sentences)


def test_tensors_share_each_region_between_its_tokens_and_the_end():
    arms, sky = REGIONS.index("arms"), REGIONS.index("sky")
    long = Sentence(
        ("the", "forearms", "and", "the", "sky"), (NOTHING, arms, NOTHING, NOTHING, sky)
    )
    short = Sentence(("look",), (NOTHING,))
    batch = as_tensors([long, short])
    assert batch.inside.sum(1).tolist() == [8, 3]  # "forearms" is two tokens
    assert batch.tokens[1, 2:].unique().tolist() == [CLIP_END_OF_TEXT]
    assert batch.naming[0, :, arms].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 0, 0, 0, 1 / 3])
    assert batch.naming[0, :, sky].tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 0.5, 0.5])
    assert batch.naming[0].sum() == pytest.approx(2.0)
    assert not batch.naming[1].any()


def test_sentences_of_a_step_are_the_same_always_and_fit_clip():
    assert sentences_of(3, 7, 8) == sentences_of(3, 7, 8) != sentences_of(3, 8, 8)
    assert as_tensors([s for n in range(40) for s in sentences_of(0, n, 8)]).tokens.shape[1] < (
        CLIP_TOKENS
    )
