"""What can happen to a ledger besides closing: somebody else's transaction, a vault that moves, an upgrade, a reset.

Each is one call on a `Chain`; a stall is simply no call to `close_ledger`, a jump of the clock a change of its source.
"""

from __future__ import annotations

from keeper.devnet.chain import Chain


def compete(chain: Chain, address: str) -> None:
    """Somebody else uses the key: the account's next sequence number is gone, with the least fee."""
    account = chain.state.accounts[address]
    account.sequence += 1
    account.balance -= 100


def gain(chain: Chain, vault: str, strategy: str, amount: int) -> None:
    """A strategy earns `amount` base units, of which the vault has not taken its fee yet."""
    held = chain.state.vaults[vault].strategies[strategy]
    held.amount += amount
    held.gain += amount


def rescue(chain: Chain, vault: str, strategy: str) -> None:
    """The manager pulls a strategy to idle and pauses it."""
    model = chain.state.vaults[vault]
    held = model.strategies[strategy]
    model.idle[held.token] += held.amount
    held.amount, held.gain, held.paused = 0, 0, True


def upgrade(chain: Chain, protocol: int) -> None:
    """The network runs another protocol from now on."""
    chain.protocol = protocol


def reset(chain: Chain, ledger: int = 2) -> None:
    """The network begins anew: no accounts, no contracts, ledgers counted from the start."""
    s = chain.state
    s.ledger = s.first_ledger = ledger
    s.closes = [(ledger, s.close_time_s)]
    for memory in (s.accounts, s.tokens, s.vaults, s.queue, s.banned, s.applied):
        memory.clear()
