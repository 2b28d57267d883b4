"""The networks a keeper may face: their passphrases, and which data may move money on them.

A passphrase is part of every transaction hash, so a signature for one network is worthless on another. No I/O here.
"""

from __future__ import annotations

from models.contracts.market import DataMode

PASSPHRASES = {
    "devnet": "Ballast Development Network ; November 2026",
    "testnet": "Test SDF Network ; September 2015",
    "public": "Public Global Stellar Network ; September 2015",
}
PUBLIC_PASSPHRASE = PASSPHRASES["public"]
PRIVATE = "private"  # any other passphrase: a network of one's own, whose tokens are worth nothing elsewhere
NETWORKS = (*PASSPHRASES, PRIVATE)
DEVELOPMENT = frozenset({"devnet", PRIVATE})  # where a phase may act without anybody's leave

_ANY = frozenset(DataMode)
_LIVE = frozenset({DataMode.LIVE})
# Tokens of the testnet are worth nothing, so a rehearsal may run there on any data.
_DATA_MODES = {"devnet": _ANY, PRIVATE: _ANY, "testnet": _ANY, "public": _LIVE}


def network_named(passphrase: str) -> str:
    """Name of the network with exactly this passphrase; `private` for one that is not known here."""
    return next((name for name, known in PASSPHRASES.items() if known == passphrase), PRIVATE)


def allowed_data_modes(network: str) -> frozenset[DataMode]:
    """Data modes whose scores may act on `network`: only live data where tokens are money, anything elsewhere.

    An unknown network allows nothing.
    """
    return _DATA_MODES.get(network, frozenset())
