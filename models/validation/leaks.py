"""Leak probes: does what is said about a moment change with what came after it?

Here belong the probes, over any function of rows; how a history is changed and two answers are compared stands in
`leak_histories`, what of Ballast is put to the probes in `leak_subjects`. Each probe changes what must not matter and
demands the same answer, so a clean subject cannot raise an alarm: the comparison is exact, or has a tolerance that
the subject states. Only the placebo (`placebo`) is a test of chance. What a probe may miss is a dependence that none
of its cuts touches: one that shows at a share q of the moments escapes k cuts with probability (1 - q)^k.

Histories are frames with `series`, `as_of` (aware UTC, the moment at which a row speaks) and float columns. Answers
are frames of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.validation.leak_histories import CHANGES, KEY, differences, punched

Build = Callable[[pd.DataFrame], pd.DataFrame]
Fit = Callable[[pd.DataFrame, pd.Timestamp], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe found about one subject. `cases`: comparisons made; `first`: the first that failed, in words."""

    probe: str
    subject: str
    cases: int
    leaks: int
    first: str = ""

    @property
    def verdict(self) -> str:
        """`leak`, `clean`, or `not probed` where the history gave nothing to compare."""
        if self.leaks:
            return "leak"
        return "clean" if self.cases else "not probed"


def cut_and_compare(
    build: Build,
    rows: pd.DataFrame,
    cuts: Sequence[pd.Timestamp],
    subject: str,
    clock: str = "as_of",
    tolerance: float = 0.0,
    hole: int = 0,
) -> Finding:
    """The answer from the whole history against the answer from the history as it stood at each cut.

    Parameters
    ----------
    clock : column of `rows` by which history is cut. `as_of` finds what looks ahead; the column of the moment at which
        a row became known finds what joins by the date of the event.
    tolerance : allowed relative difference, for answers whose last bit depends on the number of rows computed at once
    hole : newest rows before each cut whose values are taken away on both sides: only then can a value that is
        filled from behind be told from one that was there
    """
    probe = "cut in a hole" if hole else "cut" if clock == "as_of" else f"cut by {clock}"
    whole = None if hole else build(rows)
    parts = []
    for cut in cuts:
        history = punched(rows, cut, hole) if hole else rows
        full = build(history) if whole is None else whole
        parts.append((cut, full, build(history[history[clock] <= cut])))
    return _compared(probe, subject, parts, tolerance)


def future_change(
    build: Build, rows: pd.DataFrame, cuts: Sequence[pd.Timestamp], subject: str, changes: Sequence[str] = (*CHANGES,)
) -> Finding:
    """The answer at and before each cut while everything after it is scaled, reversed, or taken away; bit for bit.

    Unlike a cut this also finds a statistic of the whole sample whose value the past happens to decide alone, such as
    a maximum, and normalised targets and thresholds. The number of rows stays, so no tolerance is needed.
    """
    whole = build(rows)
    parts = [(cut, whole, build(CHANGES[name](rows, rows["as_of"] > cut))) for cut in cuts for name in changes]
    return _compared("changed future", subject, parts, 0.0)


def warm_up_stability(
    build: Build,
    rows: pd.DataFrame,
    starts: Sequence[pd.Timestamp],
    warm_up: Mapping[str, int],
    subject: str,
    tolerance: float,
    panel_wide: AbstractSet[str] = frozenset(),
) -> Finding:
    """Each column, from its stated warm-up on, against the same column with all the history before it.

    Parameters
    ----------
    starts : moments before which the history is taken away
    warm_up : rows of history a column needs, its own row included; a column without an entry is an offender
    tolerance : relative; recursions forget their start only so far, and running sums keep a rounding error of it
    panel_wide : columns that read other series: they need the rows of every series that was cut
    """
    whole = build(rows)
    columns = list(whole.columns.drop(KEY))
    unstated = [name for name in columns if name not in warm_up]
    cases, leaks = len(unstated), len(unstated)
    first = f"{unstated[0]} states no warm-up" if unstated else ""
    for start in starts:
        part = build(rows[rows["as_of"] >= start]).sort_values(KEY, ignore_index=True)
        warm = _warm(part, rows, start, columns, warm_up, panel_wide)
        whole_there = part[KEY].merge(whole, how="left", on=KEY)
        before, after = (frame[KEY].join(frame[columns].where(warm)) for frame in (whole_there, part))
        found = differences(before, after, tolerance)
        cases, leaks, first = cases + int(warm.sum()), leaks + found[1], first or _from(start, found[2])
    return Finding("warm-up", subject, cases, leaks, first)


