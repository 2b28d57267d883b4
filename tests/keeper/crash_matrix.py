"""The crash matrix at length: every commit point times every behaviour of the network, cell after cell, until so many
ticks met a fault. `python -m tests.keeper.crash_matrix --ticks 10000` prints the figures as JSON.

A vault gets one score after another; each tick of it has a fuse at another point and another network. What a tick
leaves open, the next one finds. At the end everything is calm, and the record must agree with the chain.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Engine, create_engine

from keeper.devnet.replicas import Balancer, Replica
from keeper.devnet.rpc import Rpc
from keeper.intent import IntentState
from keeper.keeper import Keeper
from keeper.limits import ControlMode, KeeperLimits
from models.contracts.vault import PolicyState, VaultLimits
from orchestration.local import embedded_postgres
from orchestration.migrations.run import migrate
from tests.keeper.crash_kit import DyingGateway, DyingSigner, DyingStore, Fuse, Killed, Network, naive
from tests.keeper.world import MARKET_NOW, PRICES, World, a_row, a_vault, build

POINTS = (
    "never", "after planned", "before simulated", "after simulated", "before signing", "after signing",
    "after the signer", "before signed", "after signed", "after the send", "before submitted", "after submitted",
    "before expired", "after expired", "before unknown", "after unknown", "before confirmed", "after confirmed",
    "before failed",
)  # fmt: skip
NETWORKS = ("normal", "lost_reply", "refused", "flaky", "forgetful", "hang", "http_503", "html", "truncated",
            "wrong_id", "rpc_error")  # fmt: skip
LEDGERS = ("normal", "congested", "stalled", "surge", "prices")
SCORES, TICKS_A_SCORE = 5, 4


@dataclass
class Figures:
    """What happened; `problems` must stay empty."""

    ticks: int = 0
    ticks_with_fault: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    networks: Counter[str] = field(default_factory=Counter)
    ledgers: Counter[str] = field(default_factory=Counter)
    request_faults: int = 0
    vaults: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    double_applications: int = 0
    undecided: int = 0
    disagreements: int = 0
    problems: list[str] = field(default_factory=list)


def cells(seed: int) -> Iterator[tuple[str, str, str]]:
    """All cells in random order, then all again in another, without end."""
    shuffle = random.Random(seed)
    everything = list(itertools.product(POINTS, NETWORKS, LEDGERS))
    while True:
        shuffle.shuffle(everything)
        yield from everything


def episode(engine: Engine, folder: Path, plan: Iterator[tuple[str, str, str]], seed: int, figures: Figures) -> None:
    """One vault, several scores, a fault in every tick that the tick's own course reaches."""
    network = Network("normal", seed)
    free = VaultLimits(max_step=Decimal("0.8"), cooldown_s=0, max_turnover_day=Decimal(100))
    world = build(engine, folder, network, a_vault(f"matrix-{seed}", free))
    if seed % 4 == 3:  # two replicas behind one address, one of them late
        world.client._rpc = Balancer(Rpc(world.chain), Rpc(Replica(world.chain, 2)))
    fuse = Fuse("never")
    config = replace(world.connection.config, limits=KeeperLimits(drive_budget_s=60, unknown_patience_ledgers=30))
    gateway = DyingGateway("http://devnet", config.passphrase, world.client)
    gateway.fuse = fuse

    def keeper() -> Keeper:
        signer = DyingSigner(world.connection.signer, fuse)
        return world.keeper(store=DyingStore(engine, fuse), gateway=gateway, config=config, signer=signer)

    for number in range(SCORES):
        now = MARKET_NOW + timedelta(hours=number)
        state = PolicyState.RISK_ON if number % 2 == 0 else PolicyState.RISK_OFF
        row = a_row(config.vault, state, as_of=now)
        for minute in range(TICKS_A_SCORE):
            fuse.point, behaviour, ledger = next(plan)
            fuse.blown, before = False, network.strikes
            network.behave(behaviour)
            _trouble(world, ledger)
            killed = False
            try:
                keeper().tick(row, now + timedelta(minutes=minute))
            except Killed:
                killed = True
                figures.kills[fuse.point] += 1
                world.time.sleep(1)
            struck = network.strikes - before
            figures.ticks += 1
            figures.ticks_with_fault += killed or struck > 0
            figures.request_faults += struck
            figures.networks[behaviour] += struck > 0
            figures.ledgers[ledger] += 1
            _trouble(world, "normal")
    fuse.point = "never"
    network.behave("normal")
    for minute in range(20):
        keeper().reconcile(MARKET_NOW + timedelta(hours=SCORES, minutes=minute))
    figures.vaults += 1
    check(world, seed, figures)


