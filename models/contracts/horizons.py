"""Protocol constants by kind of series: horizons, lags, warm-up and refit steps (protocol `vol-wf-1`).

Units: days of the series' own calendar (UTC days for candles and vaults, business days for rates).
"""

from __future__ import annotations

from dataclasses import dataclass

from models.contracts.market import SeriesKind

RV_FLOOR = 1e-8  # (1 bp)^2 of variance a day: below it a market stood still and logarithms explode
SPIKE_QUANTILE = 0.90
SPIKE_BASE_RATE = 0.10
EMBARGO_DAYS = 1


@dataclass(frozen=True, slots=True)
class Protocol:
    horizons: tuple[int, int]
    har_lags: tuple[int, int, int]
    warm_up: int
    refit_step: int
    pool_refit_step: int
    spike_window: int
    periods_a_year: int


_FX = Protocol(horizons=(1, 5), har_lags=(1, 5, 22), warm_up=750, refit_step=21, pool_refit_step=126,
               spike_window=250, periods_a_year=252)  # fmt: skip
_DAILY = Protocol(horizons=(1, 7), har_lags=(1, 7, 30), warm_up=730, refit_step=28, pool_refit_step=56,
                  spike_window=365, periods_a_year=365)  # fmt: skip

PROTOCOLS: dict[SeriesKind, Protocol] = {
    SeriesKind.CANDLES: _DAILY,
    SeriesKind.VAULT: _DAILY,
    SeriesKind.RANGES: _FX,
    SeriesKind.FIXINGS: _FX,
}
