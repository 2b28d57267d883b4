"""What of Ballast is put to the leak probes: every number that a panel's rows are turned into before and after a fit.

Each function here turns rows of `features.volatility` into what was said of each of them at its own moment, in the
form that `leaks` compares. Outcomes stand at the moment at which they are known, not at the one that they are about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS, PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation.champion_path import champion_path
from models.validation.leaks import Build, Fit
from models.validation.placebo import Learn
from models.volatility.combination import Combination, pooling
from models.volatility.design import build_design
from models.volatility.members import make, members_for
from models.volatility.outcomes import outcomes_of, spike_probabilities
from models.volatility.panel import Grid, Panel, build_panel
from models.volatility.targets import forward_mean, training_stop
from models.volatility.walk_forward import END_OF_TIME, walk_forward

FloatArray = NDArray[np.float64]

SPIKES = "spike classifier"
LABEL_FREE = ("ewma", "garch", "gjr_garch")  # members that weigh the days up to the fit instead of learning an outcome
SAID = ("rv_forecast", "threshold", "p_spike", "score", "var99", "es99", "managed", "scored")
# A matrix product takes rows in blocks: how many there are decides about the last bits.
PRODUCT_TOLERANCE = 1e-9


def design_of(kind: SeriesKind) -> Build:
    """Every column of the design matrix."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        return _stacked((grid, columns) for grid, columns in zip(panel.grids.values(), _design(panel), strict=True))

    return build


def said_without_a_fit(kind: SeriesKind, horizon_days: int) -> Build:
    """All that is said of a row before any model: every column of the design; the panel's inputs (`input NAME`); its
    threshold and class, and the outcomes that have closed by it (`closed_NAME`)."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        parts = []
        for grid, columns in zip(panel.grids.values(), _design(panel), strict=True):
            outcomes = outcomes_of(grid, kind, panel.protocol, horizon_days)
            har = {f"har {lag}": term for lag, term in zip(panel.protocol.har_lags, grid.har.T, strict=True)}
            inputs = {"rv": grid.rv, "ret": grid.ret, **har, **grid.columns}
            said = {
                **columns,
                **{f"input {name}": values for name, values in inputs.items()},
                "threshold": outcomes.threshold,
                "managed": outcomes.managed.astype(float),
                "closed_target": _later(outcomes.target, horizon_days),
                "closed_spike": _later(outcomes.spike, horizon_days),
                "closed_ret_next": _later(outcomes.ret_next, 1),
            }
            parts.append((grid, said))
        return _stacked(parts)

    return build


def published(kind: SeriesKind, horizon_days: int, members: Sequence[str]) -> Build:
    """Walk-forward forecasts of `members` (series `NAME MEMBER`), and what the gate, which looks at the panel's other
    horizon as well, would have published of them (series `NAME published`)."""
    (elsewhere,) = (days for days in PROTOCOLS[kind].horizons if days != horizon_days)

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        forecasts, other = (walk_forward(panel, kind, days, members) for days in (horizon_days, elsewhere))
        parts = [forecasts.assign(series=forecasts["series"] + " " + forecasts["model"])]
        if len(forecasts):
            chosen = champion_path(forecasts, kind, other)
            parts.append(chosen.assign(series=chosen["series"] + " published"))
        said = pd.concat(parts, ignore_index=True)[["series", "as_of", *SAID]]
        return said.astype({"managed": float, "scored": float})

    return build


class Member(Protocol):
    """What is fitted, answers for each row, and can be written down."""

    def fit(self, panel: Panel, known_until: np.datetime64) -> None: ...

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray: ...

    def state(self) -> dict[str, Any]: ...


def fitted_members(kind: SeriesKind) -> tuple[str, ...]:
    """What is fitted for a panel, by name: all members but the combination, which is its parts and their weights, and
    where there is a pool the classifier of spikes."""
    compete = members_for(kind)
    parts = tuple(name for name in compete if name != Combination.name)
    return (*parts, SPIKES) if "lightgbm" in parts else parts  # as in the walk-forward


def forecasts_of(members: Mapping[str, Member], kind: SeriesKind) -> Build:
    """What fitted members say of every row."""

    def build(rows: pd.DataFrame) -> pd.DataFrame:
        panel = build_panel(rows, kind)
        return _stacked(
            (grid, {name: member.forecast(panel, series) for name, member in members.items()})
            for series, grid in panel.grids.items()
        )

    return build


class Fits:
    """Fits of one panel's rows and of changed copies of them, for `leaks.open_labels`; the panel of the copy seen last
    is kept, since every member is fitted to it."""

    def __init__(self, kind: SeriesKind, horizon_days: int, rows: pd.DataFrame) -> None:
        self.kind, self.horizon_days = kind, horizon_days
        self.panel = build_panel(rows, kind)
        self._last = (rows, self.panel)

    def member(self, name: str, moment: pd.Timestamp) -> Member:
        """A member fitted to the rows as they are."""
        return self._fitted(name, self.panel, moment)

    def learned(self, name: str) -> Fit:
        """What a member keeps of a fit to changed rows: its state, and what it then says of the true rows."""

        def fit(changed: pd.DataFrame, moment: pd.Timestamp) -> str:
            member = self._fitted(name, self._panel_of(changed), moment)
            return _text([member.forecast(self.panel, series) for series in self.panel.grids], member.state())

        return fit

    def laws(self) -> Fit:
        """What the laws of a series' own errors and their calibration keep at a moment: the spike probabilities up to
        it, from outcomes that may be changed, with forecasts (EWMA) and thresholds that are not."""
        protocol = self.panel.protocol
        member = make("ewma", self.kind, self.horizon_days)
        settled = {
            series: (outcomes_of(grid, self.kind, protocol, self.horizon_days), member.forecast(self.panel, series))
            for series, grid in self.panel.grids.items()
        }

        def fit(changed: pd.DataFrame, moment: pd.Timestamp) -> str:
            grids = self._panel_of(changed).grids
            kept: list[FloatArray] = []
            for series, (outcomes, forecast) in settled.items():
                until = self.panel.grids[series].rows_until(_naive(moment))
                target = forward_mean(grids[series].rv, self.horizon_days)[:until]
                threshold = outcomes.threshold[:until]
                known = np.isfinite(target) & np.isfinite(threshold)
                spike = np.where(known, (target > threshold).astype(float), np.nan)
                moved = replace(outcomes, target=target, threshold=threshold, spike=spike)
                kept += spike_probabilities(moved, forecast[:until], protocol)
            return _text(kept)

        return fit

    def pool(self) -> Fit:
        """What the combination keeps at a moment: the weights and the scale up to it, from outcomes that may be changed
        and forecasts (EWMA, HAR) that are not."""
        paths = {}
        for name in ("ewma", "har"):
            member = self._fitted(name, self.panel, pd.Timestamp(END_OF_TIME, tz="UTC"))
            paths[name] = {series: member.forecast(self.panel, series) for series in self.panel.grids}

        def fit(changed: pd.DataFrame, moment: pd.Timestamp) -> str:
            found = pooling(self._panel_of(changed), paths, self.horizon_days)
            until = {series: grid.rows_until(_naive(moment)) for series, grid in self.panel.grids.items()}
            return _text([part[s][:stop] for part in (found.weights, found.scale) for s, stop in until.items()])

        return fit

    def _fitted(self, name: str, panel: Panel, moment: pd.Timestamp) -> Member:
        member = _fresh(name, self.kind, self.horizon_days)
        member.fit(panel, _naive(moment))
        return member

    def _panel_of(self, changed: pd.DataFrame) -> Panel:
        if self._last[0] is not changed:
            self._last = (changed, build_panel(changed, self.kind))
        return self._last[1]


def training_sets(
    kind: SeriesKind, horizon_days: int, rows: pd.DataFrame, stop: Callable[[int, int], int] = training_stop
) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
    """At each refit past the warm-up of each series, the rows that the rule lets train, with the end of each label.

    Parameters
    ----------
    stop : (position of the fit, horizon) -> first row that may not train
    """
    panel = build_panel(rows, kind)
    for grid in panel.grids.values():
        calendar = _calendar(grid)
        for position in range(panel.protocol.warm_up, len(grid), panel.protocol.refit_step):
            inside = np.arange(stop(position, horizon_days))
            ends = np.minimum(inside + horizon_days, len(grid) - 1)
            training = {"series": grid.series, "as_of": calendar[inside], "label_end": calendar[ends]}
            yield calendar[position], pd.DataFrame(training)


def learner(name: str, kind: SeriesKind, horizon_days: int) -> Learn:
    """A member's whole walk-forward, for the placebo."""

    def learn(rows: pd.DataFrame) -> pd.DataFrame:
        return walk_forward(rows, kind, horizon_days, [name])[["series", "as_of", "rv_forecast", "realised"]]

    return learn


