"""What the leak sentinel says of an evaluation, kept beside its forecasts, so that it is asked once and promotion can
ask again; and what of the warehouse was known too late.

The probes are pure (`models.validation.leak_sentinel`). Their verdict belongs to the evaluation: the same data and
code have the same identity, the seed comes from it, and an evaluation of other code is judged anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from models.contracts.tables import ML_PREDICTIONS, ML_PROMOTIONS, RAW_CANDLES, RAW_FX_RATES, RISK_SCORES
from models.validation.leak_sentinel import REGULAR, Effort, probe
from models.validation.leaks import Finding
from orchestration.assets.evaluation import Work, forecasts_path
from orchestration.checks.feature_checks import known_late
from orchestration.resources.features import FEATURES
from orchestration.resources.workspace import Workspace

OFFENDERS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passed`: no probe found a leak; `probed`: at least one had something to compare."""

    evaluation_id: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not any(finding.leaks for finding in self.findings)

    @property
    def probed(self) -> bool:
        return any(finding.cases for finding in self.findings)

    @property
    def cases(self) -> int:
        return sum(finding.cases for finding in self.findings)

    @property
    def offenders(self) -> tuple[str, ...]:
        """The first offender of each probe that found one, five at most."""
        return tuple(told(finding) for finding in self.findings if finding.leaks)[:OFFENDERS]


def told(finding: Finding) -> str:
    return f"{finding.probe}, {finding.subject}: {finding.leaks} of {finding.cases}, first {finding.first}"


def judge(workspace: Workspace, *works: Work) -> list[Verdict]:
    """The verdict on each evaluation: what is stored, else the sentinel is asked (seconds) and its word kept."""
    missing = [work for work in works if verdict(workspace, work.id) is None]
    run = workspace.runner(sum(len(work.rows) for work in missing))
    found = run([partial(examine, work, REGULAR, seed_of(work.id)) for work in missing])
    for work, findings in zip(missing, found, strict=True):
        _keep(workspace, Verdict(work.id, tuple(findings)))
    return [said for work in works if (said := verdict(workspace, work.id)) is not None]


def _keep(workspace: Workspace, made: Verdict) -> None:
    path = _path(workspace, made.evaluation_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(finding) for finding in made.findings], indent=1), encoding="utf-8")
    fresh.replace(path)


def verdict(workspace: Workspace, evaluation: str) -> Verdict | None:
    """What was said of an evaluation; None where the sentinel has not been asked."""
    path = _path(workspace, evaluation)
    if not path.is_file():
        return None
    findings = json.loads(path.read_text(encoding="utf-8"))
    return Verdict(evaluation, tuple(Finding(**finding) for finding in findings))


def examine(work: Work, effort: Effort, seed: int) -> list[Finding]:
    return probe(work.rows.reset_index(drop=True), work.kind, work.horizon_days, seed, effort)


def seed_of(evaluation: str) -> int:
    """Seed of the sample: the same for the same evaluation, another for the next."""
    return int.from_bytes(hashlib.sha256(evaluation.encode()).digest()[:6], "big")


def issued_too_early(workspace: Workspace) -> list[Finding]:
    """Scores and predictions of the newest issue that rest on what was not known by then.

    Three ways: the information closed after the issue; the warehouse already held a row, of the window that features
    look at, that could be known only later; or the model had not been promoted yet. A row that came after the score
    does not count, whatever its moment: nobody had read it.
    """
    return [_finding(workspace, subject, query) for subject, query in _EARLY.items()]


def features_known_late(workspace: Workspace) -> Finding:
    """Rows of the whole history of the features that rest on something known later than their moment allows."""
    late = known_late(workspace)
    (row,) = workspace.warehouse.rows(f"select count(*) as rows from {FEATURES}")
    first = f"{late['series'].iloc[0]} {late['as_of'].iloc[0]}: known {late['known_at'].iloc[0]}" if len(late) else ""
    return Finding("known in time", "features", int(row["rows"]), len(late), first)


def _finding(workspace: Workspace, subject: str, query: str) -> Finding:
    (row,) = workspace.warehouse.rows(query)
    first = ", ".join((row["offenders"] or [])[:1])
    return Finding("known in time", subject, int(row["cases"]), len(row["offenders"] or []), first)


def _path(workspace: Workspace, evaluation: str) -> Path:
    return forecasts_path(workspace, evaluation).with_suffix(".leaks.json")


def offenders_of(findings: Sequence[Finding]) -> str:
    return "\n".join(told(finding) for finding in findings if finding.leaks)


_WINDOW = "interval '50 days'"  # the longest window of the features: 30 observations of a rate

_EARLY = {
    "scores": f"""
        with newest as (
            select subject, as_of, issued_at, min(recorded_at) as recorded_at from {RISK_SCORES}
            where issued_at = (select max(issued_at) from {RISK_SCORES}) group by 1, 2, 3
        ),
        inputs as (
            select series, ts, available_at, recorded_at from {RAW_CANDLES} where interval = '1h'
            union all
            select series, ts, available_at, recorded_at from {RAW_FX_RATES} where interval = '1d'
        ),
        early as (
            select n.subject || ' ' || n.as_of || ' issued ' || n.issued_at || case when n.as_of > n.issued_at
                then ': its information closed later' else ': held a row known ' || i.known_at end as told
            from newest n left join lateral (
                select min(available_at) as known_at from inputs
                where series = n.subject and ts < n.as_of and ts > n.as_of - {_WINDOW}
                    and available_at > n.issued_at and recorded_at < n.recorded_at
            ) i on true
            where n.as_of > n.issued_at or i.known_at is not null
        )
        select (select count(*) from newest) as cases, (select array_agg(told order by told) from early) as offenders
        """,
    "predictions": f"""
        with newest as (
            select series, as_of, issued_at, model_name, model_version from {ML_PREDICTIONS}
            where issued_at = (select max(issued_at) from {ML_PREDICTIONS})
        ),
        promoted as (
            select model_name, model_version, min(promoted_at) as promoted_at from {ML_PROMOTIONS} group by 1, 2
        ),
        early as (
            select n.series || ' ' || n.as_of || ' issued ' || n.issued_at || case
                when n.as_of > n.issued_at then ': its information closed later'
                else ': ' || n.model_name || ' ' || n.model_version || ' promoted '
                    || coalesce(p.promoted_at::text, 'never') end as told
            from newest n left join promoted p using (model_name, model_version)
            where n.as_of > n.issued_at or p.promoted_at is null or p.promoted_at > n.issued_at
        )
        select (select count(*) from newest) as cases, (select array_agg(told order by told) from early) as offenders
        """,
}
