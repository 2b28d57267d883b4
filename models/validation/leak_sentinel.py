"""The leak sentinel: all probes over a sample of one panel's rows, within seconds or, thoroughly, within minutes.

The sample (series, cuts, fit moments) is drawn from a seed, so that the same evaluation is always judged on the same
cases, and other evaluations on others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation import leak_subjects as subjects
from models.validation.leak_histories import CHANGES, HOLE_ROWS
from models.validation.leaks import (
    Build,
    Finding,
    cut_and_compare,
    future_change,
    merged,
    open_labels,
    purged,
    warm_up_stability,
)
from models.validation.placebo import placebo
from models.volatility.feature_set import EWMA_MEMORY, WARM_UP_TOLERANCE, features
from models.volatility.members import POOLED, members_for

MIN_SCORED = 300  # rows past the warm-up: fewer leave no room for cuts and for a placebo


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is probed. `rows`: newest of each series; `fits`: fit moments a member; `changes`: ways in which the
    future is changed at each cut; `walked`: members whose whole walk-forward is cut, None = all that compete."""

    series: int
    rows: int
    cuts: int
    fits: int
    changes: int
    walked: tuple[str, ...] | None


REGULAR = Effort(series=2, rows=1100, cuts=2, fits=1, changes=1, walked=("ewma", "log_har", "log_har_x", "combination"))
THOROUGH = Effort(series=8, rows=4000, cuts=8, fits=3, changes=len(CHANGES), walked=None)


@dataclass(frozen=True, slots=True)
class Sample:
    """`rows` with a fresh index; `cuts` and `fits` lie past the warm-up, `starts` early enough to warm up again;
    `changes`: what happens to the future."""

    rows: pd.DataFrame
    cuts: tuple[pd.Timestamp, ...]
    fits: tuple[pd.Timestamp, ...]
    starts: tuple[pd.Timestamp, ...]
    changes: tuple[str, ...]


def probe(
    rows: pd.DataFrame, kind: SeriesKind, horizon_days: int, seed: int, effort: Effort = REGULAR
) -> list[Finding]:
    """Every probe on a sample of a panel's rows; one finding a probe and subject.

    A panel without a series that is long enough gives one finding with the verdict `not probed`.
    """
    rng = np.random.default_rng(seed)
    sample = drawn(rows, kind, rng, effort)
    if sample is None:
        need = PROTOCOLS[kind].warm_up + MIN_SCORED
        return [Finding("all", f"{kind} {horizon_days} d", 0, 0, f"no series has {need} rows yet")]
    return [
        *feature_findings(sample, kind, horizon_days),
        *member_findings(sample, kind, horizon_days),
        *path_findings(sample, kind, horizon_days, effort),
        *(
            placebo(subjects.learner(name, kind, horizon_days), sample.rows, rng, f"{name} walk-forward")
            for name in _put_to_placebo(kind, effort)
        ),
    ]


def feature_findings(sample: Sample, kind: SeriesKind, horizon_days: int) -> Iterator[Finding]:
    """Cut, cut in a hole and changed future of all that needs no fit; warm-up of each feature."""
    build = _once(subjects.said_without_a_fit(kind, horizon_days), sample.rows)
    name = "features, inputs and outcomes"
    yield cut_and_compare(build, sample.rows, sample.cuts, name)
    yield cut_and_compare(build, sample.rows, sample.cuts, name, hole=HOLE_ROWS)
    yield future_change(build, sample.rows, sample.cuts, name, sample.changes)
    stated = features(kind)
    yield warm_up_stability(
        subjects.design_of(kind),
        sample.rows,
        sample.starts,
        {feature.name: feature.warm_up for feature in stated},
        "features",
        WARM_UP_TOLERANCE,
        {feature.name for feature in stated if feature.reads == "panel"},
    )


