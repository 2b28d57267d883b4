"""What a decision row remembers: everything the decision rests on and the plan that follows, as JSON values.

Enough to ask the same functions again (`keeper.replay`): `read_inputs` gives back what `inputs_json` was given.
Decimals and floats become text, so that nothing is rounded on the way to the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keeper.decision import ChainFacts, Judgement, TargetInput
from keeper.executor import instruction_json
from keeper.gateway import AccountView, VaultView
from keeper.limits import Control, KeeperConfig
from keeper.prices import price_gaps
from models.allocation.expectation import expectation
from models.contracts.exact import read_back, written
from models.contracts.vault import ActionHistory, Target, VaultConfig


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a tick knew. `config` None: no chain was connected; the others None where the tick ended before."""

    config: KeeperConfig | None
    row: TargetInput | None
    control: Control
    facts: ChainFacts | None = None
    history: ActionHistory | None = None


def inputs_json(
    config: KeeperConfig | None,
    row: TargetInput | None,
    control: Control,
    facts: ChainFacts | None,
    history: ActionHistory | None,
    judgement: Judgement | None,
) -> dict[str, Any]:
    """Everything the decision rests on, as JSON values, and what was made of it on the way."""
    found: dict[str, Any] = {"control": written(control)}
    if config is not None:
        found["config"] = written(config)
    if row is not None:
        rest = {name: value for name, value in written(row).items() if name != "target"}
        found["target"] = written(row.target) | rest
    if row is not None and config is not None:
        found["price_gaps"] = written(price_gaps(config.vault, row.prices, row.second_prices))
    if facts is not None:
        account, vault = written(facts.account), written(facts.vault)
        found["chain"] = {
            "passphrase": facts.passphrase,
            "protocol": facts.protocol,
            "account": account.pop("address"),
            "account_ledger": account.pop("ledger"),
            **account,
            **vault,
        }
    if history is not None:
        found["history"] = written(history)
    if judgement is not None:
        found["drift"] = str(judgement.decision.drift)
        if judgement.streak is not None:
            found["streak"] = written(judgement.streak)
        if judgement.problem is not None:
            found["post_state_problem"] = judgement.problem
        if judgement.state is not None:
            found["state"] = {
                "weights": written(judgement.state.weights),
                "tvl_usd": str(judgement.state.tvl_usd),
            }
        if config is not None and row is not None:
            found["expected"] = _expected(config.vault, row.target, judgement)
    return found


def read_inputs(stored: Mapping[str, Any]) -> Inputs:
    """The inputs of a stored decision.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the record is older than this form and lacks what a decision needs.
    """
    chain, target = stored.get("chain"), stored.get("target")
    facts = None
    if chain is not None:
        account = {**chain, "address": chain["account"], "ledger": chain["account_ledger"]}
        facts = ChainFacts(
            chain["passphrase"],
            read_back(AccountView, account),
            read_back(VaultView, chain),
            int(chain["protocol"]),
        )
    return Inputs(
        config=read_back(KeeperConfig, stored["config"]) if "config" in stored else None,
        row=read_back(TargetInput, {**target, "target": target}) if target is not None else None,
        control=read_back(Control, stored["control"]),
        facts=facts,
        history=read_back(ActionHistory, stored["history"]) if "history" in stored else None,
    )


def plan_json(row: TargetInput, judgement: Judgement, facts: ChainFacts) -> dict[str, Any] | None:
    """The plan of an acting decision, None for any other. `funds` is what it was made for."""
    decision, trades = judgement.decision, judgement.trades
    if decision.weights is None or trades is None:
        return None
    return {
        "weights": {s: str(w) for s, w in decision.weights.items()},
        "turnover": str(decision.turnover),
        "drift": str(decision.drift),
        "prices": {s: str(p) for s, p in row.prices.items()},
        "funds": {f.asset: f.total for f in facts.vault.funds},
        "ledger": facts.vault.ledger,
        "instructions": [instruction_json(i) for i in trades.instructions],
        "expected_loss": str(trades.loss),
    }


def _expected(vault: VaultConfig, target: Target, judgement: Judgement) -> dict[str, Any] | None:
    """Risk before and after the move and its cost, as they looked at the decision; None where nothing moves."""
    if judgement.state is None or judgement.decision.weights is None:
        return None
    found: dict[str, Any] = written(expectation(vault, judgement.state, judgement.decision.weights, target.sigma_ann))
    return found
