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

_ANY = frozenset(DataMode)
_LIVE = frozenset({DataMode.LIVE})
_DATA_MODES = {"devnet": _ANY, "testnet": _LIVE, "public": _LIVE}


def allowed_data_modes(network: str) -> frozenset[DataMode]:
    """Data modes whose scores may act on `network`: anything on the devnet, only live data elsewhere.

    An unknown network allows nothing.
    """
    return _DATA_MODES.get(network, frozenset())
