"""How long credits last, as arithmetic: no database."""

import pytest

from llmproxy.usage.forecast import HORIZON, Estimate, Lot, estimate


@pytest.mark.parametrize(
    ("used", "lots", "expected"),
    [
        ([10] * 14, [Lot(112)], Estimate(8, 14)),
        ([10] * 14, [Lot(10)], Estimate(0, 1)),
        ([1] * 14, [Lot(10_000)], Estimate(None, None)),
        ([10] * 14, [Lot(1000)], Estimate(80, None)),
        # One busy day does not change the median; older days do not count.
        ([900] * 20 + [10] * 13 + [5000], [Lot(100)], Estimate(8, 12)),
        # Most days were quiet: the mean, 20 credits a day.
        ([0] * 10 + [70] * 4, [Lot(100)], Estimate(4, 6)),
        # A new account has three days.
        ([0, 10, 10], [Lot(100)], Estimate(8, 12)),
        # What expires after two days is spent first, and 930 of it expire unspent.
        ([10] * 14, [Lot(1000, days=2), Lot(40)], Estimate(6, 8)),
        # What has already expired by tomorrow is there today only.
        ([10] * 14, [Lot(1000, days=0)], Estimate(1, 1)),
    ],
)
def test_the_credits_last_so_many_days(
    used: list[int], lots: list[Lot], expected: Estimate
) -> None:
    assert estimate(used, lots) == expected


@pytest.mark.parametrize(
    ("used", "lots"),
    [
        ([10, 10], [Lot(100)]),
        ([], [Lot(100)]),
        ([0] * 14, [Lot(100)]),
        ([10] * 14, []),
        ([10] * 14, [Lot(0), Lot(-5)]),
        ([10] + [0] * 14, [Lot(100)]),
    ],
)
def test_nothing_is_foretold_without_days_use_or_credits(used: list[int], lots: list[Lot]) -> None:
    assert estimate(used, lots) is None


def test_beyond_the_horizon_nothing_is_counted() -> None:
    assert estimate([10] * 14, [Lot(1137)]) == Estimate(HORIZON, None)
    assert estimate([10] * 14, [Lot(1138)]) == Estimate(None, None)