EMBARGO = pd.Timedelta(days=EMBARGO_DAYS)


def _stacked(parts: Iterable[tuple[Grid, Mapping[str, FloatArray | NDArray[np.float32]]]]) -> pd.DataFrame:
    frames = [pd.DataFrame({"series": grid.series, "as_of": _calendar(grid), **columns}) for grid, columns in parts]
    return pd.concat(frames, ignore_index=True)


def _design(panel: Panel) -> Iterator[Mapping[str, NDArray[np.float32]]]:
    design = build_design(panel)
    return (dict(zip(design.names, design.rows[series].T, strict=True)) for series in panel.grids)


def _fresh(name: str, kind: SeriesKind, horizon_days: int) -> Member:
    if name != SPIKES:
        return make(name, kind, horizon_days)
    from models.volatility.lightgbm_spikes import SpikeClassifier  # 3 s of import that baselines do not need

    return SpikeClassifier(kind, horizon_days)


def _text(said: Sequence[FloatArray], state: Mapping[str, Any] | None = None) -> str:
    """Numbers to their last bit; empty where none of them is one."""
    if not any(np.isfinite(values).any() for values in said):
        return ""
    return json.dumps([state, [values.tobytes().hex() for values in said]], sort_keys=True)


def _later(values: FloatArray, rows: int) -> FloatArray:
    """Each value at the row at which it is known, `rows` after the one that it is about."""
    return np.concatenate([np.full(min(rows, len(values)), np.nan), values[: max(len(values) - rows, 0)]])


def _naive(moment: pd.Timestamp) -> np.datetime64:
    return moment.tz_convert("UTC").tz_localize(None).to_datetime64()


def _calendar(grid: Grid) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(grid.as_of).tz_localize("UTC")
