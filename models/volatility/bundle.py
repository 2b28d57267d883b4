"""What is registered and served: a fitted champion with the laws of its own errors, for one kind and horizon.

Here belong fitting it, predicting with it, and its form on disk (JSON; nothing that executes code when loaded). Which
member is champion is decided in `models.validation.gate`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import SeriesKind
from models.contracts.score import Driver
from models.risk.var import TAIL_LEVEL, Tail, last_tail
from models.volatility.calibration import Calibration, fit_calibration, last_known
from models.volatility.combination import Combination
from models.volatility.forecaster import USUAL_LEVEL, Forecaster
from models.volatility.law import Law, known_errors, volatility_score
from models.volatility.members import make, reads_panel
from models.volatility.outcomes import Outcomes, adaptive_step, mixed, outcomes_of, spike_probabilities
from models.volatility.panel import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, Grid, Panel, aware, build_panel, utc
from models.volatility.status import Verdict, judge, share_imputed

if TYPE_CHECKING:
    from models.volatility.lightgbm_spikes import SpikeClassifier

FloatArray = NDArray[np.float64]

FORMAT = 2
HISTORY_DAYS = 1100  # calendar days of rows that a prediction wants: every window inside and the filters' memory
TOP_DRIVERS = 5
INTERVAL = (0.10, 0.90)
STATE_FILE = "bundle.json"
HOURLY = (SeriesKind.CANDLES, SeriesKind.VAULT)


@dataclass(frozen=True, slots=True)
class SeriesLaws:
    """What one series adds to a forecast: law of log errors, calibration of the spike probability, one-day tail."""

    law: Law
    calibration: Calibration
    tail: Tail
    threshold: float | None  # 90 % quantile of the target when fitted; predictions take the present one


@dataclass(frozen=True)
class Bundle:
    """`trained_from`, `known_until`: first row and last row that training could see (aware UTC)."""

    kind: SeriesKind
    horizon_days: int
    champion: str
    trained_from: pd.Timestamp
    known_until: pd.Timestamp
    features: tuple[str, ...]
    forecaster: Forecaster
    spikes: SpikeClassifier | None  # beside the combination of a pool
    laws: Mapping[str, SeriesLaws]

    @property
    def needs_panel(self) -> bool:
        """Whether a forecast of one series reads the others: then give the rows of all, also to score one."""
        return reads_panel(self.champion, self.kind)

    def predict(self, rows: pd.DataFrame, now: pd.Timestamp | None = None) -> pd.DataFrame:
        """Prediction at the latest row of every series.

        Parameters
        ----------
        rows : rows of `features.volatility` of this kind: the latest row of each series and the rows at the same hour
            before it, `HISTORY_DAYS` of them; if `needs_panel`, the rows of the other series at that hour as well
        now : moment of scoring; None judges each series at its own last row

        Returns
        -------
        One row per series: `series`, `horizon_days`, `as_of`, `rv_forecast`, `p_spike`, `score`, `sigma_ann`, `var99`,
        `es99`, `rv_low`, `rv_high` (80 % interval of the target), `threshold`, `share_imputed`, `status`, `reasons`
        (tuple), `required`, `received`, `sufficient_on`, `drivers` (tuple of Driver that sum to ln rv_forecast: the
        five largest, `rest`, `usual_level`). Where the status gives no number there is none.
        """
        latest = pd.Series(utc(rows["as_of"]), index=rows["series"].to_numpy()).groupby(level=0).max()
        hours = pd.DatetimeIndex(latest).hour if self.kind in HOURLY else np.zeros(len(latest), dtype=int)
        out = []
        for hour in sorted(set(hours)):
            panel = build_panel(rows, self.kind, int(hour))
            out += [self._predict_one(panel, str(series), now) for series in latest.index[hours == hour]]
        return pd.DataFrame(out).sort_values("series", ignore_index=True)

    def save(self, directory: Path) -> None:
        """Write the bundle into an existing directory."""
        document = {
            "format": FORMAT,
            "kind": str(self.kind),
            "horizon_days": self.horizon_days,
            "champion": self.champion,
            "trained_from": self.trained_from.isoformat(),
            "known_until": self.known_until.isoformat(),
            "features": list(self.features),
            "forecaster": self.forecaster.state(),
            "spikes": self.spikes.state() if self.spikes is not None else None,
            "laws": {series: asdict(laws) for series, laws in self.laws.items()},
        }
        (directory / STATE_FILE).write_text(json.dumps(document, allow_nan=False), encoding="utf-8")

    def _predict_one(self, panel: Panel, series: str, now: pd.Timestamp | None) -> dict[str, Any]:
        grid, laws = panel.grids[series], self.laws.get(series, NO_LAWS)
        outcomes = outcomes_of(grid, self.kind, panel.protocol, self.horizon_days)
        row = len(grid) - 1
        forecast = float(self.forecaster.forecast(panel, series, row, row + 1)[0])
        verdict = judge(grid, outcomes, self.kind, len(laws.law.errors), forecast, now, self._doubts(panel))
        numbers = _no_numbers()
        drivers: tuple[Driver, ...] = ()
        if verdict.gives_number:
            direct = np.full(1, np.nan)
            if self.spikes is not None:
                direct = self.spikes.forecast(panel, series, row, row + 1)
            numbers = self._numbers(laws, forecast, float(outcomes.threshold[row]), direct)
            drivers = largest(self.forecaster.terms(panel, series, row))
        return {
            "series": series,
            "horizon_days": self.horizon_days,
            "as_of": aware(grid.as_of[row]),
            **numbers,
            "threshold": float(outcomes.threshold[row]),
            "share_imputed": share_imputed(grid),
            **_words(verdict),
            "drivers": drivers,
        }

    def _doubts(self, panel: Panel) -> tuple[str, ...]:
        if not self.needs_panel or 2 * len(panel.grids) >= len(self.laws):
            return ()
        return (f"the market state rests on {len(panel.grids)} of {len(self.laws)} series",)

    def _numbers(self, laws: SeriesLaws, forecast: float, threshold: float, direct: FloatArray) -> dict[str, float]:
        by_law = np.array([laws.law.probability_above(math.log(threshold / forecast))])
        probability = float(laws.calibration(mixed(by_law, direct))[0])
        var, es = laws.tail.of(forecast)
        low, high = (forecast * math.exp(laws.law.quantile(p)) for p in INTERVAL)
        return {
            "rv_forecast": forecast,
            "p_spike": probability,
            "score": float(volatility_score(probability)),
            "sigma_ann": math.sqrt(self.forecaster.protocol.periods_a_year * forecast),
            "var99": var,
            "es99": es,
            "rv_low": low,
            "rv_high": high,
        }


NO_LAWS = SeriesLaws(Law(()), Calibration(), Tail((), TAIL_LEVEL), None)


def fit_bundle(
    rows: pd.DataFrame, kind: SeriesKind, horizon_days: int, champion: str, walk_forward: pd.DataFrame
) -> Bundle:
    """Fit `champion` to all rows and its laws to its out-of-sample forecasts.

    Parameters
    ----------
    rows : the rows of `features.volatility` that `walk_forward` was made from
    walk_forward : frame of `models.volatility.walk_forward`; rows of other models are ignored

    Raises
    ------
    ValueError
        The walk-forward holds forecasts, but none of the champion at this horizon. One without any rows (short
        series) gives a bundle that answers `insufficient_data`.
    """
    panel = build_panel(rows, kind)
    own = walk_forward[(walk_forward["model"] == champion) & (walk_forward["horizon_days"] == horizon_days)]
    if own.empty and not walk_forward.empty:
        raise ValueError(f"no walk-forward forecasts of {champion} at {horizon_days} days: run them before fitting")
    known_until = max(grid.as_of[-1] for grid in panel.grids.values())
    forecaster = make(champion, kind, horizon_days, parts=_parts(walk_forward))
    forecaster.fit(panel, known_until)
    spikes = None
    if isinstance(forecaster, Combination):
        forecaster.learn(panel, _paths(walk_forward, panel, tuple(forecaster.parts), horizon_days))
        spikes = _spike_classifier(own, panel, known_until, horizon_days)
    forecasts = {str(series): part for series, part in own.groupby("series")}
    laws = {
        series: _fit_laws(grid, panel, horizon_days, forecasts[series])
        for series, grid in panel.grids.items()
        if series in forecasts
    }
    trained_from = aware(min(grid.as_of[0] for grid in panel.grids.values()))
    features = tuple(c for c in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if c in rows.columns)
    return Bundle(kind, horizon_days, champion, trained_from, aware(known_until), features, forecaster, spikes, laws)


def load_bundle(directory: Path) -> Bundle:
    """Read what `Bundle.save` wrote.

    Raises
    ------
    ValueError
        The bundle has a format this version does not read.
    """
    document = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
    if document["format"] != FORMAT:
        raise ValueError(f"bundle format {document['format']} is not {FORMAT}: train and register again")
    kind, horizon_days = SeriesKind(document["kind"]), int(document["horizon_days"])
    state = document["forecaster"]
    forecaster = make(document["champion"], kind, horizon_days, parts=list(state.get("parts", ())))
    forecaster.restore(state)
    spikes = None
    if document["spikes"] is not None:
        spikes = _new_classifier(kind, horizon_days)
        spikes.restore(document["spikes"])
    laws = {
        series: SeriesLaws(
            Law(tuple(value["law"]["errors"])),
            Calibration(**value["calibration"]),
            Tail(tuple(value["tail"]["residuals"]), value["tail"]["level"]),
            value["threshold"],
        )
        for series, value in document["laws"].items()
    }
    return Bundle(
        kind,
        horizon_days,
        document["champion"],
        pd.Timestamp(document["trained_from"]),
        pd.Timestamp(document["known_until"]),
        tuple(document["features"]),
        forecaster,
        spikes,
        laws,
    )


def largest(terms: tuple[Driver, ...]) -> tuple[Driver, ...]:
    """The five terms that move the forecast most, `rest` for all others together, and the usual level."""
    level = [term for term in terms if term.name == USUAL_LEVEL]
    ranked = sorted((term for term in terms if term.name != USUAL_LEVEL), key=lambda term: -abs(term.contribution))
    others = ranked[TOP_DRIVERS:]
    if others:
        ranked[TOP_DRIVERS:] = [Driver("rest", float(len(others)), math.fsum(term.contribution for term in others))]
    return (*ranked, *level)


def _parts(walk_forward: pd.DataFrame) -> list[str]:
    """Members that a combination pooled in the walk-forward, in its order."""
    return [str(name) for name in walk_forward["model"].unique()]


def _paths(
    walk_forward: pd.DataFrame, panel: Panel, parts: tuple[str, ...], horizon_days: int
) -> dict[str, dict[str, FloatArray]]:
    """Out-of-sample forecasts on the panel's grids: member -> series -> (n,), NaN where there is none."""
    rows = walk_forward[walk_forward["horizon_days"] == horizon_days]
    known = dict(iter(rows.groupby(["model", "series"])))
    return {
        name: {series: _on_grid(known.get((name, series)), "rv_forecast", grid) for series, grid in panel.grids.items()}
        for name in parts
    }


