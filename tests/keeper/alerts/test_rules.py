"""Each rule as a table: facts at both sides of each bound, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeper.alerts.alert import Alert, AlertName, Severity
from keeper.alerts.evaluate import evaluate
from keeper.alerts.facts import (
    ChannelFact,
    DatasetFact,
    DecisionFact,
    Facts,
    IntentFact,
    JobFact,
    KeyFact,
    LogFact,
    Now,
    SwitchFact,
    TargetFact,
    Unread,
    VaultFacts,
)
from keeper.alerts.vault_rules import DANGERS

WALL = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = Now(WALL, WALL)
XLM = 10_000_000  # stroops
NOTHING = Facts((), (), LogFact(None), (), (), ())
W, C = Severity.WARNING, Severity.CRITICAL


def ago(**span: float) -> datetime:
    return WALL - timedelta(**span)


def decision(*reasons: str, verdict: str = "hold", chain: bool = True, balance: int | None = 100 * XLM) -> DecisionFact:
    return DecisionFact(f"d-{'-'.join(reasons)}", verdict, reasons, ago(minutes=30), ago(minutes=30), chain,
                        balance if chain else None)  # fmt: skip


def intent(state: str, reason: str | None = None, **changes: Any) -> IntentFact:
    made = IntentFact(f"i-{state}", state, "increase", reason, ago(hours=1), ago(hours=1))
    return replace(made, **changes)


def vault(**changes: Any) -> VaultFacts:
    quiet = VaultFacts("mixed", 2 * XLM, 1 * XLM, decisions=(decision("dead_zone"),))
    return replace(quiet, **changes)


def found(subject: VaultFacts, now: Now = NOW) -> dict[AlertName, Severity]:
    return {a.name: a.severity for a in evaluate(replace(NOTHING, vaults=(subject,)), now).alerts}


def at(market_h: float, wall_min: float) -> Now:
    """The look when so much has passed since the newest decision."""
    return Now(ago(minutes=30) + timedelta(minutes=wall_min), ago(minutes=30) + timedelta(hours=market_h))


def test_a_quiet_vault_says_nothing() -> None:
    assert found(vault()) == {}
    assert evaluate(NOTHING, NOW).alerts == ()


@pytest.mark.parametrize(
    ("now", "missed"),
    [
        pytest.param(at(2, 120), False, id="two-hours-live"),
        pytest.param(at(2.01, 120.6), True, id="more-than-two-hours-live"),
        pytest.param(at(60, 1), False, id="fast-clock-within-a-minute"),
        pytest.param(at(60, 15), False, id="fast-clock-at-the-floor"),
        pytest.param(at(60, 16), True, id="fast-clock-above-the-floor"),
        pytest.param(at(0, 10_000), False, id="the-market-stands"),
    ],
)
def test_a_missed_tick_counts_on_both_clocks(now: Now, missed: bool) -> None:
    assert found(vault(), now) == ({AlertName.MISSED_TICK: C} if missed else {})


def test_before_the_first_decision_the_first_target_counts() -> None:
    old, young = (TargetFact(ago(hours=h), WALL, ago(hours=h)) for h in (3, 1))
    assert found(vault(decisions=(), first_target=old)) == {AlertName.MISSED_TICK: C, AlertName.STALE_SCORE: W}
    assert found(vault(decisions=(), first_target=young)) == {}
    assert found(vault(decisions=())) == {}


@pytest.mark.parametrize(
    ("valid_until", "recorded", "stale"),
    [
        (WALL, ago(hours=2), False),
        (ago(seconds=1), ago(hours=2), True),
        (ago(hours=9), ago(minutes=15), False),  # a fast clock
    ],
)
def test_a_stale_score(valid_until: datetime, recorded: datetime, stale: bool) -> None:
    target = TargetFact(ago(hours=2), valid_until, recorded)
    assert found(vault(target=target)) == ({AlertName.STALE_SCORE: W} if stale else {})


def test_scores_that_were_never_usable_are_told() -> None:
    old, young = (TargetFact(ago(hours=h), WALL, ago(hours=h)) for h in (3, 2))
    assert found(vault(first_target=old)) == {AlertName.STALE_SCORE: W}
    assert found(vault(first_target=young)) == {}
    assert found(vault(first_target=old, target=TargetFact(WALL, WALL, WALL))) == {}


@pytest.mark.parametrize("reason", ["chain_unavailable", "chain_unhealthy"])
@pytest.mark.parametrize(("lost", "expected"), [(1, None), (2, W), (5, W), (6, C)])
def test_a_chain_that_is_not_met(reason: str, lost: int, expected: Severity | None) -> None:
    ticks = (*[decision(reason, chain=False)] * lost, decision("dead_zone"))
    assert found(vault(decisions=ticks)).get(AlertName.CHAIN_UNAVAILABLE) == expected


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(intent("submitted", max_time_s=int(ago(minutes=5).timestamp())), None, id="within-the-grace"),
        pytest.param(intent("submitted", max_time_s=int(ago(seconds=301).timestamp())), W, id="past-the-grace"),
        pytest.param(intent("unknown", max_time_s=int(ago(minutes=66).timestamp())), C, id="for-an-hour"),
        pytest.param(intent("confirmed", max_time_s=int(ago(days=1).timestamp())), None, id="decided"),
        pytest.param(intent("planned", created_at=ago(minutes=15)), None, id="being-built"),
        pytest.param(intent("planned", created_at=ago(minutes=16)), W, id="never-built"),
    ],
)
def test_an_unresolved_attempt(case: IntentFact, expected: Severity | None) -> None:
    assert found(vault(intents=(case,))).get(AlertName.UNRESOLVED_ATTEMPT) == expected


def test_an_intent_that_needs_a_human_is_that_and_nothing_else() -> None:
    waiting = intent("needs_human", "out_of_memory", max_time_s=0)
    assert found(vault(intents=(waiting,))) == {AlertName.NEEDS_HUMAN: C}


A = intent("simulated", awaits_approval=True, not_after=WALL, created_at=ago(hours=1))


@pytest.mark.parametrize(
    ("intents", "expected"),
    [
        pytest.param((A,), {AlertName.AWAITING_APPROVAL: W}, id="at-the-last-moment"),
        pytest.param((replace(A, not_after=ago(seconds=1)),), {}, id="the-score-expired"),
        pytest.param((replace(A, state="planned"),), {AlertName.AWAITING_APPROVAL: W}, id="before-it-was-built"),
        pytest.param((A, replace(A, action="reduce")), {AlertName.AWAITING_APPROVAL: C}, id="is-to-reduce-risk"),
        pytest.param((replace(A, awaits_approval=False),), {AlertName.UNRESOLVED_ATTEMPT: W}, id="approved-and-stuck"),
    ],
)
def test_a_move_that_waits_for_a_person(intents: tuple[IntentFact, ...], expected: dict[AlertName, Severity]) -> None:
    """It is nobody's failure meanwhile: only what may be signed is overdue."""
    assert found(vault(intents=intents)) == expected


