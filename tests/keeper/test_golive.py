"""Phases: each check as a row, alone between a set-up that passes and one that does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from keeper.decision import ChainFacts
from keeper.gateway import AccountView, AssetFunds, VaultView
from keeper.golive import Standing, chain_checks, checks
from keeper.intent import IntentState
from keeper.keeper import decision_row
from keeper.limits import ControlMode, KeeperConfig, Phase
from keeper.networks import PASSPHRASES
from keeper.signing.choose import SignerKind
from keeper.store import KeeperStore, NewIntent
from models.contracts.market import DataMode
from models.contracts.vault import Decision, Reason, VaultLimits, Verdict
from tests.keeper.test_limits import deployed
from tests.keeper.world import MARKET_NOW, a_row, a_vault

READY = Standing(
    network="public",
    embedded=False,
    signer=SignerKind.KMS,
    account="G",
    nodes=2,
    code_hash="ab" * 32,
    tokens_named=True,
    limits=VaultLimits(max_action_usd=Decimal(1000), max_day_usd=Decimal(2000)),
    data_mode=DataMode.LIVE,
    channels=("log", "slack"),
    clean_days=7,
    control=ControlMode.RUN,
    undecided=0,
)
FRESH = Standing(
    network="devnet",
    embedded=True,
    signer=SignerKind.LOCAL,
    account=None,
    nodes=0,
    code_hash=None,
    tokens_named=False,
    limits=VaultLimits(),
    data_mode=DataMode.SIMULATED,
    channels=("log",),
    clean_days=0,
    control=ControlMode.RUN,
    undecided=0,
)


def refused(phase: Phase, standing: Standing) -> list[str]:
    return [check.name for check in checks(phase, standing) if not check.passed]


def test_who_is_ready_for_money_passes_what_is_meant_for_it() -> None:
    assert {phase: refused(phase, READY) for phase in Phase} == {
        Phase.SHADOW: [],
        Phase.DEVNET: ["network"],
        Phase.TESTNET: ["network"],
        Phase.APPROVE: [],
        Phase.LIVE: [],
    }


def test_a_fresh_machine_may_play_and_nothing_else() -> None:
    strict = ["signer", "code hash", "tokens", "nodes", "alerts", "clean days", "caps"]
    assert {phase: refused(phase, FRESH) for phase in Phase} == {
        Phase.SHADOW: [],
        Phase.DEVNET: [],
        Phase.TESTNET: ["network"],
        Phase.APPROVE: [],
        Phase.LIVE: ["network", *strict],
    }
    private = replace(FRESH, network="private", embedded=False, nodes=1)
    assert refused(Phase.DEVNET, private) == []
    assert refused(Phase.LIVE, private) == strict
    testnet = replace(private, network="testnet")
    assert [refused(phase, testnet) for phase in (Phase.TESTNET, Phase.APPROVE)] == [[], []]
    assert refused(Phase.DEVNET, testnet) == ["network"]


LIMITS = READY.limits
NO_DATA = {"data_mode": DataMode.REPLAY}


@pytest.mark.parametrize(
    ("change", "in_approve", "in_live"),
    [
        ({"signer": SignerKind.LOCAL}, ["signer"], ["signer"]),
        ({"signer": SignerKind.VAULT}, [], []),
        ({"account": None}, ["account"], ["account"]),
        ({"nodes": 1}, ["nodes"], ["nodes"]),
        ({"code_hash": None}, ["code hash"], ["code hash"]),
        ({"tokens_named": False}, ["tokens"], ["tokens"]),
        ({"data_mode": DataMode.SIMULATED}, ["data"], ["data"]),
        (NO_DATA, ["data"], ["data"]),
        ({"channels": ("log",)}, ["alerts"], ["alerts"]),
        ({"channels": ("smtp",)}, [], []),
        ({"clean_days": 6}, [], ["clean days"]),
        ({"clean_days": 2}, ["clean days"], ["clean days"]),
        ({"control": ControlMode.REDUCE_ONLY}, ["switch"], ["switch"]),
        ({"undecided": 1}, ["undecided"], ["undecided"]),
        ({"limits": replace(LIMITS, max_day_usd=None)}, [], ["caps"]),
        ({"limits": replace(LIMITS, max_action_usd=None)}, [], ["caps"]),
    ],
)
def test_one_thing_that_is_missing(change: dict[str, Any], in_approve: list[str], in_live: list[str]) -> None:
    standing = replace(READY, **change)
    assert refused(Phase.APPROVE, standing) == in_approve
    assert refused(Phase.LIVE, standing) == in_live
    assert refused(Phase.SHADOW, standing) == [name for name in in_live if name == "account"]


def test_a_keeper_that_may_only_reduce_stays_in_its_phase() -> None:
    found = checks(Phase.LIVE, replace(READY, control=ControlMode.REDUCE_ONLY, undecided=1))
    assert [(c.name, c.entry_only) for c in found if not c.passed] == [("switch", True), ("undecided", True)]


VAULT = deployed("testnet")
CONFIG = KeeperConfig(VAULT, "G", code_hash="ab" * 32)
FUNDS = tuple(AssetFunds(str(a.contract), 1, 1) for a in VAULT.assets)
VIEW = VaultView("C", 10, FUNDS, 1, "G", "ab" * 32)
FACTS = ChainFacts(PASSPHRASES["testnet"], AccountView("G", 1, 30_000_000, 10), VIEW, 28)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FACTS, []),
        (None, ["chain"]),
        (replace(FACTS, passphrase=""), ["passphrase"]),
        (replace(FACTS, protocol=29), ["protocol"]),
        (replace(FACTS, vault=replace(VIEW, rebalance_manager="H")), ["role"]),
        (replace(FACTS, vault=replace(VIEW, code_hash=None)), ["code"]),
        (replace(FACTS, vault=replace(VIEW, funds=FUNDS[1:])), ["assets"]),
        (replace(FACTS, account=AccountView("G", 1, 29_999_999, 10)), ["reserve"]),
    ],
)
def test_what_the_chain_says(facts: ChainFacts | None, expected: list[str]) -> None:
    assert [check.name for check in chain_checks(CONFIG, facts) if not check.passed] == expected
    assert all(check.told for check in chain_checks(CONFIG, facts))


class Diary:
    """Decisions of hours, one after another, of one vault."""

    def __init__(self, engine: Engine) -> None:
        self.store = KeeperStore(engine)
        self.vault = a_vault(f"v{uuid4().hex[:8]}")

    def hours(
        self,
        day: int,
        count: int,
        phase: Phase = Phase.SHADOW,
        reason: Reason = Reason.DEAD_ZONE,
        verdict: Verdict = Verdict.HOLD,
        passphrase: str = "Net",
        mode: DataMode = DataMode.LIVE,
    ) -> None:
        decision = Decision(verdict, (reason,), None, Decimal(0), Decimal(0))
        inputs = {"chain": {"passphrase": passphrase}}
        for hour in range(count):
            now = MARKET_NOW + timedelta(days=day, hours=hour)
            target = a_row(self.vault, as_of=now, mode=mode)
            self.store.record(decision_row(self.vault.id, phase, None, target, now, decision, inputs))

    def intent(self, day: int, end: IntentState) -> None:
        now = MARKET_NOW + timedelta(days=day)
        decision = Decision(Verdict.REBALANCE, (), {}, Decimal(0), Decimal(0))
        row = decision_row(
            self.vault.id, Phase.SHADOW, None, a_row(self.vault, as_of=now, mode=DataMode.LIVE), now, decision, {}, {}
        )
        stored = self.store.record(row, NewIntent("G", "reduce", now))
        assert stored is not None
        assert stored[1] is not None
        self.store.move(stored[1], end, {})

    def clean(self) -> int:
        return self.store.clean_days(self.vault.id, "Net", ["live"])


def test_days_without_an_incident(engine: Engine) -> None:
    diary = Diary(engine)
    diary.hours(0, 20)  # enough
    diary.hours(1, 19)  # too few
    diary.hours(2, 24, phase=Phase.DEVNET)  # no rehearsal
    diary.hours(3, 24, passphrase="Other")  # of another network
    diary.hours(4, 24, mode=DataMode.SIMULATED)
    diary.hours(5, 23)
    diary.hours(5, 1, reason=Reason.CHAIN_UNAVAILABLE)
    diary.hours(6, 23)
    diary.hours(6, 1, verdict=Verdict.REFUSE, reason=Reason.ROLE_MOVED)
    diary.hours(7, 24, phase=Phase.TESTNET)
    diary.hours(8, 24, phase=Phase.APPROVE)
    assert diary.clean() == 3
    diary.intent(7, IntentState.SKIPPED)
    assert diary.clean() == 3
    diary.intent(0, IntentState.REJECTED)
    assert diary.clean() == 2