def _on_grid(rows: pd.DataFrame | None, column: str, grid: Grid) -> FloatArray:
    if rows is None:
        return np.full(len(grid), np.nan)
    return pd.Series(rows[column].to_numpy(), utc(rows["as_of"])).reindex(grid.as_of).to_numpy(dtype=float)


def _new_classifier(kind: SeriesKind, horizon_days: int) -> SpikeClassifier:
    from models.volatility.lightgbm_spikes import SpikeClassifier  # 3 s of import that baselines do not need

    return SpikeClassifier(kind, horizon_days)


def _spike_classifier(
    own: pd.DataFrame, panel: Panel, known_until: np.datetime64, horizon_days: int
) -> SpikeClassifier | None:
    """Fitted where the walk-forward had one: its mixture is what was calibrated."""
    if not own["p_direct"].notna().any():
        return None
    spikes = _new_classifier(panel.kind, horizon_days)
    spikes.fit(panel, known_until)
    return spikes


def _fit_laws(grid: Grid, panel: Panel, horizon_days: int, own: pd.DataFrame) -> SeriesLaws:
    protocol, n = panel.protocol, len(grid)
    forecast, direct = _on_grid(own, "rv_forecast", grid), _on_grid(own, "p_direct", grid)
    outcomes: Outcomes = outcomes_of(grid, panel.kind, protocol, horizon_days)
    errors = known_errors(outcomes.target, forecast, n, horizon_days, protocol.spike_window)
    raw_path, _ = spike_probabilities(outcomes, forecast, protocol, direct)
    calibration = fit_calibration(*last_known(raw_path, outcomes.spike, n, horizon_days))
    tail = last_tail(grid.ret, forecast, adaptive_step(panel.kind)) if horizon_days == 1 else Tail((), TAIL_LEVEL)
    threshold = float(outcomes.threshold[-1])
    return SeriesLaws(Law(tuple(errors.tolist())), calibration, tail, threshold if math.isfinite(threshold) else None)


def _no_numbers() -> dict[str, float]:
    names = ("rv_forecast", "p_spike", "score", "sigma_ann", "var99", "es99", "rv_low", "rv_high")
    return dict.fromkeys(names, math.nan)


def _words(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": str(verdict.status),
        "reasons": verdict.reasons,
        "required": verdict.required,
        "received": verdict.received,
        "sufficient_on": verdict.sufficient_on,
    }