F, OK = intent("failed", "txFAILED"), intent("confirmed")


@pytest.mark.parametrize(
    ("intents", "expected"),
    [
        pytest.param((OK, F), None, id="made-good"),
        pytest.param((F,), W, id="once"),
        pytest.param((F, OK, F), W, id="once-since-the-last-success"),
        pytest.param((F, F), C, id="twice-in-a-row"),
        pytest.param((F, intent("rejected"), F, OK), C, id="rejected-in-between-is-no-success"),
        pytest.param((replace(F, updated_at=ago(hours=24)),), W, id="a-day-ago"),
        pytest.param((replace(F, updated_at=ago(hours=24, seconds=1)),), None, id="history"),
    ],
)
def test_failed_transactions(intents: tuple[IntentFact, ...], expected: Severity | None) -> None:
    assert found(vault(intents=intents)).get(AlertName.TRANSACTION_FAILED) == expected


R = intent("rejected", "contract error 128")


@pytest.mark.parametrize(
    ("intents", "expected"),
    [
        pytest.param((R,), W, id="once"),
        pytest.param((R, intent("abandoned", "too_many_attempts")), W, id="twice"),
        pytest.param((R, R, R), C, id="three-in-a-row"),
        pytest.param((R, R, OK, R), W, id="since-the-last-success"),
        pytest.param((R, R, intent("skipped", "shadow"), R), W, id="shadow-got-that-far"),
        pytest.param((replace(R, action="reduce"),), C, id="was-to-reduce-risk"),
        pytest.param((intent("submitted"), R, R, R), None, id="a-newer-one-is-on-its-way"),
        pytest.param((intent("cancelled", "kill_switch_halt"),), None, id="somebody-stopped-it"),
        pytest.param((intent("rejected", "fee 2 above the cap of 1 stroops"),), None, id="too-dear-is-told-elsewhere"),
        pytest.param((replace(R, updated_at=ago(hours=24, seconds=1)),), None, id="history"),
    ],
)
def test_moves_that_were_refused(intents: tuple[IntentFact, ...], expected: Severity | None) -> None:
    assert found(vault(intents=intents)).get(AlertName.MOVE_REFUSED) == expected


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (intent("rejected", "inclusion fee 900 stroops above the cap"), W),
        (intent("rejected", "fee 20000000 above the cap of 10000000 stroops"), W),
        (intent("rejected", "fee 2 above the cap of 1 stroops", action="reduce"), C),
        (intent("abandoned", "too_many_attempts", result_code="txINSUFFICIENT_FEE"), W),
        (intent("rejected", "fee 2 above the cap of 1 stroops", updated_at=ago(hours=2, seconds=1)), None),
        (intent("rejected", "contract error 128"), None),
    ],
)
def test_a_surge_of_fees(case: IntentFact, expected: Severity | None) -> None:
    assert found(vault(intents=(case,))).get(AlertName.FEE_SURGE) == expected


