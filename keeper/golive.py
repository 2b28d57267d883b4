"""What each phase needs before a keeper may work in it: one check, one reason. Pure: facts come in as values.

shadow     nothing is signed: the vault and its network have to be named
devnet     everything, on a development network: the embedded one or a private one
testnet    a dry run up to the simulation, on any network but the public one
approve    each intent waits for a human's leave
live       everything, within caps of dollars
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keeper.decision import ChainFacts
from keeper.limits import ControlMode, KeeperConfig, Phase, safe_phase
from keeper.networks import allowed_data_modes
from keeper.signing.choose import SignerKind
from models.contracts.market import DataMode
from models.contracts.vault import VaultLimits

# Days without an incident in a phase that signs nothing, or only with leave, before the keeper may go on.
CLEAN_DAYS = {Phase.APPROVE: 3, Phase.LIVE: 7}
_SILENT_CHANNELS = frozenset({"log"})  # nobody is woken by a line in a file


@dataclass(frozen=True, slots=True)
class Standing:
    """The set-up of one vault's keeper.

    `embedded`: on the devnet that Ballast runs itself. `tokens_named`: the contract of every leg was written down by
    somebody, not found by its name. `channels`: of alerts. `clean_days`: rehearsed without an incident, as
    `KeeperStore.clean_days` counts them. `undecided`: intents that need a human.
    """

    network: str
    embedded: bool
    signer: SignerKind
    account: str | None
    nodes: int
    code_hash: str | None
    tokens_named: bool
    limits: VaultLimits
    data_mode: DataMode
    channels: tuple[str, ...]
    clean_days: int
    control: ControlMode
    undecided: int


@dataclass(frozen=True, slots=True)
class Check:
    """`told`: what was found and, if it does not pass, the way out. `entry_only`: asked on the way into a phase; a
    keeper that is in it already has guards of its own for that."""

    name: str
    passed: bool
    told: str
    entry_only: bool = False


def checks(phase: Phase, standing: Standing) -> tuple[Check, ...]:
    """All checks of `phase`, in the order in which they are best mended. The phase passes if every one does."""
    found = [_network(phase, standing), *([] if standing.embedded else [_account(standing)])]
    if phase.signs:
        strict = phase is Phase.LIVE or (phase is Phase.APPROVE and standing.network == "public")
        found += [*_signing(strict, standing), *(_strict(standing) if strict else ())]
        if strict:
            found.append(_rehearsed(CLEAN_DAYS[phase], standing))
    if phase is Phase.LIVE:
        found.append(_caps(standing.limits))
    return tuple(found)


def chain_checks(config: KeeperConfig, facts: ChainFacts | None) -> tuple[Check, ...]:
    """What the chain itself has to say, in every phase on a network. `facts`: None if it gave no answer."""
    if facts is None:
        return (_check("chain", False, "", "no node answers, or they contradict each other: BALLAST_KEEPER_RPC_URLS"),)
    vault, limits, pinned = facts.vault, config.limits, config.code_hash
    need = limits.reserve_stroops + config.vault.limits.max_fee_stroops
    held, wanted = {f.asset for f in vault.funds}, {str(a.contract) for a in config.vault.assets}
    named = facts.passphrase or "different networks"
    balance, protocol = facts.account.balance_stroops, facts.protocol
    manager, account = vault.rebalance_manager, config.source_account
    return (
        _check("passphrase", facts.passphrase == config.passphrase, "as the nodes report it",
               f"the nodes belong to {named}: set BALLAST_KEEPER_NETWORK_PASSPHRASE"),
        _check("protocol", protocol <= limits.max_protocol, f"{protocol}",
               f"{protocol} is newer than {limits.max_protocol}, the last one that was tested: update Ballast"),
        _check("role", manager == account, "our account is the RebalanceManager",
               f"the RebalanceManager is {manager}, the keeper is {account}: the vault's Manager can hand it over"),
        _check("code", pinned is None or vault.code_hash == pinned, f"{vault.code_hash}",
               f"{vault.code_hash} is not the pinned {pinned}: find out who changed the vault, and to what"),
        _check("assets", held == wanted, "as configured",
               f"the vault holds {', '.join(sorted(held - wanted)) or 'nothing'} besides the configured ones and lacks "
               f"{', '.join(sorted(wanted - held)) or 'none'} of them"),
        _check("reserve", balance >= need, f"{balance} stroops",
               f"{balance} stroops are less than the {need} of reserve and one fee: fund {account}"),
    )  # fmt: skip


def _network(phase: Phase, s: Standing) -> Check:
    fits = safe_phase(phase, s.network) is phase and not (s.embedded and phase in (Phase.TESTNET, Phase.LIVE))
    here = "the embedded devnet" if s.embedded else s.network
    bad = f"{phase} is not for {here}: " + (
        "name a network by BALLAST_KEEPER_NETWORK_PASSPHRASE" if s.embedded else "use shadow, approve or live"
    )
    return _check("network", fits, here, bad)


def _account(s: Standing) -> Check:
    known = s.account is not None or s.signer is SignerKind.LOCAL
    return _check(
        "account", known, s.account or "of the local key", "set BALLAST_KEEPER_ACCOUNT to the signer's address"
    )


def _signing(strict: bool, s: Standing) -> Iterator[Check]:
    safe = s.signer is not SignerKind.LOCAL or not strict
    yield _check("signer", safe, s.signer, "a key in a file does not sign here: set BALLAST_SIGNER to kms or vault")
    usable = s.data_mode in allowed_data_modes(s.network)
    yield _check("data", usable, s.data_mode, f"{s.data_mode} data moves nothing on {s.network}: BALLAST_MARKET=live")
    runs = s.control is ControlMode.RUN
    yield _check("switch", runs, s.control, f"{s.control}: `ballast keeper resume`, once it is understood", True)
    bad = f"{s.undecided} intents need a human: `ballast keeper resolve`"
    yield _check("undecided", not s.undecided, "none", bad, True)


def _strict(s: Standing) -> Iterator[Check]:
    pinned = s.code_hash
    yield _check("code hash", pinned is not None, f"{pinned}", "set BALLAST_KEEPER_CODE_HASH to that of the vault")
    bad = "found by names, which anybody can give: write them into BALLAST_KEEPER_TOKENS or the universe"
    yield _check("tokens", s.tokens_named, "written down", bad)
    bad = f"{s.nodes}: name a second one, of another operator, in BALLAST_KEEPER_RPC_URLS"
    yield _check("nodes", s.nodes >= 2, f"{s.nodes}", bad)
    heard = sorted(set(s.channels) - _SILENT_CHANNELS)
    bad = "they reach the log alone: set BALLAST_ALERT_CHANNELS"
    yield _check("alerts", bool(heard), ", ".join(heard), bad)


def _rehearsed(least: int, s: Standing) -> Check:
    told = f"{s.clean_days} of {least} days of shadow, testnet or approve without an incident"
    return _check("clean days", s.clean_days >= least, told, f"{told}: wait, and look at what happened on the others")


def _caps(limits: VaultLimits) -> Check:
    action, day = limits.max_action_usd, limits.max_day_usd
    bad = "set BALLAST_KEEPER_MAX_ACTION_USD and BALLAST_KEEPER_MAX_DAY_USD, or the vault's limits of these names"
    return _check("caps", action is not None and day is not None, f"{action} dollars an action, {day} a day", bad)


def _check(name: str, passed: bool, good: str, bad: str, entry_only: bool = False) -> Check:
    return Check(name, passed, str(good) if passed else bad, entry_only)