def check(world: World, seed: int, figures: Figures) -> None:
    """The record against the chain: the same transactions, the same ends, no intent twice, nothing left open."""
    vault = world.connection.config.vault
    intents = [d for d in world.store.latest(vault.id, 1000) if d["intent_id"]]
    on_chain = world.chain.state.applied
    recorded: dict[str, str] = {}
    flagged = world.store.control(vault.id).mode is ControlMode.HALT
    for row in intents:
        attempts = world.store.attempts(row["intent_id"])
        recorded |= {a.tx_hash: a.state for a in attempts}
        effects = sum(a.tx_hash in on_chain and on_chain[a.tx_hash].success for a in attempts)
        state = IntentState(row["intent_state"])
        figures.ends[state] += 1
        figures.transactions += len(attempts)
        if effects > 1:
            figures.double_applications += 1
            figures.problems.append(f"seed {seed}: intent {row['intent_id']} applied {effects} times")
        if state is IntentState.NEEDS_HUMAN and flagged:
            continue
        if state in (IntentState.SIGNING, IntentState.SIGNED, IntentState.SUBMITTED, IntentState.UNKNOWN,
                     IntentState.EXPIRED, IntentState.PLANNED, IntentState.SIMULATED):  # fmt: skip
            figures.undecided += 1
            figures.problems.append(f"seed {seed}: intent {row['intent_id']} is left {state}")
        elif (state is IntentState.CONFIRMED) != (effects == 1):
            figures.disagreements += 1
            figures.problems.append(f"seed {seed}: intent {row['intent_id']} is {state} with {effects} effects")
    wanted = {h: "confirmed" if a.success else "failed" for h, a in on_chain.items()}
    wrong = [h for h, end in wanted.items() if recorded.get(h) not in (end, "unknown")]
    if wrong or world.on_chain.applied != sum(a.success for a in on_chain.values()):
        figures.disagreements += 1
        figures.problems.append(f"seed {seed}: ends on the chain that the record does not have: {wrong}")


def _trouble(world: World, ledger: str) -> None:
    chain = world.chain
    chain.congested, chain.stalled = ledger == "congested", ledger == "stalled"
    chain.surge_fee = 150 if ledger == "surge" else 100
    for token in chain.state.tokens.values():
        usual = PRICES.get(token.symbol)
        if usual is not None:
            token.price = str(usual * Decimal("1.05") if ledger == "prices" else usual)


def naive_doubles(engine: Engine, folder: Path, seeds: int) -> int:
    """How often the sender that remembers only afterwards applies more than once under lost replies."""
    doubles = 0
    for seed in range(seeds):
        world = build(engine, folder, Network("lost_reply", seed))
        for _ in range(6):
            if naive(world):
                break
            world.time.sleep(1)
        world.time.sleep(1)
        doubles += world.on_chain.applied > 1
    return doubles


def run(engine: Engine, folder: Path, ticks: int, seed: int = 0, until_s: float = float("inf")) -> Figures:
    """Episodes until `ticks` ticks met a fault or the time is over."""
    figures, plan = Figures(), cells(seed)
    for number in itertools.count(seed * 100_000):
        if figures.ticks_with_fault >= ticks or time.monotonic() > until_s:
            return figures
        episode(engine, folder, plan, number, figures)
    raise AssertionError("unreachable")


def main() -> int:
    """Exit codes: 0 nothing wrong, 1 a problem (listed in the JSON)."""
    parser = argparse.ArgumentParser(prog="python -m tests.keeper.crash_matrix", description=__doc__)
    parser.add_argument("--ticks", type=int, default=10_000, help="ticks that must meet a fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this long, whatever was reached")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ballast-matrix-"))
    cluster = embedded_postgres.Cluster(folder / "postgres")
    try:
        embedded_postgres.start(cluster, durable=False)
        migrate(cluster.url)
        engine = create_engine(cluster.url)
        begun = time.monotonic()
        figures = run(engine, folder, args.ticks, args.seed, begun + 60 * args.minutes)
        doubles = naive_doubles(engine, folder, 20)
        engine.dispose()
    finally:
        embedded_postgres.stop(cluster)
        shutil.rmtree(folder, ignore_errors=True)
    found = {name: getattr(figures, name) for name in figures.__dataclass_fields__}
    number_of_cells = len(POINTS) * len(NETWORKS) * len(LEDGERS)
    found |= {"points": len(POINTS), "cells": number_of_cells, "naive_doubles_of_20": doubles,
              "seed": args.seed, "wall_s": round(time.monotonic() - begun, 1)}  # fmt: skip
    sys.stdout.write(json.dumps(found, indent=2, default=str) + "\n")
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