@pytest.mark.parametrize(
    ("balance", "expected"),
    [(12 * XLM, None), (12 * XLM - 1, W), (3 * XLM, W), (3 * XLM - 1, C), (0, C)],  # reserve 2, cap 1, ten to spare
)
def test_a_low_balance_is_told_early(balance: int, expected: Severity | None) -> None:
    ticks = (decision("chain_unavailable", chain=False), decision("dead_zone", balance=balance))
    assert found(vault(decisions=ticks)).get(AlertName.LOW_BALANCE) == expected


@pytest.mark.parametrize(
    ("key", "intents", "expected"),
    [
        (KeyFact("G", 100, 100, 0), (), None),
        (KeyFact("G", 100, 103, 3), (), None),
        (KeyFact("G", 100, 103, 2), (), C),
        (KeyFact("G", 100, 101, 2), (), None),  # one of ours is still out
        (None, (intent("needs_human", "sequence_used"),), C),
        (None, (intent("unknown", "sequence_used"),), None),  # a lagging node says the same
    ],
)
def test_a_key_that_somebody_else_uses(
    key: KeyFact | None, intents: tuple[IntentFact, ...], expected: Severity | None
) -> None:
    assert found(vault(key=key, intents=intents)).get(AlertName.KEY_USED_ELSEWHERE) == expected


@pytest.mark.parametrize(("reason", "name"), list(DANGERS.items()))
def test_danger_stays_until_a_tick_looked_again(reason: str, name: AlertName) -> None:
    danger = decision(reason, verdict="refuse")
    lost = decision("chain_unavailable", chain=False)
    assert found(vault(decisions=(danger,))) == {name: C}
    assert found(vault(decisions=(lost, danger))) == {name: C}
    assert found(vault(decisions=(decision("dead_zone"), danger))) == {}


