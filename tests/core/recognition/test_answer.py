"""Names by nearness, and strangers who decide how near is near enough."""

import numpy as np
import pytest

from core.recognition.answer import Recogniser
from core.records import EmbeddingSet
from tests.core.recognition.test_gallery import gallery, walk


def strangers(distances, views=None):
    """Strangers at these distances from a walk of zeros (and further from all others)."""
    rows = np.zeros((len(distances), 3, 2), np.float32)
    rows[:, 0] = -np.array(distances, np.float32)[:, None]
    count = len(distances)
    return EmbeddingSet(rows, ("s",) * count, ("nm",) * count, tuple(views or ("0",) * count))


def at(distance):
    row = np.zeros((3, 2), np.float32)
    row[0] = -distance
    return row


PEOPLE = gallery(walk("Anna"), walk("Anna", "b.mp4", value=90.0), walk("Bo", "c.mp4", value=50.0))


def recogniser(others, false_accepts=0.1, people=PEOPLE):
    return Recogniser(people, others, metric="euclidean", false_accepts=false_accepts)


def test_people_are_as_near_as_their_nearest_walk():
    answer = recogniser(strangers(range(1, 21))).answer(at(0.5))
    assert [one.name for one in answer.candidates] == ["Anna", "Bo"]
    assert answer.candidates[0].distance == pytest.approx(0.5)
    assert answer.name == "Anna"


def test_the_share_of_strangers_decides():
    judge = recogniser(strangers(range(1, 20)), false_accepts=0.1)
    shares = [judge.answer(at(d)).candidates[0].share for d in (0.5, 1.0, 1.5, 10.0, 30.0)]
    assert shares == [0.05, 0.1, 0.1, 0.55, 1.0]  # of 19, and never none
    assert [judge.answer(at(d)).name for d in (1.0, 2.0)] == ["Anna", None]


def test_the_view_with_the_nearest_strangers_is_used():
    near, far = list(range(1, 20)), list(range(101, 201))
    judge = recogniser(strangers(near + far, ["a"] * 19 + ["b"] * 100))
    assert judge.answer(at(5.0)).candidates[0].share == pytest.approx(6 / 20)


def test_people_who_are_near_each_other_bring_strangers_nearer():
    alone = gallery(walk("Anna"))
    two = gallery(walk("Anna"), walk("Bo", "c.mp4", value=-4.0 / 3**0.5))  # four apart
    others = strangers([8.0] * 9 + [30.0] * 10)
    assert recogniser(others, people=alone).answer(at(0.5)).name == "Anna"
    judge = recogniser(others, people=two)
    assert judge.scale < 1
    assert judge.answer(at(0.5)).candidates[0].share == pytest.approx(1 / 20)
    assert judge.answer(at(7.0)).candidates[0].share > 0.5


def test_with_few_strangers_nobody_is_identified():
    judge = recogniser(strangers([3.0, 4.0]), false_accepts=0.05)
    answer = judge.answer(at(0.0))
    assert answer.candidates[0].share == pytest.approx(1 / 3)
    assert answer.name is None


def test_without_strangers_nobody_is_identified():
    answer = recogniser(None).answer(at(0.0))
    assert answer.name is None
    assert answer.candidates[0].share is None


def test_strangers_are_accepted_at_the_requested_rate():
    random = np.random.default_rng(0)
    people = gallery(*(walk(f"p{n}", f"{n}.mp4") for n in range(5)))
    people = type(people)(
        people.maker, people.entries, random.normal(size=(5, 3, 2)).astype(np.float32)
    )
    rows = random.normal(size=(2400, 3, 2)).astype(np.float32)
    known = EmbeddingSet(rows[:400], ("s",) * 400, ("nm",) * 400, ("0", "90") * 200)
    judge = recogniser(known, false_accepts=0.1, people=people)
    taken = np.mean([judge.answer(row).name is not None for row in rows[400:]])
    assert 0.01 <= taken <= 0.13
