"""The life of a champion: promoted by the gate, judged, left, held, and asked for by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.contracts.clock import MarketClock
from models.contracts.market import SeriesKind
from models.contracts.tables import ML_PREDICTIONS, RISK_SCORES
from models.validation.ledger import Action, Entry, champion_at
from models.volatility.bundle_fit import fit_bundle
from orchestration import served_rows, shadow_reading
from orchestration.assets.promotion import decide_and_write, repair_aliases
from orchestration.by_hand import NotPossible, Refused, promote, roll_back
from orchestration.issuing import issue
from orchestration.panels import training_rows
from orchestration.resources.ledger import read_ledger
from orchestration.resources.model_registry import BUNDLE, ModelRegistry, Version
from orchestration.resources.workspace import Workspace
from orchestration.targets import issue_targets
from tests.orchestration.planted import CHALLENGER, DAYS, NAME, add_features, at, coins, evaluated, served, set_up

GOOD, BAD = 0.2, 2.0
WORSE = 0.6  # than EWMA on the newest dates, and too short a time for the gate to mind


class Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def train(workspace: Workspace, registry: ModelRegistry) -> Callable[..., Entry | None]:
    """What a training run does with an evaluation of the features until `day`."""

    def run(day: int, data: str, challenger_error: float | None, lately: float | None = None) -> Entry | None:
        rows = coins(at(day), DAYS + day)
        work, forecasts, decision = evaluated(workspace, rows, data, challenger_error, lately=lately)
        entry, _ = decide_and_write(workspace, registry, work, forecasts, decision, "run")
        return entry

    workspace.warehouse.set_clock(MarketClock(at(0), None, 1.0))
    set_up(workspace, coins(at(0)))
    return run


def entries(workspace: Workspace) -> list[Entry]:
    with workspace.warehouse.transaction() as connection:
        return read_ledger(connection)


def champion(workspace: Workspace) -> tuple[str, str]:
    found = champion_at(entries(workspace), NAME, workspace.now())
    assert found is not None
    return found.model_version, found.algorithm


def speaking(workspace: Workspace) -> set[tuple[object, object, object]]:
    """(version, champion by the view, status) of what is served of the coins at the short horizon."""
    return {(row["model_version"], row["champion_version"], row["status"]) for row in coins_served(workspace)}


def coins_served(workspace: Workspace) -> list[dict[str, object]]:
    return [row for row in served(workspace) if row["horizon_days"] == 1 and row["subject_kind"] == "series"]


def test_a_rollback_is_served_at_once_and_no_run_undoes_it(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    first = train(0, "d1", None)
    assert first is not None
    assert (first.action, first.model_version, first.algorithm) == (Action.PROMOTED, "1", "ewma")
    assert issue(workspace, registry, "tick", log).added == 6  # two coins and their vault; five have no model yet
    assert speaking(workspace) == {("1", "1", "ok")}
    before = {row["subject"]: row["score"] for row in coins_served(workspace)}

    second = train(0, "d2", GOOD)
    assert second is not None
    assert (second.algorithm, second.replaced_version) == (CHALLENGER, "1")
    assert [row["accepted"] for row in second.evidence["gate"] if row["model"] == CHALLENGER] == [True]
    assert issue(workspace, registry, "tick", log).added == 2, "a new champion may speak about the same moment"
    assert speaking(workspace) == {("2", "2", "ok")}
    assert {row["subject"]: row["score"] for row in coins_served(workspace)} != before

    change = roll_back(workspace, registry, NAME, None, "odd scores", "ada", log)
    assert (change.entry.model_version, change.entry.by, change.issued.added) == ("1", "ada", 2)
    assert change.entry.evidence["evaluation_id"] == first.evidence["evaluation_id"]
    assert speaking(workspace) == {("1", "1", "ok")}, "version 1 had scored this very moment before"
    assert {row["subject"]: row["score"] for row in coins_served(workspace)} == before
    assert issue(workspace, registry, "tick", log).added == 0, "and is not issued twice"
    repair_aliases(workspace, registry)
    found = registry.champion(NAME)
    assert found is not None
    assert found.version == "1"

    assert train(0, "d2", GOOD) is None, "the evaluation of the version that was left"
    assert champion(workspace) == ("1", "ewma")
    held = train(27, "d3", GOOD)
    assert held is not None
    assert (held.action, held.model_version) == (Action.HELD, "3")
    assert champion(workspace) == ("1", "ewma")
    assert train(27, "d3", GOOD) is None, "held once, not at every run"
    later = train(28, "d4", GOOD)
    assert later is not None
    assert (later.action, later.model_version, later.replaced_version) == (Action.PROMOTED, "4", "1")
    assert log.warnings == []


def test_the_gate_cannot_be_passed_by_hand(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log, tmp_path: Path
) -> None:
    train(0, "d1", None)
    issue(workspace, registry, "tick", log)
    rows = coins(at(0))
    bad, forecasts, decision = evaluated(workspace, rows, "bad", BAD)
    assert decision.champion == "ewma", "the planted bad model is refused by the gate"
    # Registered all the same, under the evaluation that refused it, and with a tag that lies.
    two = _register(registry, fit_bundle(rows, bad.kind, 1, CHALLENGER, forecasts), tmp_path / "2", bad.id, rows)
    with pytest.raises(Refused, match=f"{CHALLENGER} refused: QLIKE .* is not below it"):
        promote(workspace, registry, NAME, two.version, "I like it", "eve", log)
    last = entries(workspace)[-1]
    assert (last.action, last.by, last.model_version) == (Action.REFUSED, "eve", "2")
    assert "asked for: I like it" in last.reason
    three = _register(registry, fit_bundle(rows, bad.kind, 1, CHALLENGER, forecasts), tmp_path / "3", "nowhere", rows)
    with pytest.raises(Refused, match="its evaluation nowhere is not stored"):
        promote(workspace, registry, NAME, three.version, "x", "eve", log)
    for wanted, told in (("2", "was never champion"), ("1", "is champion of .* already"), ("9", "was never champion")):
        with pytest.raises(NotPossible, match=told):
            roll_back(workspace, registry, NAME, wanted, "x", "eve", log)
    with pytest.raises(NotPossible, match="has no version 9"):
        promote(workspace, registry, NAME, "9", "x", "eve", log)
    with pytest.raises(NotPossible, match="has no former champion"):
        roll_back(workspace, registry, NAME, None, "x", "eve", log)
    assert champion(workspace) == ("1", "ewma")
    registry.promote(two)  # an alias set by hand
    assert issue(workspace, registry, "tick", log).added == 0
    assert speaking(workspace) == {("1", "1", "ok")}, "does not serve"
    repair_aliases(workspace, registry)
    found = registry.champion(NAME)
    assert found is not None
    assert found.version == "1", "nor stay"


def test_a_person_may_return_to_what_the_gate_accepted(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    train(0, "d1", None)
    train(0, "d2", GOOD)
    with pytest.raises(NotPossible, match="rollback volatility_candles_1d --to 1"):
        promote(workspace, registry, NAME, "1", "older", "ada", log)
    roll_back(workspace, registry, NAME, None, "odd", "ada", log)
    change = promote(workspace, registry, NAME, "2", "it was the feed", "ada", log)
    assert (change.entry.action, change.entry.by, change.issued.added) == (Action.PROMOTED, "ada", 2)
    assert change.entry.reason.startswith("it was the feed; ")
    assert speaking(workspace) == {("2", "2", "ok")}
    assert train(0, "d2", GOOD) is None
    assert champion(workspace) == ("2", CHALLENGER)


def test_shadows_speak_and_are_not_served(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    train(0, "d1", None)
    train(0, "d2", GOOD)
    assert issue(workspace, registry, "tick", log).shadows == 2
    assert _said(workspace) == {("champion", "2", CHALLENGER): 2, ("baseline", "2", "ewma"): 2}
    assert {row["model_version"] for row in workspace.warehouse.rows(f"select model_version from {RISK_SCORES}")} == {
        "2", "none",
    }  # fmt: skip
    roll_back(workspace, registry, NAME, None, "odd", "ada", log)
    assert issue(workspace, registry, "tick", log).shadows == 2
    assert _said(workspace) == {
        ("champion", "2", CHALLENGER): 2, ("baseline", "2", "ewma"): 2,
        ("champion", "1", "ewma"): 2, ("challenger", "2", CHALLENGER): 2,  # the version that was left goes on in shadow
    }  # fmt: skip
    train(0, "d3", BAD)  # held: EWMA again, with the challenger that it refused beside it
    workspace.warehouse.set_clock(MarketClock(at(1), None, 1.0))
    rows = coins(at(1), DAYS + 1)
    add_features(workspace, rows[rows["as_of"] == at(1)])
    issue(workspace, registry, "tick", log)
    assert _said(workspace)["challenger", "3", "ewma"] == 2
    ledger = entries(workspace)
    sides = shadow_reading.members(ledger, NAME, workspace.now())
    assert [(side.label, side.version, side.algorithm) for side in sides] == [
        ("champion", "1", "ewma"), ("version 3", "3", "ewma"),
    ]  # fmt: skip
    by_number = shadow_reading.versions(ledger, NAME, ["2", "1"])
    found = shadow_reading.compare_sides(workspace, ledger, by_number)
    assert [figures["qlike"] for figures in found.figures] == [0.4, 0.4]
    assert found.contests[0].live.dates == 1, "both spoke of day 0, whose outcome is known on day 1; day 1 is open"
    assert found.contests[0].live.verdict == "not decidable yet: no difference seen"
    assert found.contests[0].expected is None, "not of one evaluation"
    own = shadow_reading.Side("baseline", "2", "ewma", by_number[0].evaluation)
    within = shadow_reading.compare_sides(workspace, ledger, [by_number[0], own])
    assert within.contests[0].expected is not None
    assert within.contests[0].expected.verdict == "better"
    with pytest.raises(NotPossible, match="has no version 9"):
        shadow_reading.versions(ledger, NAME, ["1", "9"])
    assert log.warnings == []


def test_what_fails_lately_gives_way_and_returns_when_it_is_better_again(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    train(0, "d1", GOOD)
    assert champion(workspace) == ("1", CHALLENGER)
    fallen = train(0, "d2", GOOD, WORSE)
    assert fallen is not None
    assert (fallen.action, fallen.model_version, fallen.algorithm, fallen.replaced_version, fallen.by) == (
        Action.FELL_BACK, "2", "ewma", "1", "gate",
    )  # fmt: skip
    seen = fallen.evidence["fallback"]
    assert (seen["model"], seen["triggered"], seen["dates"], seen["until"]) == (
        CHALLENGER,
        True,
        28,
        "2025-12-31T00:00:00+00:00",
    )
    assert seen["ratio"] > 1.05
    assert fallen.reason.startswith(f"{CHALLENGER} lately: QLIKE {seen['ratio']:.3f} of ewma over 28 dates")
    assert [row["accepted"] for row in fallen.evidence["gate"]] == [False, True], "the gate's own word stays"
    assert fallen.evidence["shadows"] == {"challenger": CHALLENGER}, "what gave way goes on in shadow"
    assert issue(workspace, registry, "tick", log).added == 6
    assert speaking(workspace) == {("2", "2", "ok")}
    assert train(0, "d2", GOOD, WORSE) is None, "the same evaluation says it once"
    still = train(0, "d3", GOOD, 0.0)
    assert still is not None
    assert (still.action, still.evidence["fallback"]["ratio"]) == (Action.FELL_BACK, 1.0), (
        "no longer worse, not yet better"
    )
    back = train(0, "d4", GOOD)
    assert back is not None
    assert (back.action, back.algorithm, back.replaced_version) == (Action.PROMOTED, CHALLENGER, "3")
    assert not back.evidence["fallback"]["triggered"]
    again = train(0, "d5", GOOD, 0.0)
    assert again is not None
    assert (again.action, again.algorithm) == (Action.PROMOTED, CHALLENGER), "one that serves goes on within the band"
    assert len(list(Path(registry.artifact_root).rglob("plots/loss_ratio.png"))) == 5
    assert log.warnings == []


def test_a_baseline_has_nothing_to_fall_back_on(train: Callable[..., Entry | None]) -> None:
    first = train(0, "d1", BAD, BAD)
    assert first is not None
    assert (first.action, first.algorithm) == (Action.PROMOTED, "ewma")
    assert "fallback" not in first.evidence


def test_no_run_falls_back_from_what_a_person_returned_to(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    train(0, "d1", GOOD)
    train(0, "d2", GOOD, WORSE)
    roll_back(workspace, registry, NAME, None, "the feed was odd, not the model", "ada", log)
    assert champion(workspace) == ("1", CHALLENGER)
    assert train(0, "d2", GOOD, WORSE) is None, "the evaluation that was left"
    held = train(27, "d3", GOOD, WORSE)
    assert held is not None
    assert (held.action, held.algorithm, held.evidence["fallback"]["triggered"]) == (Action.HELD, CHALLENGER, True)
    assert champion(workspace) == ("1", CHALLENGER)
    later = train(28, "d4", GOOD, WORSE)
    assert later is not None
    assert (later.action, later.algorithm) == (Action.FELL_BACK, "ewma"), "a refit step later runs decide again"


def test_a_champion_expires_by_the_data_it_is_asked_about(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    train(0, "d1", None)
    known = 0
    for days, status in ((35, "ok"), (36, "degraded"), (70, "degraded"), (71, "stale")):
        rows = coins(at(days), DAYS + days)
        add_features(workspace, rows[rows["as_of"] > at(known)])
        workspace.warehouse.set_clock(MarketClock(at(days), None, 1.0))
        known = days
        issue(workspace, registry, "tick", log)
        found = coins_served(workspace)
        assert {row["status"] for row in found} == {status}
        has_number = status != "stale"
        for row in found:
            assert (row["rv_forecast"] is not None, row["score"] is not None) == (has_number, has_number)
            assert bool(row["drivers"]) == has_number
            assert ("model_expired: trained on data until 2026-01-01" in str(row["reasons"])) == (status != "ok")
    noted = [entry for entry in entries(workspace) if entry.action is Action.EXPIRED]
    assert [(entry.at, entry.by, entry.model_version) for entry in noted] == [(at(36), "clock", "1")], "written once"
    assert champion(workspace) == ("1", "ewma"), "it stays champion"


def test_a_rollback_of_the_vault_changes_its_target(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    """A target of a moment rests on the champion of now, also when the former champion had spoken of it before."""
    name = "volatility_vault_1d"
    scored = [spec for spec in workspace.series() if spec.scored]
    rows = training_rows(workspace.warehouse, SeriesKind.VAULT, scored, workspace.vaults())
    for data in ("d1", "d2"):
        work, forecasts, decision = evaluated(workspace, rows, data, None, SeriesKind.VAULT)
        decide_and_write(workspace, registry, work, forecasts, decision, "run")
        issue(workspace, registry, "tick", log)
        assert issue_targets(workspace, "tick")[1] == 1
        assert issue_targets(workspace, "again")[1] == 0
    change = roll_back(workspace, registry, name, None, "odd", "ada", log)
    assert (change.issued.added, change.targets) == (1, 1)
    newest = workspace.warehouse.rows(
        "select t.model_version, t.promotion_id, s.model_version as scored_by, t.as_of from risk.target_allocations t "
        "join risk.scores s on s.id = t.score_id order by t.as_of desc, t.id desc"
    )
    assert [(row["model_version"], row["scored_by"]) for row in newest] == [("1", "1"), ("2", "2"), ("1", "1")]
    assert len({row["promotion_id"] for row in newest}) == 3
    assert {row["as_of"] for row in newest} == {at(0)}
    assert issue_targets(workspace, "again")[1] == 0


def test_changed_files_do_not_speak(
    workspace: Workspace, registry: ModelRegistry, train: Callable[..., Entry | None], log: Log
) -> None:
    entry = train(0, "d1", None)
    assert entry is not None
    path = Path(registry.artifact_root) / entry.evidence["bundle"] / "bundle.json"
    path.write_text(path.read_text().replace('"horizon_days"', ' "horizon_days"'))
    issue(workspace, registry, "tick", log)
    found = coins_served(workspace)
    assert {row["status"] for row in found} == {"insufficient_data"}
    assert all("have changed since its promotion" in str(row["reasons"]) for row in found)
    assert len(log.warnings) == 1


def _said(workspace: Workspace) -> dict[tuple[str, str, str], int]:
    rows = workspace.warehouse.rows(
        f"select role, model_version, algorithm, count(*) as n from {ML_PREDICTIONS} group by 1, 2, 3"
    )
    return {(row["role"], row["model_version"], row["algorithm"]): row["n"] for row in rows}


def _register(registry: ModelRegistry, bundle: object, folder: Path, evaluation: str, rows: object) -> Version:
    path = folder / BUNDLE
    path.mkdir(parents=True)
    bundle.save(path)  # type: ignore[attr-defined]
    run_id = registry.open_run(evaluation, evaluation, {"panel": "candles"})
    question = served_rows.question(rows)  # type: ignore[arg-type]
    answer = served_rows.answer(bundle.predict(rows))  # type: ignore[attr-defined]
    return registry.register(run_id, NAME, path, question, answer, evaluation, "ewma")
