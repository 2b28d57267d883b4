"""Decisions made again: the score from its features with its model, the target from the score, the decision from its
inputs. Each part starts from what is stored of the part before, so that a difference names the place where it arose.

A score is made again from the features of now. Where they were revised since (late bars, quarantine), the hash of what
the model was given then tells so; the comparison is made all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from keeper.record import read_inputs
from keeper.replay import Difference, StoredDecision, replay
from models.allocation.policy import propose_target
from models.contracts.market import SeriesKind
from models.contracts.score import Score
from models.contracts.tables import KEEPER_DECISIONS, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import PolicyState, VaultConfig
from models.decisions.trail import Trails
from models.risk.validity import Validity
from models.validation.ledger import Entry
from models.volatility.bundle import Bundle, load_bundle
from orchestration.issuing import STANDBY, Panel, Serving, score_all
from orchestration.panels import Question, vault_scoring_rows
from orchestration.provenance import data_hash
from orchestration.resources.ledger import read_ledger
from orchestration.resources.model_registry import BundleError, ModelRegistry
from orchestration.resources.scores import as_score
from orchestration.resources.workspace import Workspace
from orchestration.score_inputs import series_of
from orchestration.standby import version_of

# Of a score: what the model says. The rest is of the moment of the tick (confidence) or of other tables (the tail).
_COMPARED = ("score", "p_spike", "rv_forecast", "sigma_ann", "rv_low", "rv_high")
_TOLERANCE = 1e-9  # relative: another processor may add in another order
_LACKS = "the record is of an older form and lacks"


@dataclass(frozen=True, slots=True)
class Part:
    """`name`: score, target or decision. `note`: what else there is to know. `is_possible` False: it could not be made
    again, the note says why. Without differences it agrees."""

    name: str
    differences: tuple[Difference, ...] = ()
    note: str = ""
    is_possible: bool = True

    @property
    def agrees(self) -> bool:
        return self.is_possible and not self.differences


@dataclass
class Replays:
    """Makes decisions of one market again; models and scores that were needed once are kept for the next."""

    workspace: Workspace
    registry: ModelRegistry
    _bundles: dict[int, tuple[Bundle, Serving]] = field(default_factory=dict)
    _scores: dict[int, Part] = field(default_factory=dict)
    _entries: dict[int, Entry] = field(default_factory=dict)

    def newest(self, count: int, vault_id: str | None = None) -> list[UUID]:
        """Ids of the newest decisions, newest first."""
        rows = self.workspace.warehouse.rows(
            f"select id from {KEEPER_DECISIONS} where cast(:vault as text) is null or vault_id = :vault "
            "order by created_at desc limit :count",
            {"vault": vault_id, "count": count},
        )
        return [row["id"] for row in rows]

    def of(self, trail: Mapping[str, Any]) -> tuple[Part, ...]:
        """Parts of a trail (`models.decisions.trail`) made again, from the score to the decision."""
        return (self._score(trail), self._target(trail), self._decision(trail))

    def trail(self, decision_id: UUID) -> dict[str, Any]:
        """The trail of a decision."""
        return Trails(self.workspace.warehouse.rows).of(decision_id)

    def _decision(self, trail: Mapping[str, Any]) -> Part:
        row = trail["decision"]
        stored = StoredDecision(row["verdict"], row["reasons"], row["inputs"], row["plan"], row["market_time"])
        earlier = self.workspace.warehouse.rows(
            f"select 1 from {KEEPER_DECISIONS} where vault_id = :vault_id and policy_version = :policy_version "
            "and score_as_of = :score_as_of and verdict = 'rebalance' and created_at < :created_at limit 1",
            {name: row[name] for name in ("vault_id", "policy_version", "score_as_of", "created_at")},
        )
        try:
            found = replay(stored, acted_before=bool(earlier))
        except (KeyError, TypeError, ValueError) as error:
            return Part("decision", note=f"{_LACKS} {error}", is_possible=False)
        note = f"met {found.obstacle}: nothing was computed" if found.obstacle else ""
        return Part("decision", found.differences, note)

    def _target(self, trail: Mapping[str, Any]) -> Part:
        target, told = trail["target"], trail["decision"]["inputs"].get("target")
        if target is None or told is None:
            is_lost = told is not None and told["target_id"] is not None
            return Part("target", note="its row is gone" if is_lost else "there was none", is_possible=not is_lost)
        vault = _vault(trail)
        if vault is None:
            return Part("target", note=f"{_LACKS} the vault's configuration", is_possible=False)
        before = self.workspace.warehouse.rows(
            f"select state, weights from {RISK_TARGET_ALLOCATIONS} where vault_id = :vault and as_of < :before "
            "and id < :id order by as_of desc, id desc limit 1",
            {"vault": vault.id, "before": target["as_of"], "id": target["id"]},
        )
        state = PolicyState(before[0]["state"]) if before else None
        weights = {s: Decimal(str(w)) for s, w in before[0]["weights"].items()} if before else None
        score = as_score(trail["score"]) if trail["score"] else None
        again = propose_target(vault, score, state, target["issued_at"], weights)
        wanted = {s: str(w) for s, w in again.weights.items()}
        pairs = [
            ("state", target["state"], again.state.value),
            ("weights", _numbers(target["weights"]), _numbers(wanted)),
            ("reasons", list(target["reasons"]), [str(reason) for reason in again.reasons]),
            ("usable", not target["degraded"], again.usable),
            ("weights the keeper read", _numbers(told["weights"]), _numbers(target["weights"])),
            ("score the keeper read", told["score"] and float(told["score"]), target["score"]),
        ]
        return Part("target", tuple(_unequal("target", pairs)))

    def _score(self, trail: Mapping[str, Any]) -> Part:
        score = trail["score"]
        if score is None:
            is_lost = trail["target"] is not None and trail["target"]["score"] is not None
            return Part("score", note="its row is gone" if is_lost else "there was none", is_possible=not is_lost)
        if score["id"] not in self._scores:
            self._scores[score["id"]] = self._score_again(trail, as_score(score), score["promotion_id"])
        return self._scores[score["id"]]

    def _score_again(self, trail: Mapping[str, Any], score: Score, promotion_id: int) -> Part:
        inputs, vault = trail["score_inputs"], _vault(trail)
        if not promotion_id:
            return Part("score", note="no model spoke")
        if any(reason.startswith(STANDBY) for reason in score.reasons):
            return Part("score", note="a baseline spoke, which the ledger does not name", is_possible=False)
        if inputs is None or vault is None:
            return Part("score", note="what it was made of is not stored", is_possible=False)
        newest = {series: datetime.fromisoformat(moment) for series, moment in inputs["legs"].items()}
        specs = [spec for spec in self.workspace.series() if spec.scored]
        try:
            bundle, serving = self._speaker(promotion_id)
            rows = vault_scoring_rows(self.workspace.warehouse, vault, specs, newest)
        except (BundleError, KeyError, ValueError) as error:
            return Part("score", note=f"cannot be made again: {error}", is_possible=False)
        if rows.empty:
            return Part("score", note="its features are gone", is_possible=False)
        legs = {spec.id: (spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs}
        panel = Panel(
            SeriesKind.VAULT, score.horizon_days, [Question(rows, frozenset({score.subject}))],
            {score.subject: Validity.of_vault(legs[series] for series in series_of(vault))},
            {score.subject: score.share_stale}, {score.subject: 1}, serving, bundle,
        )  # fmt: skip
        (again,) = score_all(self.workspace.mode, score.issued_at, [panel])
        note = "" if data_hash(rows) == inputs["data_hash"] else "its features were revised since"
        pairs = [(name, getattr(score, name), getattr(again, name)) for name in (*_COMPARED, "status", "as_of")]
        return Part("score", tuple(_unequal("score", pairs)), note)

    def _speaker(self, promotion_id: int) -> tuple[Bundle, Serving]:
        """Bundle of the ledger's entry, as it was registered. Raises BundleError, KeyError."""
        if promotion_id not in self._bundles:
            if promotion_id not in self._entries:
                with self.workspace.warehouse.transaction() as connection:
                    self._entries = {entry.id: entry for entry in read_ledger(connection)}
            version = version_of(self._entries[promotion_id])
            bundle = load_bundle(self.registry.bundle(version))
            self._bundles[promotion_id] = (bundle, Serving(version, promotion_id))
        return self._bundles[promotion_id]


def _vault(trail: Mapping[str, Any]) -> VaultConfig | None:
    try:
        config = read_inputs(trail["decision"]["inputs"]).config
    except (KeyError, TypeError, ValueError):
        return None
    return config.vault if config is not None else None


def _numbers(weights: Mapping[str, Any]) -> dict[str, Decimal]:
    return {symbol: Decimal(str(weight)) for symbol, weight in sorted(weights.items())}


def _unequal(part: str, pairs: list[tuple[str, Any, Any]]) -> Iterator[Difference]:
    for what, stored, again in pairs:
        if isinstance(stored, float) and isinstance(again, float):
            is_same = abs(stored - again) <= _TOLERANCE * max(abs(stored), abs(again))
        else:
            is_same = stored == again
        if not is_same:
            yield Difference(f"{part}.{what}", str(stored), str(again))
