"""Fading edges: planted ones are found, stable ones are left alone as often as is stated."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from models.validation.decay import MIN_REFERENCE, WINDOW, fallback, rolling_ratio, watch, window_dates

START = pd.Timestamp("2021-01-01", tz="UTC")
NOISE = 0.4  # s.d. of the daily difference of two losses, in units of their mean


def losses(
    days: int, edge: float, later: float | None = None, change: int = 0, seed: int = 0, memory: float = 0.0
) -> pd.DataFrame:
    """A baseline of mean loss 1 and a champion that is `edge` better, from day `change` on `later` better."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(days)
    for t in range(1, days if memory else 0):
        noise[t] = memory * noise[t - 1] + math.sqrt(1 - memory**2) * noise[t]
    base = rng.gamma(2.0, 0.5, days)
    now = np.where(np.arange(days) < change, edge, edge if later is None else later)
    index = pd.date_range(START, periods=days, freq="D")
    return pd.DataFrame({"champion": base - now + NOISE * noise, "ewma": base}, index=index)


def since(days: int) -> pd.Timestamp:
    return START + pd.Timedelta(days=days)


@pytest.mark.parametrize(
    ("life", "memory", "fewest", "most"),
    [
        (365, 0.0, 8, 23),  # 15 of 300 are stated, s.d. 3.8
        (None, 0.0, 1, 15),  # a year of a whole life
        (365, 0.2, 8, 30),  # neighbours that resemble each other cost a little
    ],
)
def test_an_unchanged_edge_is_called_fading_as_rarely_as_stated(
    life: int | None, memory: float, fewest: int, most: int
) -> None:
    alarms = sum(
        watch(losses(615, 0.1, seed=seed, memory=memory), "champion", "ewma", since(250), life=life).alarm is not None
        for seed in range(300)
    )
    assert fewest <= alarms <= most


@pytest.mark.parametrize(
    ("later", "found"), [(0.1, False), (0.0, True), (-0.1, True)], ids=["steady", "gone", "turned over"]
)
def test_a_planted_decay_is_found_after_it_began(later: float, found: bool) -> None:
    change = 400
    verdicts = [
        watch(losses(900, 0.2, later=0.2 if later == 0.1 else later, change=change, seed=s), "champion", "ewma",
              since(300), life=600)
        for s in range(20)
    ]  # fmt: skip
    late = [v for v in verdicts if v.alarm is not None and v.alarm >= since(change)]
    assert (len(late) >= 18) is found
    if found:
        delays = [(v.alarm - since(change)).days for v in late if v.alarm is not None]
        assert np.median(delays) < 200
        assert all(v.status == "fading" and v.drift > 0 for v in late)


def test_the_boundary_and_the_detector_by_hand() -> None:
    frame = losses(300, 0.1, seed=3)
    got = watch(frame, "champion", "ewma", since(200))
    difference = (frame["champion"] - frame["ewma"]).to_numpy()
    reference, later = difference[:200], difference[200:]
    # Bartlett weights with int(4 x 2^(2/9)) = 4 lags
    d = reference - reference.mean()
    variance = (d @ d + 2 * sum((1 - j / 5) * (d[j:] @ d[:-j]) for j in range(1, 5))) / 200
    want = np.cumsum(later - reference.mean()) / math.sqrt(variance * 200)
    np.testing.assert_allclose(got.detector, want, rtol=1e-10)
    np.testing.assert_allclose(got.boundary[[0, 99]], [1.959964 * 1.005, 1.959964 * 1.5], rtol=1e-6)
    limited = watch(frame, "champion", "ewma", since(200), life=100)
    np.testing.assert_allclose(limited.boundary, got.boundary * math.sqrt(100 / 300), rtol=1e-12)
    assert got.drift == pytest.approx(later.mean() - reference.mean())


def test_the_verdict_of_a_day_does_not_change() -> None:
    frame = losses(700, 0.2, later=-0.1, change=350, seed=1)
    whole, part = (watch(f, "champion", "ewma", since(300)) for f in (frame, frame.iloc[:500]))
    assert whole.alarm == part.alarm is not None
    assert whole.detector[:200].tobytes() == part.detector.tobytes()


@pytest.mark.parametrize(("reference", "status"), [(MIN_REFERENCE - 1, "insufficient_data"), (MIN_REFERENCE, "steady")])
def test_a_short_reference_gives_no_verdict(reference: int, status: str) -> None:
    got = watch(losses(reference + 10, 0.1), "champion", "ewma", since(reference))
    assert (got.status, got.required, got.received, got.alarm) == (status, MIN_REFERENCE, reference, None)


