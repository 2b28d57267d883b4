"""The clock of a replay: where it stands, and that nothing is known before its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.contracts.market import Dataset
from orchestration.sources.replay import ReplayMarket
from tests.orchestration.sources.test_replay import BARS, DAILY, FUNDING, LATE, UNIVERSE, everything, folder


@pytest.mark.parametrize(
    ("files", "start", "end"),
    [
        ({"fx_daily": DAILY, "candles_1h__BTC": BARS.replace("2020", "2021")}, "2021-01-01 00", "2021-01-01 02"),
        ({"fx_daily": DAILY}, "2020-01-01 00", "2020-01-04 00"),
        ({"funding": FUNDING}, "2020-01-01 00", "2020-01-01 17"),
        ({"vault_pps": "ts,vault_id,pps\n2020-01-01T08:59:43Z,CCA,1"}, "2020-01-01 08", "2020-01-01 09"),
    ],
)
def test_history_runs_to_the_hour_at_which_all_is_known(
    tmp_path: Path, files: dict[str, str], start: str, end: str
) -> None:
    market = ReplayMarket(folder(tmp_path, **files), UNIVERSE)
    moments = [market.history_start(), market.history_end()]
    assert moments == [datetime.strptime(m, "%Y-%m-%d %H").replace(tzinfo=UTC) for m in (start, end)]


def test_nothing_is_known_before_its_time(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, candles_1h__BTC=BARS, fx_daily=DAILY), UNIVERSE)
    for now, bars, rates in [("2020-01-01 00:59", 0, 0), ("2020-01-01 01:00", 1, 0), ("2020-01-02 00:00", 2, 1)]:
        moment = datetime.strptime(now, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        assert len(market.fetch(Dataset.CANDLES, None, LATE, moment).frame) == bars
        assert len(market.fetch(Dataset.FX_RATES, None, LATE, moment).frame) == rates


def test_a_replay_may_stand_at_an_earlier_moment(tmp_path: Path) -> None:
    files = folder(tmp_path, fx_daily=DAILY)
    whole = ReplayMarket(files, UNIVERSE)
    until = whole.history_end() - timedelta(days=1)
    market = ReplayMarket(files, UNIVERSE, until)
    assert market.history_end() == until
    known = market.fetch(Dataset.FX_RATES, None, until, until).frame
    assert 0 < len(known) < len(everything(whole, Dataset.FX_RATES).frame)
    assert (known["available_at"] <= until).all()
