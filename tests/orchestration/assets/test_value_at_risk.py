"""Value at risk in the warehouse: one beside each new score, from forecasts as they were told, or why there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import DataMode, SeriesKind
from models.contracts.score import Score, ScoreStatus
from models.contracts.tables import ML_EVALUATIONS, ML_PREDICTIONS, ML_WALK_FORWARD, RISK_SCORES, RISK_VAR
from models.risk.methods import Method, estimate
from models.risk.tails import historical_tail
from orchestration.assets.value_at_risk import Done, speak_all, var
from orchestration.checks.risk_checks import covered
from orchestration.histories import with_tails
from orchestration.resources.scores import as_row
from orchestration.resources.workspace import Workspace
from tests.orchestration.assets.market_days import BTC, DAY, MIDNIGHT, NAIRA, VAULT, make_tables, plant_days
from tests.orchestration.conftest import NOW

DAYS = 700
NUMBERS = ("var95_log", "es95_log", "var99_log", "es99_log")


def score(subject: str = BTC, days: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "subject": subject, "subject_kind": "vault" if subject == VAULT else "series", "horizon_days": days,
        "as_of": NOW, "issued_at": NOW, "valid_until": NOW + timedelta(hours=2), "status": "ok", "reasons": [],
        "score": 50.0, "p_spike": 0.1, "rv_forecast": 1.2e-3, "model_name": "m", "model_version": "1",
        "data_mode": "simulated", "share_imputed": 0.0, "share_stale": 0.0, "degraded": False, "drivers": [],
    } | changes  # fmt: skip


def made(days: int = 1, **changes: Any) -> Score:
    """A score as a bundle makes it; its tail knows nothing of these days."""
    return replace(
        Score(
            subject=BTC, horizon_days=days, as_of=NOW, issued_at=NOW, valid_until=NOW + timedelta(hours=2),
            status=ScoreStatus.OK, reasons=(), score=50.0, p_spike=0.1, rv_forecast=1.2e-3, sigma_ann=0.6,
            var99=0.9 if days == 1 else None, es99=0.95 if days == 1 else None, model_name="m", model_version="1",
            data_mode=DataMode.SIMULATED, share_imputed=0.0, share_stale=0.0,
        ),
        **changes,
    )  # fmt: skip


NO_NUMBER: dict[str, Any] = {"score": None, "p_spike": None, "rv_forecast": None}


def say(workspace: Workspace, *rows: dict[str, Any]) -> None:
    workspace.warehouse.append_table(RISK_SCORES, rows)


def told_before(workspace: Workspace, subject: str, horizon_days: int) -> np.ndarray:
    """Forecasts of the last 650 midnights as an evaluation would have published them."""
    forecast = np.exp(-7.0 + 0.3 * np.random.default_rng(1).standard_normal(650))
    workspace.warehouse.append_table(
        ML_EVALUATIONS,
        [
            {
                "evaluation_id": f"e{subject}{horizon_days}", "panel": subject, "horizon_days": horizon_days,
                "model": "har", "series": "*", "rows": 1, "data_hash": "d", "code_hash": "c", "data_mode": "simulated",
            }
        ],
    )  # fmt: skip
    workspace.warehouse.append_table(
        ML_WALK_FORWARD,
        [
            {
                "evaluation_id": f"e{subject}{horizon_days}", "model": "champion", "series": subject,
                "horizon_days": horizon_days, "origin": (MIDNIGHT - (650 - n) * DAY).date(),
                "issued_at": MIDNIGHT - (649 - n) * DAY, "rv_forecast": float(value),
            }
            for n, value in enumerate(forecast)
        ],
    )  # fmt: skip
    return forecast


@pytest.fixture
def market(workspace: Workspace) -> Workspace:
    make_tables(workspace)
    plant_days(workspace, DAYS)
    return workspace


def stored(workspace: Workspace, **where: Any) -> list[dict[str, Any]]:
    rows = workspace.warehouse.rows(f"select * from {RISK_VAR} order by id")
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


@pytest.mark.parametrize("days", [1, 7])
def test_each_method_speaks_beside_the_score(market: Workspace, days: int) -> None:
    forecast = told_before(market, BTC, days)
    say(market, score(days=days))
    assert speak_all(market, "run").added == 3
    ret = market.warehouse.read("select ret from features.volatility where series = 'BTC' order by as_of")["ret"]
    path = np.concatenate([np.full(DAYS - 650, np.nan), forecast])
    path[-1] = 1.2e-3  # the score of noon has the last word
    for row in stored(market):
        want = estimate(Method(row["method"]), ret.to_numpy(), path, days, PROTOCOLS[SeriesKind.CANDLES])
        assert [row[name] for name in NUMBERS] == [want.var95, want.es95, want.var99, want.es99]
        assert (row["sample_days"], row["tested_windows"]) == (want.sample, want.tested)
        assert (row["exceeded95"], row["exceeded99"]) == (want.exceeded95, want.exceeded99)
        assert (row["as_of"], row["valid_until"], row["status"]) == (NOW, NOW + timedelta(hours=2), "ok")
    assert len({row["var99_log"] for row in stored(market)}) == 3


def test_score_and_value_at_risk_show_the_same_number(market: Workspace) -> None:
    told_before(market, BTC, 1)
    week, silent = made(7), made(subject=NAIRA, rv_forecast=None, var99=None, es99=None)
    shown, *others = with_tails(market, [made(), week, silent], NOW, pytest.fail)
    assert others == [week, silent]
    say(market, score())  # without a tail of its own: made anew
    speak_all(market, "run")
    say(market, as_row(shown, "run", promotion_id=1))
    speak_all(market, "run")
    rows = stored(market, method="filtered")
    assert [(row["var99_log"], row["es99_log"]) for row in rows] == [(shown.var99, shown.es99)] * 2
    assert 0.05 < rows[0]["var99_log"] < rows[0]["es99_log"] < 0.3


def test_what_a_score_has_shown_is_not_said_otherwise(market: Workspace) -> None:
    """Days may have been corrected between the two."""
    told_before(market, BTC, 1)
    say(market, score(var99=0.11, es99=0.12))
    say(market, score(days=7))
    speak_all(market, "run")
    found = {(row["horizon_days"], row["method"]): row["var99_log"] for row in stored(market)}
    assert found[1, "filtered"] == 0.11
    assert all(value != 0.11 for key, value in found.items() if key != (1, "filtered"))


def test_too_little_was_told_for_a_tail_of_a_score(market: Workspace) -> None:
    told_before(market, BTC, 7)
    (shown,) = with_tails(market, [made()], NOW, pytest.fail)
    assert (shown.var99, shown.es99) == (None, None)


def test_a_tail_that_cannot_be_computed_costs_no_score(market: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("orchestration.histories.training_rows", lambda *_: 1 / 0)
    (shown,) = with_tails(market, [made()], NOW, told.append)
    assert (shown.score, shown.var99, shown.es99) == (made().score, None, None)
    assert told == ["no value at risk beside the scores: ZeroDivisionError: division by zero"]


def test_each_horizon_stands_at_its_own_moment(market: Workspace) -> None:
    told_before(market, BTC, 1)
    earlier = NOW - 3 * DAY
    say(market, score(days=7), score(as_of=earlier, issued_at=earlier))
    speak_all(market, "run")
    (then,) = stored(market, method="historical", horizon_days=1)
    ret = market.warehouse.read("select ret from features.volatility where series = 'BTC' order by as_of")["ret"]
    assert then["var99_log"] == pytest.approx(historical_tail(ret.to_numpy()[1 : DAYS - 3], 0.01)[0])


def test_a_tick_without_a_new_score_writes_nothing(market: Workspace) -> None:
    told_before(market, BTC, 1)
    say(market, score())
    speak_all(market, "run")
    assert speak_all(market, "run") == Done([], 0)
    say(market, score(as_of=NOW - timedelta(hours=1)), score(as_of=NOW, promotion_id=5))
    assert speak_all(market, "run").added == 3  # of the newer of the two alone
    assert len(stored(market)) == 6


def test_what_was_issued_counts_before_what_would_have_been_and_shadows_do_not(market: Workspace) -> None:
    told_before(market, BTC, 1)
    issued = [
        {
            "series": BTC, "horizon_days": 1, "as_of": MIDNIGHT - n * DAY, "issued_at": MIDNIGHT, "model_name": "m",
            "model_version": "1", "data_mode": "simulated", "rv_forecast": 1e-8,
        }
        for n in range(2, 12)
    ]  # fmt: skip
    say(market, score())
    speak_all(market, "run")
    market.warehouse.append_table(ML_PREDICTIONS, [{**row, "role": "challenger"} for row in issued])
    say(market, score(promotion_id=1))
    speak_all(market, "run")
    market.warehouse.append_table(ML_PREDICTIONS, [{**row, "role": "champion"} for row in issued])
    say(market, score(promotion_id=2))
    speak_all(market, "run")
    without, shadow, champion = [row["es99_log"] for row in stored(market, method="filtered")]
    assert without == shadow
    assert champion > 2 * shadow  # losses over forecasts that were far too low


def test_without_a_model_history_goes_on(market: Workspace) -> None:
    say(market, score(status="insufficient_data", reasons=["no model of this panel"], **NO_NUMBER))
    speak_all(market, "run")
    found = {row["method"]: row for row in stored(market)}
    assert (found["historical"]["status"], found["historical"]["var99_log"] > 0) == ("ok", True)
    for method in ("filtered", "student_t"):
        assert (found[method]["status"], found[method]["reasons"]) == ("insufficient_data", ["no model of this panel"])
        assert [found[method][name] for name in NUMBERS] == [None] * 4


def test_a_held_print_silences_history_too(market: Workspace) -> None:
    with market.warehouse.engine.begin() as connection:
        connection.execute(
            text("update features.volatility set is_held = 1 where series = 'BTC' and as_of = :at"), {"at": MIDNIGHT}
        )
    say(market, score(status="insufficient_data", reasons=["no model"], **NO_NUMBER))
    speak_all(market, "run")
    assert [row["status"] for row in stored(market, method="historical")] == ["quarantined"]


@pytest.mark.parametrize("status", ["quarantined", "managed", "stale"])
def test_data_that_allow_no_score_allow_no_tail(market: Workspace, status: str) -> None:
    told_before(market, BTC, 1)
    say(market, score(status=status, reasons=["why"], **NO_NUMBER))
    speak_all(market, "run")
    assert [(row["status"], row["reasons"], row["var99_log"]) for row in stored(market)] == [
        (status, ["why"], None)
    ] * 3


def test_too_little_history_says_how_much_and_until_when(workspace: Workspace) -> None:
    make_tables(workspace)
    plant_days(workspace, 300)
    say(workspace, score(), score(NAIRA, as_of=MIDNIGHT))
    speak_all(workspace, "run")
    coin, rate = stored(workspace, subject=BTC), stored(workspace, subject=NAIRA)
    assert [(row["status"], row["required"], row["received"]) for row in coin] == [("insufficient_data", 365, 300)] * 3
    assert coin[0]["sufficient_on"] == (MIDNIGHT + 65 * DAY).date()
    assert {row["required"] for row in rate} == {500}


def test_too_few_residuals_say_how_many(market: Workspace) -> None:
    say(market, score())  # nothing was told before
    speak_all(market, "run")
    found = {row["method"]: row for row in stored(market)}
    assert found["historical"]["status"] == "ok"
    assert [(found[m]["required"], found[m]["received"]) for m in ("filtered", "student_t")] == [(300, 0)] * 2


def test_a_degraded_score_degrades_its_tail(market: Workspace) -> None:
    told_before(market, BTC, 1)
    say(market, score(status="degraded", degraded=True, reasons=["12% of the inputs are imputed"]))
    speak_all(market, "run")
    assert {(row["status"], *row["reasons"]) for row in stored(market)} == {
        ("degraded", "12% of the inputs are imputed")
    }


def test_a_vault_has_a_tail_of_its_own(market: Workspace) -> None:
    told_before(market, VAULT, 1)
    say(market, score(VAULT, rv_forecast=1e-4))
    speak_all(market, "run")
    found = {row["method"]: row for row in stored(market, subject=VAULT)}
    assert {row["status"] for row in found.values()} == {"ok"}
    # A fifth in a coin of 3 % a day, and a token that falls when the rate rises: less than half the coin's loss.
    assert 0 < found["historical"]["var99_log"] < 0.03


def test_the_asset_tells_what_it_said(market: Workspace) -> None:
    told_before(market, BTC, 1)
    say(market, score())
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([var], resources={"workspace": market}, instance=instance)
        metadata = done.asset_materializations_for_node("risk__var")[0].metadata
    assert (metadata["dagster/row_count"].value, metadata["status_ok"].value) == (3, 3)
    assert "BTC | 1 | filtered | 2026-01-01 12:00 |" in str(metadata["newest"].value)
    assert {row["run_id"] for row in stored(market)} == {done.run_id}


@pytest.mark.parametrize(
    ("tested", "exceeded95", "exceeded99", "passed", "judged"),
    [
        (365, 18, 4, True, 1),
        (365, 36, 4, False, 1),  # twice as often as promised
        (365, 18, 11, False, 1),
        (365, 18, 0, False, 1),  # none in a year has a p-value of 0.007
        (52, 20, 20, True, 0),  # too few windows to say anything
    ],
)
def test_coverage_is_judged_by_its_counts(
    market: Workspace, tested: int, exceeded95: int, exceeded99: int, passed: bool, judged: int
) -> None:
    say(market, score())
    row = speak_all(market, "run").said[0]
    say(market, score(promotion_id=1))
    (newest,) = market.warehouse.rows(f"select max(id) as id from {RISK_SCORES}")
    counts = {"tested_windows": tested, "exceeded95": exceeded95, "exceeded99": exceeded99}
    market.warehouse.append_table(
        RISK_VAR, [{**row, **counts, "score_id": newest["id"], "data_mode": "simulated", "run_id": "r"}]
    )
    found = covered(dg.build_asset_check_context(), market)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.severity is dg.AssetCheckSeverity.WARN
    # The older rows of the other methods have no window at all: residuals were missing.
    assert (found.passed, found.metadata["judged"].value) == (passed, judged)
    assert ("of 365 (p" in str(found.metadata["offenders"].value)) is not passed


@pytest.mark.parametrize("changes", [{"status": "stale"}, {"status": "ok", "var95_log": None}, {"exceeded95": 9}])
def test_numbers_and_status_belong_together(market: Workspace, changes: dict[str, Any]) -> None:
    say(market, score())
    row = next(row for row in speak_all(market, "run").said if row["method"] == "historical")
    say(market, score(promotion_id=1))
    wrong = {**row, "tested_windows": 5, "exceeded95": 0, "exceeded99": 0, **changes}
    with pytest.raises(Exception, match="check constraint"):
        market.warehouse.append_table(
            RISK_VAR, [{**wrong, "score_id": row["score_id"] + 1, "data_mode": "simulated", "run_id": "r"}]
        )


def test_what_was_said_cannot_be_changed(market: Workspace) -> None:
    say(market, score())
    speak_all(market, "run")
    for statement in (f"delete from {RISK_VAR}", f"update {RISK_VAR} set run_id = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), market.warehouse.engine.begin() as connection:
            connection.execute(text(statement))
