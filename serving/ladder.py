"""On which rung each score stands, and what is missing in the system at large. Pure: rows and times in, models out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from models.contracts.jobs import HOURLY_REFRESH, TRAINING
from serving.degradation import RUNGS, Cause, Degradation, LastGood
from serving.schemas import JobHealth, SeriesHealth

_LATE: Mapping[str, str] = {HOURLY_REFRESH: "scoring_late", TRAINING: "training_late"}


class Standing:
    """What is missing beyond single scores. `stale`: since when, by series."""

    def __init__(self, causes: Sequence[Cause] = (), stale: Mapping[str, datetime | None] | None = None) -> None:
        self.causes, self.stale = list(causes), dict(stale or {})

    def late(self) -> list[Cause]:
        """Why no new score comes, if it is the job."""
        return [cause for cause in self.causes if cause.code in ("scoring_late", "database_away")]


def standing(jobs: Iterable[JobHealth], series: Iterable[SeriesHealth], now: datetime) -> Standing:
    """From the health of jobs and feeds. `now`: market time."""
    late = [
        Cause(
            code=_LATE[job.job], detail=_why(job),  # type: ignore[arg-type] # the mapping holds codes only
            since=None if job.last_success_at is None else job.last_success_at + timedelta(seconds=job.allowed_age_s),
        )
        for job in jobs
        if job.job in _LATE and (job.age_s is None or job.age_s > job.allowed_age_s)
    ]  # fmt: skip
    stale = {
        one.series: None if one.age_s is None else now - timedelta(seconds=one.age_s - one.max_age_s)
        for one in series
        if one.stale
    }
    return Standing(late, stale)


def of_score(row: Mapping[Any, Any], now: datetime, known: Standing) -> Degradation | None:
    """The rung of one row of `serving.risk_current` at market time `now`; None: a fresh score of the champion."""
    away = [cause for cause in known.causes if cause.code == "database_away"]
    is_expired = now > row["valid_until"]
    if row["score"] is not None and not is_expired:
        if away:  # it was fresh when it was read; whether something newer is known, nobody can say
            return Degradation(rung="last_good", since=away[0].since, causes=away, last_good=_last_good(row))
        return _of_fresh(row)
    causes = _why_expired(row, known) if is_expired else [_why_none(row)]
    good = _last_good(row)
    since = row["valid_until"] if is_expired else row["issued_at"]
    if good is not None and row["score"] is None:
        since = min(since, good.valid_until)
    return Degradation(
        rung="none" if good is None else "last_good", since=since, causes=[*causes, *away], last_good=good
    )


def of_all(found: Iterable[Degradation | None], known: Standing) -> Degradation | None:
    """The worst rung of several scores, with every cause once."""
    degraded = [one for one in found if one is not None]
    causes = {(cause.code, cause.detail): cause for one in degraded for cause in one.causes}
    causes |= {(cause.code, cause.detail): cause for cause in known.causes}
    if not causes:
        return None
    worst = max((one.rung for one in degraded), key=RUNGS.index, default=RUNGS[0])
    times = [one.since for one in degraded if one.rung == worst and one.since is not None]
    if not degraded:
        times = [cause.since for cause in known.causes if cause.since is not None]
    return Degradation(rung=worst, since=min(times, default=None), causes=list(causes.values()))


def _of_fresh(row: Mapping[Any, Any]) -> Degradation | None:
    if row["rung"] != "baseline":
        return None
    if row["champion_action"] == "fell_back" and row["champion_version"] == row["model_version"]:
        cause = Cause(code="fell_back", detail=row["champion_reason"], since=row["champion_promoted_at"])
    else:
        cause = Cause(code="model_file", detail=row["reasons"][-1], since=row["standby_since"])
    return Degradation(rung="baseline", since=cause.since, causes=[cause])


def _why_none(row: Mapping[Any, Any]) -> Cause:
    """Why a score was made without a number."""
    detail, status = "; ".join(row["reasons"]) or row["status"], row["status"]
    if status in ("quarantined", "managed"):
        code = "input_held"
    elif status == "stale":
        code = "stale_feed" if row["share_stale"] > 0 else "model_expired"
    elif row["model_name"] != "none":
        code = "insufficient_data"
    else:
        code = "model_file" if "files of" in detail else "no_model"
    return Cause(code=code, detail=detail, since=row["issued_at"])  # type: ignore[arg-type] # one of the codes


def _why_expired(row: Mapping[Any, Any], known: Standing) -> list[Cause]:
    subject, since = row["subject"], row["valid_until"]
    causes = []
    # A vault is scored while any of its legs is fresh: one that is late has lost all of them.
    feeds = sorted(known.stale) if subject.startswith("vault:") else [s for s in known.stale if s == subject]
    if feeds:
        times = [at for feed in feeds if (at := known.stale[feed]) is not None]
        detail = f"stale series: {', '.join(feeds)}"
        causes.append(Cause(code="stale_feed", detail=detail, since=min(times, default=None)))
    causes += [cause for cause in known.late() if cause.code == "scoring_late"]
    return causes or [Cause(code="expired", detail="no newer score was made", since=since)]


def _last_good(row: Mapping[Any, Any]) -> LastGood | None:
    if row["score"] is not None:
        names = {name: row[name] for name in ("score", "as_of", "issued_at", "valid_until")}
    else:
        names = {name: row[f"last_good_{name}"] for name in ("score", "as_of", "issued_at", "valid_until")}
    return LastGood(**names) if names["score"] is not None else None


def _why(job: JobHealth) -> str:
    if job.age_s is None:
        return f"job {job.job} has never ended well"
    failed = f"{job.consecutive_failures} failures in a row, " if job.consecutive_failures else ""
    return f"job {job.job}: {failed}last success {job.age_s} s ago of {job.allowed_age_s} s allowed"
