"""At most one application, whatever breaks: a kill at each commit point times what the network does meanwhile.

Every run ends with the keeper's record and the chain agreeing. A naive sender under the same faults applies twice,
which shows that the faults bite.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from keeper.gateway import Ok
from keeper.intent import TERMINAL, IntentState
from keeper.limits import KeeperLimits
from tests.keeper.crash_kit import DyingGateway, DyingSigner, DyingStore, Fuse, Killed, Network, congest, naive
from tests.keeper.world import MARKET_NOW, a_row, build

POINTS = [
    "after planned",
    "before simulated",
    "after simulated",
    "after signing",
    "after the signer",
    "after signed",
    "after the send",
    "after submitted",
    "before confirmed",
]
BEHAVIOURS = ["normal", "lost_reply", "refused", "flaky", "forgetful", "congested_short", "congested_long"]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_no_crash_applies_twice(database_url: str, tmp_path: Path, behaviour: str) -> None:
    engine = create_engine(database_url)  # pooled: a thousand transactions
    try:
        for number, point in enumerate(POINTS):
            for seed in range(number, number + 30, 10) if behaviour == "flaky" else (number,):
                run(engine, tmp_path, behaviour, point, seed)
    finally:
        engine.dispose()


def run(engine: Engine, folder: Path, behaviour: str, point: str, seed: int) -> None:
    where = f"{behaviour}, killed {point}, seed {seed}"
    world = build(engine, folder, Network(behaviour, seed))
    fuse = Fuse(point)
    config = replace(world.connection.config, limits=KeeperLimits(drive_budget_s=60))
    gateway = DyingGateway("http://devnet", config.passphrase, world.client)
    gateway.fuse = fuse
    parts = {"store": DyingStore(engine, fuse), "gateway": gateway, "config": config,
             "signer": DyingSigner(world.connection.signer, fuse)}  # fmt: skip
    # `short`: dropped from the queue and banned, then resent; `long`: past the bounds, so it must be replaced.
    if behaviour.startswith("congested"):
        congest(world, 6 if behaviour == "congested_short" else 20)
    row = a_row(config.vault)
    for minute in range(12 if behaviour == "flaky" else 6):
        try:
            world.keeper(**parts).tick(row, MARKET_NOW + timedelta(minutes=minute))
        except Killed:
            world.time.sleep(1)
    # A network that breaks everything may keep the keeper from even planning, and then nothing is killed.
    assert fuse.blown or behaviour == "flaky", where

    intents = {d["intent_state"] for d in world.store.latest(config.vault.id, 50) if d["intent_id"]}
    assert len(intents) <= 1, where
    assert world.on_chain.applied <= 1, where
    assert all(IntentState(s) in TERMINAL for s in intents), f"{where}: {intents}"
    assert (world.on_chain.applied == 1) == (intents == {"confirmed"}), f"{where}: {intents}"
    if behaviour in ("normal", "lost_reply", "forgetful", "congested_short"):
        assert intents == {"confirmed"}, f"{where}: {intents}"


def test_replacements_reuse_the_sequence_number(engine: Engine, tmp_path: Path) -> None:
    world = build(engine, tmp_path)
    congest(world, 20)
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.CONFIRMED
    intent = world.store.latest(world.connection.config.vault.id)[0]["intent_id"]
    attempts = world.store.attempts(intent)
    assert [a.state for a in attempts] == ["expired"] * (len(attempts) - 1) + ["confirmed"]
    assert len({a.tx_hash for a in attempts}) == len(attempts) >= 2
    assert len({a.sequence for a in attempts}) == 1
    assert attempts[1].inclusion_fee == 2 * attempts[0].inclusion_fee


@pytest.mark.parametrize("behaviour", ["normal", "lost_reply"])
def test_the_naive_way_applies_twice_under_the_same_faults(engine: Engine, tmp_path: Path, behaviour: str) -> None:
    """Build with a fresh sequence number, sign, send, remember afterwards; on any trouble begin again."""
    world = build(engine, tmp_path, Network(behaviour, 1))
    config, gateway = world.connection.config, world.connection.gateway
    fuse = Fuse("after the send" if behaviour == "normal" else "never")
    done = False
    for _ in range(6):
        if done:
            break
        try:
            done = naive(world)
            fuse.at("after the send")
        except Killed:
            done = False
        world.time.sleep(1)
    assert world.on_chain.applied >= 2
    assert isinstance(gateway.account(config.source_account), Ok)
