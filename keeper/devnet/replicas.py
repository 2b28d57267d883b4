"""Nodes that lag: the same chain as it was some ledgers ago, alone or behind one address with one that keeps up."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from stellar_sdk import FeeBumpTransactionEnvelope, TransactionEnvelope

from keeper.devnet.chain import Admission, Chain
from keeper.devnet.rpc import Rpc
from keeper.devnet.state import ChainState


class Replica(Chain):
    """Reads `lag` ledgers behind `chain`; what is sent to it reaches the same network."""

    def __init__(self, chain: Chain, lag: int) -> None:
        self._chain = chain
        self._past = deque([copy.deepcopy(chain.state)], maxlen=lag + 1)
        chain.on_close.append(self._remember)

    def __getattr__(self, name: str) -> Any:
        # Whatever is not the ledger's state is the chain's: clock, rules, what a test has set.
        return getattr(self._chain, name)

    @property
    def state(self) -> ChainState:  # type: ignore[override]
        return self._past[0]

    def submit(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> Admission:
        return self._chain.submit(envelope)

    def save(self) -> None:
        """A replica keeps nothing."""

    def _remember(self) -> None:
        self._past.append(copy.deepcopy(self._chain.state))


class Balancer:
    """Several nodes behind one address, asked in turn."""

    def __init__(self, *nodes: Rpc) -> None:
        self._nodes = nodes
        self._asked = 0

    def handle(self, request: Any) -> dict[str, Any]:
        """Answer with the node whose turn it is."""
        self._asked += 1
        return self._nodes[self._asked % len(self._nodes)].handle(request)
