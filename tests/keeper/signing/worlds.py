"""A devnet whose vault is kept by the key of a signer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from keeper.signing.interface import Signer
from tests.keeper.world import PRICES, World, a_vault, build


def kept_by(signer: Signer, engine: Engine, folder: Path) -> World:
    """A fresh world; its vault's manager, and the source of its transactions, is the account of `signer`."""
    world = build(engine, folder)
    parts = world.connection
    parts.admin.fund(signer.address)
    vault, code_hash = parts.admin.create_vault(replace(a_vault(), id=f"{parts.config.vault.id}-kept"), signer.address)
    parts.admin.set_prices(PRICES)
    config = replace(parts.config, vault=vault, source_account=signer.address, code_hash=code_hash)
    world.connection = replace(parts, config=config, signer=signer)  # type: ignore[arg-type]
    return world
