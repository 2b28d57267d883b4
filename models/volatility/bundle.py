"""What is registered and served: a fitted champion with the laws of its own errors, for one kind and horizon.

Here belong predicting with it and its form on disk (JSON; nothing that executes code when loaded). Fitting one is
`models.volatility.bundle_fit`; which member is champion is decided in `models.validation.gate`.
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
from models.risk.var import TAIL_LEVEL, Tail
from models.volatility.calibration import Calibration
from models.volatility.forecaster import USUAL_LEVEL, Forecaster
from models.volatility.law import Law, volatility_score
from models.volatility.members import make, reads_panel
from models.volatility.novelty import Seen, novelty, read_seen
from models.volatility.outcomes import mixed, outcomes_of
from models.volatility.panel import Panel, aware, build_panel, utc
from models.volatility.status import Verdict, judge, share_imputed

if TYPE_CHECKING:
    from models.volatility.lightgbm_spikes import SpikeClassifier

FloatArray = NDArray[np.float64]

FORMAT = 3
UNSEEN_FORMAT = 2  # still read: it does not know what training saw
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
    spikes: SpikeClassifier | None  # beside any champion of a pool
    laws: Mapping[str, SeriesLaws]
    seen: Seen | None  # what training saw; None where that was too little to say

    @property
    def needs_panel(self) -> bool:
        """Whether a forecast of one series reads the others: then give the rows of all, also to score one."""
        return self.spikes is not None or reads_panel(self.champion, self.kind)

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
        `es99`, `rv_low`, `rv_high` (80 % interval of the target), `threshold`, `share_imputed`, `familiarity` (of the
        inputs, 0-1; NaN without a number or where too little is known), `status`, `reasons` (tuple; inputs not seen
        before are told there and lower no status: crises look like that), `required`, `received`, `sufficient_on`,
        `drivers` (tuple of Driver that sum to ln rv_forecast: the five largest, `rest`, `usual_level`). Where the
        status gives no number there is none.
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
            "seen": asdict(self.seen) if self.seen is not None else None,
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
        familiarity, reasons = math.nan, verdict.reasons
        if verdict.gives_number:
            if self.seen is not None:
                found = novelty(self.seen, panel, series, row)
                familiarity = found.familiarity if found is not None else math.nan
                reasons = (*reasons, found.told(self.seen)) if found is not None and found.is_novel else reasons
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
            "familiarity": familiarity,
            **_words(verdict),
            "reasons": reasons,
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


def load_bundle(directory: Path) -> Bundle:
    """Read what `Bundle.save` wrote.

    Raises
    ------
    ValueError
        The bundle has a format this version does not read.
    """
    document = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
    if document["format"] not in (FORMAT, UNSEEN_FORMAT):
        raise ValueError(f"bundle format {document['format']} is not {FORMAT}: train and register again")
    kind, horizon_days = SeriesKind(document["kind"]), int(document["horizon_days"])
    state = document["forecaster"]
    forecaster = make(document["champion"], kind, horizon_days, parts=list(state.get("parts", ())))
    forecaster.restore(state)
    spikes = None
    if document["spikes"] is not None:
        spikes = new_classifier(kind, horizon_days)
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
        read_seen(document.get("seen")),
    )


def largest(terms: tuple[Driver, ...]) -> tuple[Driver, ...]:
    """The five terms that move the forecast most, `rest` for all others together, and the usual level."""
    level = [term for term in terms if term.name == USUAL_LEVEL]
    ranked = sorted((term for term in terms if term.name != USUAL_LEVEL), key=lambda term: -abs(term.contribution))
    others = ranked[TOP_DRIVERS:]
    if others:
        ranked[TOP_DRIVERS:] = [Driver("rest", float(len(others)), math.fsum(term.contribution for term in others))]
    return (*ranked, *level)


def new_classifier(kind: SeriesKind, horizon_days: int) -> SpikeClassifier:
    """A fresh one."""
    from models.volatility.lightgbm_spikes import SpikeClassifier  # 3 s of import that baselines do not need

    return SpikeClassifier(kind, horizon_days)


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