def member_findings(sample: Sample, kind: SeriesKind, horizon_days: int) -> Iterator[Finding]:
    """Each member: what its fit keeps of open labels, and whether it then looks ahead of the row it speaks from."""
    fits = subjects.Fits(kind, horizon_days, sample.rows)
    compete = subjects.fitted_members(kind)
    labelled = {name: fits.learned(name) for name in compete if name not in subjects.LABEL_FREE}
    labelled |= {"error laws and calibration": fits.laws(), "weights of the combination": fits.pool()}
    unlabelled = {name: fits.learned(name) for name in compete if name in subjects.LABEL_FREE}
    yield from open_labels(labelled, sample.rows, sample.fits, True, sample.changes)
    yield from open_labels(unlabelled, sample.rows, sample.fits, False, sample.changes)
    yield merged(
        purged(training, fitted_at, subjects.EMBARGO, "training rows")
        for fitted_at, training in subjects.training_sets(kind, horizon_days, sample.rows)
    )
    said = subjects.forecasts_of({name: fits.member(name, sample.fits[-1]) for name in compete}, kind)
    tolerance = subjects.PRODUCT_TOLERANCE
    yield cut_and_compare(said, sample.rows, sample.cuts, "forecasts of fitted members", tolerance=tolerance)


def path_findings(sample: Sample, kind: SeriesKind, horizon_days: int, effort: Effort) -> Iterator[Finding]:
    """The walk-forward as a whole, and what would have been published of it."""
    compete = members_for(kind)
    walked = [name for name in effort.walked or compete if name in compete]
    build = _once(subjects.published(kind, horizon_days, walked), sample.rows)
    cuts = sample.cuts[-effort.fits :]
    yield cut_and_compare(build, sample.rows, cuts, "walk-forward", tolerance=subjects.PRODUCT_TOLERANCE)
    yield future_change(build, sample.rows, cuts[-1:], "walk-forward", sample.changes)


def drawn(rows: pd.DataFrame, kind: SeriesKind, rng: np.random.Generator, effort: Effort) -> Sample | None:
    """Series that are long enough, their newest rows, moments and changes; None where no series is."""
    warm_up = PROTOCOLS[kind].warm_up
    present = rows[rows["rv"].notna()].groupby("series").size()
    eligible = sorted(present.index[present >= warm_up + MIN_SCORED])
    if not eligible:
        return None
    chosen = rng.choice(eligible, min(effort.series, len(eligible)), replace=False)
    own = rows[rows["series"].isin(chosen)].sort_values(["series", "as_of"])
    kept = own.groupby("series").tail(effort.rows).reset_index(drop=True)
    calendars = [part["as_of"].tolist() for _, part in kept.groupby("series")]
    late = [calendar[warm_up + MIN_SCORED // 2 : -HOLE_ROWS] for calendar in calendars]
    early = [calendar[1 : len(calendar) - EWMA_MEMORY] for calendar in calendars]
    cuts = {*_pick(late, effort.cuts, rng), *_pick([_in_holes(kept, late)], 1, rng)}
    fits, starts = _pick(late, effort.fits, rng), _pick(early, effort.cuts, rng)
    changes = rng.choice(sorted(CHANGES), effort.changes, replace=False)
    return Sample(kept, tuple(sorted(cuts)), tuple(fits), tuple(starts), tuple(changes.tolist()))


def _in_holes(rows: pd.DataFrame, late: Sequence[Sequence[pd.Timestamp]]) -> list[pd.Timestamp]:
    """Moments without a value, with values after them: there a value filled from behind shows."""
    missing = rows["rv"].isna() & rows["rv"].groupby(rows["series"]).bfill().notna()
    return sorted(set(rows.loc[missing, "as_of"]) & {moment for calendar in late for moment in calendar})


def _pick(calendars: Sequence[Sequence[pd.Timestamp]], count: int, rng: np.random.Generator) -> list[pd.Timestamp]:
    """Moments by lot, each of a series by lot: one that ended long ago has its turn as well."""
    usable = [calendar for calendar in calendars if calendar]
    if not usable:
        return []
    chosen = [usable[int(rng.integers(len(usable)))] for _ in range(count)]
    return sorted({calendar[int(rng.integers(len(calendar)))] for calendar in chosen})


def _once(build: Build, rows: pd.DataFrame) -> Build:
    """`build`, which answers for the whole history `rows` once for all probes."""
    whole = cache(lambda: build(rows))
    return lambda history: whole() if history is rows else build(history)


def _put_to_placebo(kind: SeriesKind, effort: Effort) -> tuple[str, ...]:
    compete = members_for(kind)
    if effort.walked is not None:
        return ("log_har_x",) if "log_har_x" in compete else ("log_har",)
    return tuple(name for name in compete if name in (*POOLED, "log_har"))
