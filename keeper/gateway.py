"""What the keeper can ask of a chain, in its own words. Every answer is Ok, Retryable, Uncertain or Fatal.

Types only: `keeper.soroban` implements them with the SDK. Nothing here decides what an answer means for an intent;
that is `keeper.evidence`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class Retryable:
    """The request had no effect and may succeed later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The request may have had its effect: a lost reply, a timeout, an answer that cannot be read."""

    reason: str


class Remedy(StrEnum):
    """What a refusal asks of us. SHRINK: ask for less. STOP: nobody should try again before a human looked."""

    NONE = "none"
    SHRINK = "shrink"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Fatal:
    """The request was understood and refused; repeating it cannot help."""

    reason: str
    contract_error: int | None = None
    remedy: Remedy = Remedy.NONE


Outcome: TypeAlias = Ok[T] | Retryable | Uncertain | Fatal


@dataclass(frozen=True, slots=True)
class ChainClock:
    """The newest ledger a reply knows of. `close_time_s`: its close, Unix seconds; the only clock for expiry."""

    ledger: int
    close_time_s: int
    oldest_ledger: int


@dataclass(frozen=True, slots=True)
class AccountView:
    address: str
    sequence: int
    balance_stroops: int
    ledger: int


@dataclass(frozen=True, slots=True)
class StrategyFunds:
    address: str
    amount: int
    paused: bool


@dataclass(frozen=True, slots=True)
class AssetFunds:
    """Funds of one asset in base units: `total` = `idle` + what strategies hold."""

    asset: str
    total: int
    idle: int
    strategies: tuple[StrategyFunds, ...] = ()


@dataclass(frozen=True, slots=True)
class VaultView:
    """A vault as read by simulation at one ledger. `shares`: total supply in base units of 7 decimals."""

    contract: str
    ledger: int
    funds: tuple[AssetFunds, ...]
    shares: int
    rebalance_manager: str
    code_hash: str | None


@dataclass(frozen=True, slots=True)
class TokenView:
    """What a token contract says of itself. Base units are 10 ** -decimals."""

    symbol: str
    decimals: int


class TxStatus(StrEnum):
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"
    CONTRADICTORY = "CONTRADICTORY"  # status and result XDR disagree


@dataclass(frozen=True, slots=True)
class TransactionView:
    """One look at a hash, with the clock of the node that answered."""

    tx_hash: str
    status: TxStatus
    clock: ChainClock
    ledger: int | None = None
    result_code: str | None = None
    contract_error: int | None = None
    fee_charged: int | None = None


class SendStatus(StrEnum):
    PENDING = "PENDING"
    DUPLICATE = "DUPLICATE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class SendReply:
    """`required_fee`: with txINSUFFICIENT_FEE, the whole fee in stroops that the node would take."""

    status: SendStatus
    ledger: int
    result_code: str | None = None
    required_fee: int | None = None


@dataclass(frozen=True, slots=True)
class Unwind:
    """Take `amount` base units of the strategy's asset back to idle."""

    strategy: str
    amount: int


@dataclass(frozen=True, slots=True)
class Invest:
    strategy: str
    amount: int


@dataclass(frozen=True, slots=True)
class SwapExactIn:
    token_in: str
    token_out: str
    amount_in: int
    amount_out_min: int


@dataclass(frozen=True, slots=True)
class SwapExactOut:
    token_in: str
    token_out: str
    amount_out: int
    amount_in_max: int


Instruction: TypeAlias = Unwind | Invest | SwapExactIn | SwapExactOut


@dataclass(frozen=True, slots=True)
class RebalanceCall:
    """One `rebalance` transaction to build. Swaps get `max_time_s` as their deadline."""

    source: str
    sequence: int
    contract: str
    instructions: tuple[Instruction, ...]
    max_time_s: int
    max_ledger: int
    inclusion_fee: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A simulated, assembled, unsigned transaction.

    `balances`: predicted (before, after) base units of the vault by token contract, from the simulation's state
    changes; None when the node does not report them. `foreign_auth`: the simulation wants more than our own
    account's authorization of exactly this call. `touched`: contracts in the write footprint, and accounts but our
    own. `own_writes`: the call would write the keeper's own account or one of its trust lines.
    """

    unsigned_xdr: str
    tx_hash: str
    sequence: int
    max_time_s: int
    max_ledger: int
    fee_bid: int
    inclusion_fee: int
    resource_fee: int
    sim_ledger: int
    balances: Mapping[str, tuple[int, int]] | None
    foreign_auth: bool
    touched: frozenset[str]
    own_writes: bool = False


class Gateway(ABC):
    """A chain behind one URL. Methods never raise for what a network can do; they return an Outcome."""

    def close(self) -> None:  # noqa: B027  # most hold nothing between requests
        """Let go of what is held between requests."""

    @abstractmethod
    def passphrase(self) -> Outcome[str]:
        """Passphrase the node itself reports."""

    @abstractmethod
    def protocol(self) -> Outcome[int]:
        """Protocol version the network runs."""

    @abstractmethod
    def health(self) -> Outcome[int]:
        """Newest ledger of a node that calls itself healthy; Retryable while ledgers stall or it catches up."""

    @abstractmethod
    def clock(self) -> Outcome[ChainClock]:
        """Newest ledger and its close time."""

    @abstractmethod
    def account(self, address: str) -> Outcome[AccountView]:
        """Sequence and balance of an account; Fatal if it does not exist."""

    @abstractmethod
    def vault(self, contract: str) -> Outcome[VaultView]:
        """Holdings, role and code of a vault; simulations only, no fee."""

    @abstractmethod
    def token(self, contract: str) -> Outcome[TokenView]:
        """Name and decimals of a token; Fatal if the contract does not say."""

    @abstractmethod
    def inclusion_fee(self) -> Outcome[int]:
        """Inclusion fee, in stroops, that recent contract calls paid (95th percentile)."""

    @abstractmethod
    def prepare(self, call: RebalanceCall) -> Outcome[Prepared]:
        """Build, simulate and assemble. Fatal carries the contract's error number."""

    @abstractmethod
    def send(self, signed_xdr: str) -> Outcome[SendReply]:
        """Submit the bytes. Safe to repeat with identical bytes."""

    @abstractmethod
    def transaction(self, tx_hash: str) -> Outcome[TransactionView]:
        """Look a hash up."""

    @abstractmethod
    def arguments(self, caller: str, instructions: Sequence[Instruction], deadline_s: int) -> tuple[str, ...]:
        """Arguments of `rebalance` as base64 XDR: what a signer has to find in the envelope. Pure."""
