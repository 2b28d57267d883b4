"""Both sides of each limit on the age of a champion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.contracts.market import SeriesKind
from models.contracts.score import ScoreStatus
from models.validation.expiry import MAX_AGE, MODEL_EXPIRED, expiry, is_expired
from models.validation.ledger import refit_step

TRAINED = datetime(2026, 1, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
COINS, VAULT, RANGES, FIXINGS = SeriesKind.CANDLES, SeriesKind.VAULT, SeriesKind.RANGES, SeriesKind.FIXINGS
OK, DEGRADED, STALE = None, ScoreStatus.DEGRADED, ScoreStatus.STALE


@pytest.mark.parametrize(
    ("kind", "as_of", "status"),
    [
        (COINS, 0 * DAY, OK),
        (COINS, 35 * DAY, OK),
        (COINS, 35 * DAY + SECOND, DEGRADED),
        (VAULT, 35 * DAY, OK),
        (VAULT, 35 * DAY + SECOND, DEGRADED),
        (RANGES, 45 * DAY, OK),
        (RANGES, 45 * DAY + SECOND, DEGRADED),
        (FIXINGS, 45 * DAY, OK),
        (FIXINGS, 45 * DAY + SECOND, DEGRADED),
        (COINS, 70 * DAY, DEGRADED),
        (COINS, 70 * DAY + SECOND, STALE),
        (VAULT, 70 * DAY + SECOND, STALE),
        (RANGES, 90 * DAY, DEGRADED),
        (RANGES, 90 * DAY + SECOND, STALE),
        (FIXINGS, 90 * DAY + SECOND, STALE),
    ],
)
def test_limits(kind: SeriesKind, as_of: timedelta, status: ScoreStatus | None) -> None:
    found = expiry(kind, TRAINED, TRAINED + as_of)
    assert (found[0] if found else None) == status
    assert is_expired(kind, TRAINED, TRAINED + as_of) == (status is not None)
    assert found is None or found[1].startswith(f"{MODEL_EXPIRED}: trained on data until 2026-01-01")


@pytest.mark.parametrize("kind", list(MAX_AGE))
def test_a_hold_after_a_rollback_does_not_outlast_a_champion_a_week_old(kind: SeriesKind) -> None:
    """Else a rollback would by itself lead to degraded scores."""
    assert refit_step(kind) + timedelta(days=7) <= MAX_AGE[kind].degraded