def test_what_no_tick_looked_at_is_neither_there_nor_over() -> None:
    halted = vault(decisions=(decision("kill_switch_halt", verdict="refuse", chain=False),))
    report = evaluate(replace(NOTHING, vaults=(halted,)), NOW)
    assert report.alerts == ()
    assert not report.denies("role_moved", "mixed")
    assert report.denies("role_moved", "a vault that is kept no more")
    assert report.denies("needs_human", "mixed")


@pytest.mark.parametrize(
    ("reasons", "verdict", "told"),
    [
        (("assets_differ",), "refuse", True),
        (("a_guard_of_tomorrow",), "refuse", True),
        (("kill_switch_halt",), "refuse", False),
        (("balance_below_reserve",), "refuse", False),
        (("cooldown",), "hold", False),
    ],
)
def test_other_refusals(reasons: tuple[str, ...], verdict: str, told: bool) -> None:
    assert (AlertName.GUARD_REFUSED in found(vault(decisions=(decision(*reasons, verdict=verdict),)))) is told


def switch(mode: str, set_by: str, **age: float) -> SwitchFact:
    return SwitchFact("global", mode, "why", set_by, ago(**age), 1)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"switches": (switch("halt", "keeper", minutes=1),)}, {AlertName.KEEPER_HALTED: C}),
        ({"switches": (switch("run", "keeper", minutes=1),)}, {}),
        ({"switches": (switch("halt", "ada", hours=24),)}, {}),
        ({"switches": (switch("reduce_only", "ada", hours=24, seconds=1),)}, {AlertName.PAUSE_FORGOTTEN: W}),
        ({"log": LogFact("seq 2")}, {AlertName.EVENT_LOG_BROKEN: C}),
        ({"jobs": (JobFact("training", ago(days=1), ago(days=1), timedelta(days=1)),)}, {}),
        ({"jobs": (JobFact("training", ago(days=1, seconds=1), ago(days=1), timedelta(days=1)),)},
         {AlertName.JOB_LATE: W}),
        ({"jobs": (JobFact("training", ago(days=9), ago(minutes=15), timedelta(days=1)),)}, {}),
        ({"datasets": (DatasetFact("candles", 3, ()),)}, {}),
        ({"datasets": (DatasetFact("candles", 3, (("BTC", "fixer: outage"),)),)}, {AlertName.STALE_DATA: W}),
        ({"datasets": (DatasetFact("candles", 1, (("BTC", "fixer: outage"),)),)}, {AlertName.STALE_DATA: C}),
        ({"channels": (ChannelFact("slack", ago(minutes=10), "HTTP 500", 9),)}, {}),
        ({"channels": (ChannelFact("slack", ago(minutes=11), "HTTP 500", 9),)}, {AlertName.CHANNEL_FAILING: W}),
        ({"jobs": None, "unread": (Unread("jobs", "DatabaseError: gone"),)}, {AlertName.CHECK_FAILED: W}),
    ],
)  # fmt: skip
def test_what_stands_around_the_vaults(facts: dict[str, Any], expected: dict[AlertName, Severity]) -> None:
    assert {a.name: a.severity for a in evaluate(replace(NOTHING, **facts), NOW).alerts} == expected


def test_a_group_that_cannot_be_read_is_over_for_nobody() -> None:
    blind = evaluate(replace(NOTHING, vaults=None, jobs=None), NOW)
    assert not blind.denies("missed_tick", "mixed")
    assert not blind.denies("job_late", "training")
    assert blind.denies("stale_data", "candles")
    assert not blind.denies("run_failed", "training"), "only the end of a run says that"


def test_an_alert_is_told_with_bounded_facts() -> None:
    many = DatasetFact("fx_rates", 50, tuple((f"P{n}", "late") for n in range(40)))
    alert: Alert = evaluate(replace(NOTHING, datasets=(many,)), NOW).alerts[0]
    assert alert.summary == "40 of 50 scored series of fx_rates are stale: P0, P1, P2, P3, P4 and 35 more"
    assert len(alert.facts["stale"]) == 5