def test_a_champion_that_was_the_baseline_and_is_no_longer() -> None:
    frame = losses(200, 0.0)
    frame["champion"] = frame["ewma"] + np.where(np.arange(200) < 190, 0.0, 0.01)
    assert watch(frame, "champion", "ewma", since(150)).alarm == since(190)
    assert watch(frame.iloc[:190], "champion", "ewma", since(150)).status == "steady"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_alarms": 0.0}, "probability between 0 and 1"),
        ({"life": 5}, "begin a new one"),
    ],
)
def test_a_watch_that_makes_no_sense_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        watch(losses(200, 0.1), "champion", "ewma", since(150), **options)  # type: ignore[arg-type]


def test_losses_must_be_in_order_and_known() -> None:
    frame = losses(200, 0.1)
    with pytest.raises(ValueError, match="sorted by date"):
        watch(frame.iloc[::-1], "champion", "ewma", since(150))
    frame.iloc[5, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        watch(frame, "champion", "ewma", since(150))


def test_the_rolling_ratio() -> None:
    frame = losses(60, 0.2)
    got = rolling_ratio(frame, "champion", "ewma")
    assert got.isna().sum() == WINDOW - 1
    assert got.iloc[40] == pytest.approx(frame["champion"].iloc[13:41].sum() / frame["ewma"].iloc[13:41].sum())


@pytest.mark.parametrize(
    ("shift", "noise", "triggered"),
    [
        (0.04, 1e-3, False),  # worse beyond chance, but within 5 %
        (0.06, 1e-3, True),
        (0.06, 0.4, False),  # worse by more than 5 %, but it could be chance
        (-0.2, 1e-3, False),
    ],
)
def test_fallback_wants_both_much_and_more_than_chance(shift: float, noise: float, triggered: bool) -> None:
    rng = np.random.default_rng(0)
    wiggle = rng.standard_normal(WINDOW)
    wiggle -= wiggle.mean()
    frame = pd.DataFrame({"champion": 1.0 + shift + noise * wiggle, "ewma": 1.0}, index=range(WINDOW))
    got = fallback(frame, "champion")
    assert got.triggered is triggered
    assert got.ratio == pytest.approx(1.0 + shift)


@pytest.mark.parametrize(
    ("shift", "away", "triggered"),
    [
        (0.06, False, True),
        (0.06, True, True),
        (0.04, False, False),  # one that serves goes on
        (0.04, True, True),  # one that gave way stays away
        (0.0, True, True),
        (-0.01, True, False),  # and returns when it is the better one
    ],
)
def test_who_gave_way_returns_when_it_is_better_again(shift: float, away: bool, triggered: bool) -> None:
    wiggle = np.tile([1e-3, -1e-3], WINDOW // 2)
    frame = pd.DataFrame({"champion": 1.0 + shift + wiggle, "ewma": 1.0}, index=range(WINDOW))
    assert fallback(frame, "champion", away=away).triggered is triggered


@pytest.mark.parametrize(("horizon", "dates"), [(1, 28), (5, 140), (7, 196)])
def test_fallback_needs_its_window(horizon: int, dates: int) -> None:
    assert window_dates(horizon) == dates
    got = fallback(losses(dates - 1, -1.0), "champion", horizon_days=horizon)
    assert (got.triggered, got.dates, got.reason) == (False, dates, f"{dates} dates required, {dates - 1} received")
    assert fallback(losses(dates - 1, -1.0), "champion", horizon_days=horizon, away=True).triggered, "nothing new"
    assert fallback(losses(dates, -1.0), "champion", horizon_days=horizon).triggered


def test_fallback_leaves_out_dates_without_an_outcome() -> None:
    frame = losses(WINDOW + 1, -1.0)
    frame.iloc[3, 0] = np.nan
    known = frame.drop(frame.index[3])
    assert fallback(frame, "champion") == fallback(known, "champion")


def test_fallback_asked_for_a_year_spares_champions_with_an_edge() -> None:
    """Asked once a week: in 2 % of years with an edge of 15 % of the loss, in 90 % without any (1,000 years each)."""
    years = {edge: [losses(365 + WINDOW, edge, seed=s) for s in range(16)] for edge in (0.0, 0.15)}
    hit = {
        edge: sum(
            any(fallback(year.iloc[k : k + WINDOW], "champion").triggered for k in range(0, 365, 7)) for year in several
        )
        for edge, several in years.items()
    }
    assert hit[0.15] <= 1
    assert hit[0.0] >= 10