def open_labels(
    fits: Mapping[str, Fit],
    rows: pd.DataFrame,
    moments: Sequence[pd.Timestamp],
    with_own_day: bool = True,
    changes: Sequence[str] = (*CHANGES,),
) -> list[Finding]:
    """What each learner keeps after a fit, while every value that no closed label can hold is changed; exact.

    A row s may train at a moment R only if s + horizon + embargo <= R: its label ends before R, so with one day of
    embargo no value of R itself, and none after it, may move the fit.

    Parameters
    ----------
    fits : by subject, what the learner keeps as text: parameters, and what it says of rows that are not changed; empty
        where it cannot be fitted yet
    with_own_day : False for what has no label and may read the values of R itself
    """
    found = {subject: Finding("purge", subject, 0, 0) for subject in fits}
    for moment in moments:
        late = rows["as_of"] >= moment if with_own_day else rows["as_of"] > moment
        if not late.any():
            continue
        kept = {subject: text for subject, fit in fits.items() if (text := fit(rows, moment))}
        for name in changes:
            changed = CHANGES[name](rows, late)
            for subject, before in kept.items():
                moved = fits[subject](changed, moment) != before
                told = f"fitted at {moment:%Y-%m-%d}: moves when what is open then is {name}" if moved else ""
                found[subject] = merged([found[subject], Finding("purge", subject, 1, int(moved), told)])
    return list(found.values())


def purged(training: pd.DataFrame, fitted_at: pd.Timestamp, embargo: pd.Timedelta, subject: str) -> Finding:
    """Training rows (`series`, `as_of`, `label_end`) whose label, with embargo, is still open at the fit; exact."""
    late = training[~(training["label_end"] + embargo <= fitted_at)]
    return _offenders("purge", subject, len(training), late, "label_end", fitted_at)


def known_in_time(
    rows: pd.DataFrame, subject: str, decided: str = "as_of", known: str = "known_at", grace: pd.Timedelta | None = None
) -> Finding:
    """Rows (`series`, `decided`, `known`) that rest on something known later than they were decided; exact.

    Parameters
    ----------
    grace : by how much a row may be late: what its source takes to publish
    """
    late = rows[rows[known] > rows[decided] + (grace or pd.Timedelta(0))]
    return _offenders("known in time", subject, len(rows), late, known, None)


def merged(findings: Iterable[Finding]) -> Finding:
    """Findings of one probe and subject as one; at least one is expected."""
    parts = list(findings)
    first = next((part.first for part in parts if part.leaks), "")
    cases, leaks = sum(part.cases for part in parts), sum(part.leaks for part in parts)
    return Finding(parts[0].probe, parts[0].subject, cases, leaks, first)


def _compared(
    probe: str, subject: str, parts: Iterable[tuple[pd.Timestamp, pd.DataFrame, pd.DataFrame]], tolerance: float
) -> Finding:
    cases = leaks = 0
    first = ""
    for cut, before, after in parts:
        found = differences(before[before["as_of"] <= cut], after[after["as_of"] <= cut], tolerance)
        cases, leaks, first = cases + found[0], leaks + found[1], first or _from(cut, found[2])
    return Finding(probe, subject, cases, leaks, first)


def _offenders(
    probe: str, subject: str, cases: int, late: pd.DataFrame, column: str, limit: pd.Timestamp | None
) -> Finding:
    if late.empty:
        return Finding(probe, subject, cases, 0)
    row = late.sort_values(KEY if set(KEY) <= set(late.columns) else column).iloc[0]
    against = f", fitted at {limit}" if limit is not None else ""
    who = " ".join(str(row[name]) for name in late.columns if name != column)
    return Finding(probe, subject, cases, len(late), f"{who}: {column.replace('_', ' ')} {row[column]}{against}")


def _warm(
    part: pd.DataFrame,
    rows: pd.DataFrame,
    start: pd.Timestamp,
    columns: Sequence[str],
    warm_up: Mapping[str, int],
    panel_wide: AbstractSet[str],
) -> NDArray[np.bool_]:
    """(n, columns) whether a column has its warm-up at a row of the history that begins at `start`."""
    own = part.groupby("series").cumcount().to_numpy() + 1
    cut = set(rows.loc[rows["as_of"] < start, "series"])
    lost = [grid["as_of"] for name, grid in part.groupby("series") if name in cut]
    warm = np.zeros((len(part), len(columns)), dtype=bool)
    for place, name in enumerate(columns):
        need = warm_up.get(name)
        if need is None:
            continue
        warm[:, place] = own >= need
        if name in panel_wide:  # until every series that lost history has as much again, or has ended
            settled = max((calendar.iloc[min(need, len(calendar)) - 1] for calendar in lost), default=start)
            warm[:, place] &= (part["as_of"] >= settled).to_numpy()
    return warm


def _from(cut: pd.Timestamp, told: str) -> str:
    return f"{told} (cut {cut:%Y-%m-%d %H:%M})" if told else ""
