import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.contracts.market import DataMode
from models.contracts.score import Driver, Score, ScoreStatus
from models.contracts.tables import RISK_SCORES, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import PolicyState
from orchestration.resources.scores import as_row, last_wanted, latest_score
from orchestration.resources.workspace import Workspace

AS_OF = datetime(2026, 1, 1, 11, tzinfo=UTC)
SCORE = Score(
    subject="vault:mixed", horizon_days=1, as_of=AS_OF, issued_at=AS_OF, valid_until=AS_OF + timedelta(hours=2),
    status=ScoreStatus.OK, reasons=(), score=81.5, p_spike=0.33, rv_forecast=4e-4, sigma_ann=0.38, var99=0.05,
    es99=0.07, rv_low=1e-4, rv_high=9e-4, confidence=0.72,
    model_name="volatility_vault_1d", model_version="3", data_mode=DataMode.SIMULATED, share_imputed=0.1,
    share_stale=0.0, drivers=(Driver("har_day", -8.1, 0.4),),
)  # fmt: skip
HELD = replace(
    SCORE, as_of=AS_OF + timedelta(hours=1), status=ScoreStatus.QUARANTINED, reasons=("held",), score=None,
    p_spike=None, rv_forecast=None, sigma_ann=None, var99=None, es99=None, rv_low=None, rv_high=None,
    confidence=None, drivers=(),
)  # fmt: skip


def test_a_score_survives_the_table(workspace: Workspace) -> None:
    assert workspace.warehouse.append_table(RISK_SCORES, [as_row(SCORE, "run")]) == 1
    assert latest_score(workspace.warehouse, "vault:mixed", 1)[0] == SCORE


def test_a_driver_without_a_value_does_not_stop_the_others(workspace: Workspace) -> None:
    score = replace(SCORE, drivers=(Driver("premium", math.nan, 0.2), SCORE.drivers[0]))
    assert workspace.warehouse.append_table(RISK_SCORES, [as_row(score, "run")]) == 1
    found, _ = latest_score(workspace.warehouse, "vault:mixed", 1)
    assert found is not None
    assert math.isnan(found.drivers[0].value)
    assert (found.drivers[0].contribution, found.drivers[1]) == (0.2, SCORE.drivers[0])


def test_the_same_score_is_stored_once(workspace: Workspace) -> None:
    rows = [as_row(SCORE, "one"), as_row(SCORE, "two")]
    assert [workspace.warehouse.append_table(RISK_SCORES, [row]) for row in rows] == [1, 0]


def test_the_newest_word_wins_also_when_it_is_no_number(workspace: Workspace) -> None:
    workspace.warehouse.append_table(RISK_SCORES, [as_row(HELD, "run"), as_row(SCORE, "run")])
    found, row_id = latest_score(workspace.warehouse, "vault:mixed", 1)
    assert found == HELD
    assert row_id is not None
    assert latest_score(workspace.warehouse, "vault:mixed", 7) == (None, None)


def test_a_policy_remembers_the_target_before_a_score(workspace: Workspace) -> None:
    def target(hours: int, state: str) -> dict[str, object]:
        return {
            "vault_id": "mixed", "as_of": AS_OF + timedelta(hours=hours), "issued_at": AS_OF, "valid_until": AS_OF,
            "state": state, "weights": {"USDC": "1"}, "score": 81.5, "score_id": None, "model_version": "3",
            "policy_version": "onoff-1", "reasons": [], "data_mode": "simulated", "share_imputed": 0.0,
            "degraded": False, "run_id": "run",
        }  # fmt: skip

    workspace.warehouse.append_table(RISK_TARGET_ALLOCATIONS, [target(0, "risk_on"), target(1, "risk_off")])
    weights = {"USDC": Decimal(1)}
    assert last_wanted(workspace.warehouse, "mixed", AS_OF) == (None, None)
    assert last_wanted(workspace.warehouse, "mixed", AS_OF + timedelta(hours=1)) == (PolicyState.RISK_ON, weights)
    assert last_wanted(workspace.warehouse, "mixed", AS_OF + timedelta(hours=2)) == (PolicyState.RISK_OFF, weights)
