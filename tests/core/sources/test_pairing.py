from hypothesis import given
from hypothesis import strategies as st

from core.sources.pairing import order_key, pair, time_of


def test_stems_pair_whatever_their_order():
    found = pair(["b", "a", "c"], ["c", "a", "x"])
    assert found.pairs == [(1, 1), (0, None), (2, 0)]
    assert found.lonely_silhouettes == [2]


def test_numbers_pair_by_value_and_sort_by_value():
    found = pair(["10", "9", "8"], ["008", "009", "011"])
    assert found.pairs == [(2, 0), (1, 1), (0, None)]
    assert found.lonely_silhouettes == [2]


def test_timestamps_pair_with_the_nearest_within_half_a_frame():
    rgb = ["1650000000.000", "1650000000.033", "1650000000.066", "1650000000.100"]
    masks = ["1650000000.001", "1650000000.040", "1650000000.085", "1650000000.200"]
    found = pair(rgb, masks)
    assert found.pairs == [(0, 0), (1, 1), (2, None), (3, 2)]
    assert found.lonely_silhouettes == [3]


def test_a_silhouette_is_used_once():
    rgb = ["1650000000000", "1650000000010", "1650000000020"]
    found = pair(rgb, ["1650000000012"])
    assert found.pairs == [(0, None), (1, 0), (2, None)]


def test_frame_numbers_never_pair_with_neighbours():
    assert pair(["0", "5", "10"], ["2", "7"]).pairs == [(0, None), (1, None), (2, None)]


def test_timestamps_of_different_lengths_sort_as_times():
    stems = ["16500000005", "1650000000499", "1650000000"]
    assert sorted(stems, key=order_key) == ["1650000000", "1650000000499", "16500000005"]
    assert time_of("1650000000.25") == 1650000000.25
    assert time_of("frame") is None


def test_names_sort_naturally():
    assert sorted(["f10", "f9", "f1b", "f1a"], key=order_key) == ["f1a", "f1b", "f9", "f10"]


@given(
    st.lists(st.integers(0, 30).map(str), unique=True),
    st.lists(st.integers(0, 30).map(str), unique=True),
)
def test_every_frame_appears_once_and_partners_agree(rgb, masks):
    found = pair(rgb, masks)
    assert sorted(index for index, _ in found.pairs) == list(range(len(rgb)))
    used = [partner for _, partner in found.pairs if partner is not None]
    assert sorted(used + found.lonely_silhouettes) == list(range(len(masks)))
    assert all(rgb[a] == masks[b] for a, b in found.pairs if b is not None)
    assert {rgb[a] for a, b in found.pairs if b is not None} == set(rgb) & set(masks)
    times = [int(rgb[index]) for index, _ in found.pairs]
    assert times == sorted(times)
