import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.bundle import STATE_FILE, Bundle, load_bundle
from models.volatility.bundle_fit import fit_bundle
from models.volatility.members import MEMBERS
from models.volatility.walk_forward import walk_forward

NUMBERS = ["rv_forecast", "p_spike", "score", "sigma_ann", "var99", "es99", "rv_low", "rv_high"]


@pytest.fixture(scope="module")
def pool(daily: pd.DataFrame) -> pd.DataFrame:
    return walk_forward(daily, SeriesKind.CANDLES, 1, MEMBERS)


@pytest.fixture(scope="module", params=MEMBERS)
def bundle(request: pytest.FixtureRequest, daily: pd.DataFrame, pool: pd.DataFrame) -> Bundle:
    alone = request.param != "combination"
    frame = walk_forward(daily, SeriesKind.CANDLES, 1, [request.param]) if alone else pool
    return fit_bundle(daily, SeriesKind.CANDLES, 1, request.param, frame)


@pytest.fixture(scope="module")
def plain(daily: pd.DataFrame) -> Bundle:
    return fit_bundle(daily, SeriesKind.CANDLES, 1, "log_har", walk_forward(daily, SeriesKind.CANDLES, 1, ["log_har"]))


def test_a_reloaded_bundle_says_the_same_to_the_last_bit(bundle: Bundle, daily: pd.DataFrame, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    before, after = bundle.predict(daily), load_bundle(tmp_path).predict(daily)
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    assert before["drivers"].tolist() == after["drivers"].tolist()
    assert {path.suffix for path in tmp_path.iterdir()} == {".json"}


def test_drivers_sum_to_the_forecast(bundle: Bundle, daily: pd.DataFrame) -> None:
    for row in bundle.predict(daily).itertuples():
        assert len(row.drivers) <= 7
        total = math.fsum(driver.contribution for driver in row.drivers)
        assert total == pytest.approx(math.log(row.rv_forecast), abs=1e-9)


def test_numbers_hang_together(bundle: Bundle, hourly: pd.DataFrame) -> None:
    got = bundle.predict(hourly)
    assert (got["status"] == "ok").all()
    assert got[NUMBERS].notna().all(axis=None)
    assert (got["rv_low"] < got["rv_high"]).all()
    np.testing.assert_allclose(got["sigma_ann"], np.sqrt(365 * got["rv_forecast"]))
    np.testing.assert_allclose(got["p_spike"], got["score"] / (got["score"] + 9 * (100 - got["score"])), rtol=1e-9)


def test_it_predicts_at_any_hour(bundle: Bundle, hourly: pd.DataFrame) -> None:
    noon = hourly["as_of"].max().normalize() - pd.Timedelta(hours=11)
    got = bundle.predict(hourly[hourly["as_of"] <= noon], noon)
    assert (got["as_of"] == noon).all()
    assert (got["status"] == "ok").all()


def test_a_pooled_champion_says_when_it_misses_the_other_series(bundle: Bundle, daily: pd.DataFrame) -> None:
    alone = bundle.predict(daily[daily["series"] == "AAA"]).iloc[0]
    together = bundle.predict(daily).iloc[0]
    if bundle.needs_panel:
        assert (together["status"], alone["status"]) == ("ok", "degraded")
        assert alone["reasons"] == ("the market state rests on 1 of 3 series",)
    else:
        assert alone[NUMBERS].equals(together[NUMBERS])


def test_a_baseline_of_a_pool_speaks_with_its_classifier(
    plain: Bundle, pool: pd.DataFrame, daily: pd.DataFrame, tmp_path: Path
) -> None:
    fitted = fit_bundle(daily, SeriesKind.CANDLES, 1, "log_har", pool)
    assert fitted.needs_panel
    assert not plain.needs_panel
    mixed, alone = fitted.predict(daily), plain.predict(daily)
    same = ["rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high", "drivers"]
    pd.testing.assert_frame_equal(mixed[same], alone[same], check_exact=True)
    assert (mixed["p_spike"] != alone["p_spike"]).all()
    fitted.save(tmp_path)
    pd.testing.assert_frame_equal(load_bundle(tmp_path).predict(daily), mixed, check_exact=True)


def test_past_predictions_do_not_depend_on_later_rows(plain: Bundle, daily: pd.DataFrame) -> None:
    early = daily[daily.groupby("series").cumcount() < 900]
    later = daily.copy()
    later.loc[later["as_of"] > early["as_of"].max(), "rv"] *= 9
    pd.testing.assert_frame_equal(
        plain.predict(early), plain.predict(later[later["as_of"] <= early["as_of"].max()]), check_exact=True
    )


def _last(rows: pd.DataFrame, **values: object) -> pd.DataFrame:
    out = rows.assign(is_held=False)
    out.loc[out.groupby("series")["as_of"].idxmax(), list(values)] = list(values.values())
    return out


@pytest.mark.parametrize(
    ("change", "age_h", "status"),
    [
        (lambda rows: rows, 2, "ok"),
        (lambda rows: rows, 3, "stale"),
        (lambda rows: _last(rows, is_held=True), 0, "quarantined"),
        (lambda rows: _last(rows, rv=np.nan), 0, "degraded"),
        (lambda rows: _last(rows, share_imputed=0.11), 0, "degraded"),
        (lambda rows: _last(rows, share_imputed=0.10), 0, "ok"),
        (lambda rows: rows[rows.groupby("series").cumcount() >= 940 - 364], 0, "insufficient_data"),
        (lambda rows: rows[rows.groupby("series").cumcount() >= 940 - 365], 0, "ok"),
    ],
)
def test_statuses(plain: Bundle, daily: pd.DataFrame, change, age_h: int, status: str) -> None:
    rows = change(daily)
    got = plain.predict(rows, rows["as_of"].max() + pd.Timedelta(hours=age_h))
    assert set(got["status"]) == {status}
    if status in ("ok", "degraded"):
        assert got[NUMBERS].notna().all(axis=None)
    else:
        assert got[NUMBERS].isna().all(axis=None)
        assert got["drivers"].map(len).eq(0).all()
    assert got["reasons"].map(len).eq(0).all() == (status == "ok")


def test_insufficient_data_says_what_is_missing_and_when_it_will_do(plain: Bundle, daily: pd.DataFrame) -> None:
    rows = daily[daily.groupby("series").cumcount() >= 940 - 300]
    got = plain.predict(rows).iloc[0]
    assert (got["required"], got["received"]) == (365, 300)
    assert got["sufficient_on"] == got["as_of"] + pd.Timedelta(days=65)
    assert "365 days of history required, 300 received" in got["reasons"][0]


def test_a_series_the_bundle_never_saw_gets_no_number(plain: Bundle, daily: pd.DataFrame) -> None:
    got = plain.predict(daily.assign(series=daily["series"] + "X"))
    assert set(got["status"]) == {"insufficient_data"}
    assert "150 known forecast errors required, 0 received" in got["reasons"][0][0]


@pytest.mark.parametrize("kind", [SeriesKind.FIXINGS, SeriesKind.RANGES])
def test_a_managed_rate_gets_no_number(daily: pd.DataFrame, kind: SeriesKind) -> None:
    rows = daily.assign(unchanged_share=0.2)
    frame = walk_forward(rows, kind, 1, ["ewma"])
    fitted = fit_bundle(rows, kind, 1, "ewma", frame)
    assert set(fitted.predict(rows)["status"]) == {"ok"}
    assert set(fitted.predict(rows.assign(unchanged_share=0.21))["status"]) == {"managed"}


def test_a_range_whose_days_stand_still_is_managed(daily: pd.DataFrame) -> None:
    fitted = fit_bundle(daily, SeriesKind.RANGES, 1, "ewma", walk_forward(daily, SeriesKind.RANGES, 1, ["ewma"]))
    recent = daily.groupby("series").cumcount(ascending=False)
    for days, status in ((4, "ok"), (5, "managed")):  # of 22
        rows = daily.assign(rv=daily["rv"].where(recent >= days, 1e-9))
        assert set(fitted.predict(rows)["status"]) == {status}


def test_a_rate_is_stale_after_three_business_days(daily: pd.DataFrame) -> None:
    fitted = fit_bundle(daily, SeriesKind.FIXINGS, 5, "ewma", walk_forward(daily, SeriesKind.FIXINGS, 5, ["ewma"]))
    last = daily["as_of"].max()
    assert last.day_name() == "Sunday"
    for days, status in ((4, "ok"), (5, "stale")):  # by Thursday three business days have passed, by Friday four
        assert set(fitted.predict(daily, last + pd.Timedelta(days=days))["status"]) == {status}


def test_a_bundle_of_another_format_is_refused(plain: Bundle, tmp_path: Path) -> None:
    plain.save(tmp_path)
    document = json.loads((tmp_path / STATE_FILE).read_text())
    (tmp_path / STATE_FILE).write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(ValueError, match="bundle format 99 is not 3"):
        load_bundle(tmp_path)


def test_without_forecasts_of_the_champion_there_is_no_bundle(daily: pd.DataFrame) -> None:
    frame = walk_forward(daily, SeriesKind.CANDLES, 1, ["ewma"])
    with pytest.raises(ValueError, match="no walk-forward forecasts of log_har at 1 days"):
        fit_bundle(daily, SeriesKind.CANDLES, 1, "log_har", frame)
