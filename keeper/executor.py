"""One step of one intent: build, simulate, sign, and hand over to `keeper.pursuit` once an envelope is signed.

The only writer of states together with `keeper.pursuit`. The order is the guarantee: the unsigned envelope, its hash
and its sequence number are committed before the signer is asked, the signed envelope before the first send. A crash
anywhere is then harmless, and `advance` may be called again from anywhere that holds the account's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from keeper.firewall import known_contracts, refusal
from keeper.gateway import (
    ChainClock,
    Fatal,
    Gateway,
    Instruction,
    Ok,
    Outcome,
    Prepared,
    RebalanceCall,
    Remedy,
    SwapExactIn,
    Unwind,
    VaultView,
)
from keeper.intent import Attempt, Intent, IntentState
from keeper.limits import ControlMode, KeeperConfig, Phase, stopped_by
from keeper.post_state import post_state_problem
from keeper.pursuit import Pursuit
from keeper.signing.interface import Signer, SignerUnavailable, SigningPolicy, SigningRefused
from keeper.store import KeeperStore
from keeper.trades import TradePlan, plan_trades, shrunk, state_of
from models.contracts.vault import ActionHistory

FUNCTION = "rebalance"
_KINDS: Mapping[str, type[SwapExactIn] | type[Unwind]] = {"SwapExactIn": SwapExactIn, "Unwind": Unwind}


class Executor:
    def __init__(self, config: KeeperConfig, store: KeeperStore, gateway: Gateway, signer: Signer | None) -> None:
        self._config = config
        self._store = store
        self._gateway = gateway
        self._signer = signer
        self._pursuit = Pursuit(config, store, gateway)

    def advance(self, intent: Intent, now: datetime) -> Intent:
        """Do one step and return the intent as stored. An unchanged version means: nothing to do but wait.

        Parameters
        ----------
        intent : as stored; the caller holds the account's lock.
        now : market time, for the validity of the score.
        """
        step = {
            IntentState.PLANNED: self._simulate,
            IntentState.SIMULATED: self._reserve,
            IntentState.SIGNING: self._sign,
        }.get(intent.state, self._pursuit.advance)
        return step(intent, now)

    def awaits_approval(self, intent: Intent) -> bool:
        """Whether the intent waits for a human's word before anybody may sign it."""
        return self._config.phase is Phase.APPROVE and not self._store.is_approved(intent.id)

    def _simulate(self, intent: Intent, now: datetime) -> Intent:
        """planned > simulated: build on fresh state and let the node try it."""
        ended = self._ended_early(intent, now)
        if ended is not None:
            return ended
        if not isinstance(self._gateway.health(), Ok):
            return intent  # ledgers stall: nothing new is built on what such a node says
        account = self._gateway.account(intent.source_account)
        clock = self._gateway.clock()
        vault = self._gateway.vault(self._contract)
        fee = self._gateway.inclusion_fee()
        if not (isinstance(account, Ok) and isinstance(clock, Ok) and isinstance(vault, Ok) and isinstance(fee, Ok)):
            return intent
        earlier = self._store.attempts(intent.id) if intent.attempts else []
        signed = [a.sequence for a in earlier if a.signed_xdr is not None]
        if signed and account.value.sequence >= signed[-1]:
            # The expiry proof was wrong or somebody else uses the key: look first, never build the next number.
            return self._store.move(intent, IntentState.UNKNOWN, {"sequence": signed[-1]}, reason="sequence_used")
        known = max(self._store.last_used_sequence(intent.source_account), *(n - 1 for n in signed), 0)
        if account.value.sequence < known:
            return intent  # the node lags behind what we already know
        applied = self._store.newest_ledger(intent.source_account)
        if vault.value.ledger < max(applied, account.value.ledger):
            return intent  # so does this one: its vault may not have made our last move yet
        if self._config.code_hash is not None and vault.value.code_hash != self._config.code_hash:
            self._store.set_control(
                intent.vault_id, ControlMode.HALT, "the vault's code is not the pinned one", "keeper"
            )
            return self._end(intent, IntentState.REJECTED, "code_changed")
        if vault.value.rebalance_manager != intent.source_account:
            return self._end(intent, IntentState.REJECTED, "role_moved")
        if self._changed(intent, vault.value):
            return self._end(intent, IntentState.CANCELLED, "vault_changed_since_decision")
        bid = self._bid(intent, fee.value)
        cap = min(self._config.limits.max_inclusion_fee_stroops, self._config.vault.limits.max_fee_stroops)
        if bid > cap:
            # The first build of a score is refused, a later one given up: either way nothing is out.
            to = IntentState.ABANDONED if intent.attempts else IntentState.REJECTED
            return self._end(intent, to, f"inclusion fee {bid} above the cap of {cap} stroops")
        # A replacement reuses its predecessor's number: whatever an expiry proof is worth, the ledger uses it once.
        plan, call, answer = self._prepare(intent, now, account.value.sequence + 1, clock.value, bid, vault.value)
        if isinstance(answer, Fatal):
            if answer.remedy is Remedy.STOP:
                self._store.set_control(intent.vault_id, ControlMode.HALT, answer.reason, "keeper")
            return self._end(intent, IntentState.REJECTED, answer.reason)
        if not isinstance(answer, Ok) or answer.value.sim_ledger < applied:
            return intent
        writable = known_contracts(self._config, vault.value)
        refused = refusal(answer.value, plan, writable, self._config.limits, self._config.vault.limits.max_fee_stroops)
        if refused is not None:
            return self._end(intent, IntentState.REJECTED, refused)
        body = _simulation(answer.value, call, plan) | {"validity_s": self._config.limits.validity_s}
        if not self._config.phase.signs:
            return self._store.move(intent, IntentState.SKIPPED, body, reason=self._config.phase.value)
        return self._store.move(intent, IntentState.SIMULATED, body, prepared=body)

    def _reserve(self, intent: Intent, now: datetime) -> Intent:
        """simulated > signing: commit the envelope, its hash and its sequence before anybody signs."""
        ended = self._ended_early(intent, now)
        if ended is not None:
            return ended
        if not self._config.phase.signs:
            return self._end(intent, IntentState.SKIPPED, self._config.phase.value)
        if self.awaits_approval(intent):
            return intent
        clock = self._gateway.clock()
        if not isinstance(clock, Ok) or intent.prepared is None:
            return intent
        p = intent.prepared
        if p["max_time_s"] - clock.value.close_time_s < self._config.limits.min_left_to_sign_s:
            return self._store.move(intent, IntentState.PLANNED, {}, reason="preparation_too_old")
        if p.get("validity_s", 0) > self._config.limits.validity_s:
            return self._store.move(intent, IntentState.PLANNED, {}, reason="prepared_for_a_signature_by_hand")
        attempt = Attempt(
            intent_id=intent.id, n=intent.attempts + 1, sequence=p["sequence"], unsigned_xdr=p["unsigned_xdr"],
            tx_hash=p["tx_hash"], signed_xdr=None, max_time=p["max_time_s"], max_ledger=p["max_ledger"],
            fee_bid=p["fee_bid"], inclusion_fee=p["inclusion_fee"], resource_fee=p["resource_fee"],
            sim_ledger=p["sim_ledger"], first_sent_ledger=None, last_sent_ledger=None, state="signing",
            result_code=None,
        )  # fmt: skip
        event = {"n": attempt.n, "tx_hash": attempt.tx_hash, "sequence": attempt.sequence}
        return self._store.move(intent, IntentState.SIGNING, event, prepared=p, attempt=attempt)

    def _sign(self, intent: Intent, now: datetime) -> Intent:
        """signing > signed: the same hash gives the same bytes, so a crash after the signature costs nothing."""
        attempt = self._store.attempts(intent.id)[-1]
        void = replace(attempt, state="void")
        stopped = self._stopped(intent)
        if stopped is not None:
            return self._store.move(intent, IntentState.CANCELLED, {}, reason=stopped, attempt=void)
        barred = not self._config.phase.signs or self.awaits_approval(intent)
        if barred or now > intent.not_after:  # since it was prepared: `_simulate` ends it or lets it wait
            return self._store.move(intent, IntentState.PLANNED, {}, reason="no_longer_to_sign", attempt=void)
        clock = self._gateway.clock()
        if not (isinstance(clock, Ok) and isinstance(self._gateway.health(), Ok)):
            return intent
        if attempt.max_time - clock.value.close_time_s < self._config.limits.min_left_to_sign_s:
            return self._store.move(intent, IntentState.PLANNED, {}, reason="preparation_too_old", attempt=void)
        if self._signer is None:
            return self._store.move(intent, IntentState.REJECTED, {}, reason="no_signer", attempt=void)
        try:
            signed = self._signer.sign_envelope(attempt.unsigned_xdr, self._policy(intent, attempt, clock.value))
        except SignerUnavailable as error:
            self._store.note(intent, "signer_unavailable", {"error": str(error)})
            return intent
        except SigningRefused as error:
            self._store.set_control(intent.vault_id, ControlMode.HALT, f"signer refused: {error}", "keeper")
            return self._store.move(intent, IntentState.REJECTED, {}, reason=f"signer: {error}", attempt=void)
        if signed.tx_hash != attempt.tx_hash:
            self._store.set_control(intent.vault_id, ControlMode.HALT, "signer returned another envelope", "keeper")
            return self._store.move(intent, IntentState.REJECTED, {}, reason="signer: other hash", attempt=void)
        done = replace(attempt, signed_xdr=signed.xdr, state="signed")
        return self._store.move(intent, IntentState.SIGNED, {"n": attempt.n, "tx_hash": attempt.tx_hash}, attempt=done)

    def _ended_early(self, intent: Intent, now: datetime) -> Intent | None:
        stopped = self._stopped(intent)
        if stopped is not None:
            return self._end(intent, IntentState.CANCELLED, stopped)
        if now > intent.not_after:
            return self._end(intent, IntentState.ABANDONED, "score_expired")
        if intent.attempts >= self._config.limits.max_attempts:
            return self._end(intent, IntentState.ABANDONED, "too_many_attempts")
        return None

    def _changed(self, intent: Intent, vault: VaultView) -> bool:
        """Whether the vault no longer holds what the decision saw: somebody deposited, withdrew or moved."""
        then: Mapping[str, int] = intent.plan["funds"]
        now = {f.asset: f.total for f in vault.funds}
        tolerance = self._config.limits.max_state_change
        return then.keys() != now.keys() or any(abs(now[t] - then[t]) > then[t] * tolerance for t in now)

    def _plan(self, intent: Intent, vault: VaultView, history: ActionHistory) -> tuple[TradePlan, str | None]:
        """The plan for what the vault holds now, and why its outcome must not come about, None if it may."""
        prices = {s: Decimal(p) for s, p in intent.plan["prices"].items()}
        weights = {s: Decimal(w) for s, w in intent.plan["weights"].items()}
        config = self._config
        plan = plan_trades(config.vault, vault, prices, weights, config.limits)
        state = state_of(config.vault, vault, prices)
        reduce_only = self._store.control(config.vault.id).mode is ControlMode.REDUCE_ONLY
        return plan, post_state_problem(config.vault, state, weights, plan, history, config.limits, reduce_only)

    def _bid(self, intent: Intent, fee: int) -> int:
        """Inclusion fee to offer: what others pay, twice as much with every attempt, at least what a node asked for."""
        usual: int = max(fee, self._config.limits.min_inclusion_fee_stroops) * 2**intent.attempts
        return max(usual, self._store.required_inclusion_fee(intent.id)) if intent.attempts else usual

    def _prepare(
        self, intent: Intent, now: datetime, sequence: int, clock: ChainClock, bid: int, vault: VaultView
    ) -> tuple[TradePlan, RebalanceCall, Outcome[Prepared]]:
        """Plan, build and simulate; a refusal that asks for less gets a little less, a few times."""
        limits = self._config.limits
        history = self._store.history(intent.vault_id, now)
        answer: Outcome[Prepared]
        for tries in range(limits.max_shrinks + 1):
            plan, problem = self._plan(intent, shrunk(vault, tries * limits.shrink_step), history)
            call = self._call(intent, sequence, clock, bid, plan)
            if problem is not None:
                return plan, call, Fatal(f"state after the trades: {problem}")
            answer = self._gateway.prepare(call)
            if not (isinstance(answer, Fatal) and answer.remedy is Remedy.SHRINK):
                break
        return plan, call, answer

    def _call(self, intent: Intent, sequence: int, clock: ChainClock, bid: int, plan: TradePlan) -> RebalanceCall:
        limits = self._config.limits
        return RebalanceCall(
            source=intent.source_account,
            sequence=sequence,
            contract=self._contract,
            instructions=plan.instructions,
            max_time_s=clock.close_time_s + limits.validity_s,
            max_ledger=clock.ledger + limits.validity_ledgers,
            inclusion_fee=bid,
        )

    def _policy(self, intent: Intent, attempt: Attempt, clock: ChainClock) -> SigningPolicy:
        assert intent.prepared is not None
        instructions = [instruction_of(i) for i in intent.prepared["instructions"]]
        return SigningPolicy(
            passphrase=self._config.passphrase,
            source=intent.source_account,
            sequence=attempt.sequence,
            contract=self._contract,
            function=FUNCTION,
            arguments=self._gateway.arguments(intent.source_account, instructions, attempt.max_time),
            max_time_s=attempt.max_time,
            max_ledger=attempt.max_ledger,
            max_fee_stroops=self._config.vault.limits.max_fee_stroops,
            now_s=clock.close_time_s,
        )

    def _end(self, intent: Intent, to: IntentState, reason: str) -> Intent:
        return self._store.move(intent, to, {}, reason=reason)

    def _stopped(self, intent: Intent) -> str | None:
        return stopped_by(self._store.control(self._config.vault.id).mode, intent.action)

    @property
    def _contract(self) -> str:
        assert self._config.vault.contract is not None
        return self._config.vault.contract


def instruction_json(step: Instruction) -> dict[str, Any]:
    return {"kind": type(step).__name__, **asdict(step)}


def instruction_of(row: Mapping[str, Any]) -> Instruction:
    """Inverse of `instruction_json` for the kinds that plans contain."""
    values = dict(row)
    return _KINDS[values.pop("kind")](**values)


def _simulation(prepared: Prepared, call: RebalanceCall, plan: TradePlan) -> dict[str, Any]:
    return asdict(prepared) | {
        "instructions": [instruction_json(i) for i in call.instructions],
        "touched": sorted(prepared.touched),
        "low": dict(plan.low),
        "high": dict(plan.high),
    }
