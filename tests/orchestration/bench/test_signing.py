"""The bench of a signature: its parts add up, each tick ends with a signed envelope, one that signs nothing is none."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import create_engine, text
from stellar_sdk import Keypair, TransactionEnvelope

from keeper.networks import PASSPHRASES
from orchestration.bench import signing
from orchestration.bench.document import Unmeasured


def test_each_tick_ends_with_a_signed_envelope_that_nobody_sent(database_url: str) -> None:
    found = signing.measure(database_url, 2)
    for part in ("own_time", "own_processor_time", "with_node_and_key", "nodes", "signer"):
        assert found[part]["unit"] == "ms"
        assert [run > 0 for run in found[part]["runs"]] == [True, True]
    for run in range(2):
        parts = [found[part]["runs"][run] for part in ("own_time", "nodes", "signer")]
        assert sum(parts) == pytest.approx(found["with_node_and_key"]["runs"][run], rel=1e-2)
        assert found["whole_tick"]["own"]["runs"][run] > found["own_time"]["runs"][run]
    assert 0 <= found["within_the_target"]["value"] <= 100
    engine = create_engine(database_url)
    with engine.connect() as connection:
        rows = connection.execute(text("select signed_xdr, first_sent_ledger from keeper.attempts")).all()
    engine.dispose()
    assert len(rows) == 3  # one warmed up
    for signed_xdr, first_sent_ledger in rows:
        envelope = TransactionEnvelope.from_xdr(signed_xdr, PASSPHRASES["devnet"])
        source = Keypair.from_public_key(envelope.transaction.source.account_id)
        source.verify(envelope.hash(), envelope.signatures[0].signature)
        assert first_sent_ledger is None


def test_a_tick_that_signs_nothing_is_no_measurement(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "PRICES", {"BTC": Decimal(90_000)})
    with pytest.raises(Unmeasured, match="without a signature"):
        signing.measure(database_url, 1)
