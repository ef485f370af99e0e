import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sources.pairing import pair
from core.sources.stems import Reading, order_key, read_names, time_of


def test_stems_pair_whatever_their_order():
    result = pair(["b", "a", "c"], ["c", "a", "x"])
    assert result.pairs == [(1, 1), (0, None), (2, 0)]
    assert result.lonely_silhouettes == [2]


def test_numbers_pair_by_value_and_sort_by_value():
    result = pair(["10", "9", "8"], ["008", "009", "011"])
    assert result.pairs == [(2, 0), (1, 1), (0, None)]
    assert result.lonely_silhouettes == [2]


def test_timestamps_pair_with_the_nearest_within_half_a_frame():
    rgb = ["1650000000.000", "1650000000.033", "1650000000.066", "1650000000.100"]
    masks = ["1650000000.001", "1650000000.040", "1650000000.085", "1650000000.200"]
    result = pair(rgb, masks)
    assert result.pairs == [(0, 0), (1, 1), (2, None), (3, 2)]
    assert result.lonely_silhouettes == [3]


def test_a_silhouette_is_used_once():
    rgb = ["1650000000000", "1650000000010", "1650000000020"]
    result = pair(rgb, ["1650000000012"])
    assert result.pairs == [(0, None), (1, 0), (2, None)]


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
    result = pair(rgb, masks)
    assert sorted(index for index, _ in result.pairs) == list(range(len(rgb)))
    paired = [partner for _, partner in result.pairs if partner is not None]
    assert sorted(paired + result.lonely_silhouettes) == list(range(len(masks)))
    assert all(rgb[a] == masks[b] for a, b in result.pairs if b is not None)
    assert {rgb[a] for a, b in result.pairs if b is not None} == set(rgb) & set(masks)
    times = [int(rgb[index]) for index, _ in result.pairs]
    assert times == sorted(times)


def in_order(stems):
    """The stems as they are paired, listed as a folder lists them."""
    listed = sorted(stems)
    return [listed[index] for index, _ in pair(listed, []).pairs]


NANOSECONDS = [1661345678_900000000 + k * 33333333 for k in range(40)]
MICROSECONDS = [1661345678_933333 + k * 40000 for k in range(40)]


@pytest.mark.parametrize(
    "stems",
    [
        [f"{t // 10**9}.{t % 10**9}" for t in NANOSECONDS],
        [f"{t // 10**9}_{t % 10**9}" for t in NANOSECONDS],
        [f"{t // 10**9}-{t % 10**9}" for t in NANOSECONDS],
        [f"{t // 10**9}{t % 10**9}" for t in NANOSECONDS],
        [f"left{t // 10**9}.{t % 10**9}_raw" for t in NANOSECONDS],
        [f"{t // 10**9 - 1661345670}.{t % 10**9}" for t in NANOSECONDS],
        [f"{t // 10**6}_{t % 10**6}" for t in MICROSECONDS],
        [f"{t // 10**6}.{t % 10**6}" for t in MICROSECONDS[4:]],
        [f"1661345678_{k}" for k in range(1, 13)],
        [f"{part}.{k}" for part in (1, 2) for k in range(1, 13)],
    ],
)
def test_counters_without_zeros_in_front_sort_as_times(stems):
    assert in_order(stems) == stems
    names, _ = read_names(stems, [])
    assert names.reading is Reading.COUNT


@pytest.mark.parametrize(
    "stems",
    [
        [f"{t / 10**6}" for t in MICROSECONDS],
        [f"{t / 10**6}".replace(".", "") for t in MICROSECONDS],
        [f"cam2-{12 + k * 0.04:.2f}".rstrip("0") for k in range(40)],
        ["12.25", "12.5", "12.75", "13"],
        ["-1.5", "-1.25", "-0.5", "0.25", "1"],
        [f"{t // 10**9}.{t % 10**9:09d}" for t in NANOSECONDS],
        [str(t) for t in NANOSECONDS],
        [str(1661345678_000000000 + k) for k in range(12)],
    ],
)
def test_fractions_that_were_cut_short_or_have_one_width_are_decimal(stems):
    assert in_order(stems) == stems
    names, _ = read_names(stems, [])
    assert names.reading is Reading.DECIMAL


@pytest.mark.parametrize(
    "stems",
    [
        [str(9_999_900_000 + k * 33333) for k in range(12)],
        [str(999_900_000_000 + k * 33333333) for k in range(12)],
        [str(k) for k in range(-12, 12)],
        [f"-{k}" for k in range(1, 12)],
        [f"{k:04x}" for k in range(5, 40)],
        [f"{k:X}" for k in range(5, 300)],
        [f"frame_0x{k:x}" for k in range(5, 40)],
        [f"a{k}" for k in range(1, 30)],
        ["\u0669", "\u0661\u0660", "\u0661\u0661"],
    ],
)
def test_numbers_of_other_kinds_sort_by_value(stems):
    assert in_order(stems) == stems


@pytest.mark.parametrize("sign", ["\xb2", "\u2460", "\u2167", "\u0bf0"])
def test_signs_that_are_numbers_but_not_digits_are_text(sign):
    assert len(pair([f"1{sign}", sign, f"f{sign}2"], [sign, f"{sign}1"]).pairs) == 3


def test_a_clock_with_jitter_and_gaps_separates_counters_from_decimals():
    steps = [33333333 + 6_000_000 * (-1) ** k + 33333333 * (k % 11 == 5) for k in range(90)]
    times = [1661345678_012345678 + sum(steps[:k]) for k in range(90)]
    counted = [f"{t // 10**9}.{t % 10**9}" for t in times]
    stripped = [f"{t // 10**9}.{t % 10**9:09d}".rstrip("0") for t in times]
    assert in_order(counted) == counted
    assert in_order(stripped) == stripped


def test_both_streams_are_read_alike():
    padded = [f"{t // 10**9}.{t % 10**9:09d}" for t in NANOSECONDS[:8]]
    late = [t + 5_000_000 for t in NANOSECONDS[:8]]
    masks = [f"{t // 10**9}.{t % 10**9}" for t in late]
    assert pair(padded, masks).pairs == [(k, k) for k in range(8)]
    later = [f"{t // 10**9}.{t % 10**9}" for t in late[3:5]]  # eight digits each: they do not tell
    counted = [f"{t // 10**9}.{t % 10**9}" for t in NANOSECONDS[:8]]
    assert pair(counted, later).pairs[2:6] == [(2, None), (3, 0), (4, 1), (5, None)]


def test_equal_values_pair_however_they_are_written():
    assert pair(["12.5", "13.5"], ["12.50", "13.500"]).pairs == [(0, 0), (1, 1)]
    assert pair(["f_7", "f_8"], ["f_008", "f_007"]).pairs == [(0, 1), (1, 0)]
    assert pair(["caf\xe9_1"], ["cafe\u0301_1"]).pairs == [(0, 0)]
    assert pair(["7", "007"], ["007", "7"]).pairs == [(1, 0), (0, 1)]
    assert pair(["\u0667"], ["7"]).pairs == [(0, 0)]
