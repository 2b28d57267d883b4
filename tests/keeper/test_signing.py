"""The local signer signs what was agreed and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from stellar_sdk import Account, Asset, TransactionBuilder, TransactionEnvelope

from keeper.devnet.chain import PASSPHRASE
from keeper.gateway import Ok, Prepared, RebalanceCall, SwapExactIn
from keeper.networks import PUBLIC_PASSPHRASE
from keeper.signing.envelope import attach, checked
from keeper.signing.interface import SigningPolicy, SigningRefused
from keeper.signing.local_dev import LocalDevSigner
from tests.keeper.world import World, build


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return build(engine, tmp_path)


@pytest.fixture
def agreed(world: World) -> tuple[Prepared, SigningPolicy]:
    config, gateway = world.connection.config, world.connection.gateway
    clock, account = gateway.clock(), gateway.account(config.source_account)
    assert isinstance(clock, Ok)
    assert isinstance(account, Ok)
    usdc, btc = (str(a.contract) for a in config.vault.assets[:2])
    steps = (SwapExactIn(usdc, btc, 10**10, 1),)
    call = RebalanceCall(config.source_account, account.value.sequence + 1, str(config.vault.contract), steps,
                         clock.value.close_time_s + 75, clock.value.ledger + 100, 100)  # fmt: skip
    prepared = gateway.prepare(call)
    assert isinstance(prepared, Ok)
    policy = SigningPolicy(
        PASSPHRASE, config.source_account, call.sequence, call.contract, "rebalance",
        gateway.arguments(config.source_account, steps, call.max_time_s), call.max_time_s, call.max_ledger,
        10_000_000, clock.value.close_time_s,
    )  # fmt: skip
    return prepared.value, policy


def test_signs_what_was_agreed_twice_with_the_same_bytes(world: World, agreed: tuple[Prepared, SigningPolicy]) -> None:
    prepared, policy = agreed
    first = world.connection.signer.sign_envelope(prepared.unsigned_xdr, policy)
    assert first == world.connection.signer.sign_envelope(prepared.unsigned_xdr, policy)
    assert first.tx_hash == prepared.tx_hash


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sequence": 1}, "sequence"),
        ({"source": "GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF"}, "source"),
        ({"contract": "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD2KM"}, "call"),
        ({"function": "upgrade"}, "call"),
        ({"arguments": ()}, "call"),
        ({"max_fee_stroops": 1}, "fee"),
        ({"max_time_s": 1}, "time bounds"),
        ({"max_ledger": 1}, "ledger bounds"),
        ({"now_s": 0}, "validity"),
        ({"passphrase": PUBLIC_PASSPHRASE}, "public network"),
    ],
)
def test_refuses_anything_else(
    world: World, agreed: tuple[Prepared, SigningPolicy], change: dict[str, object], complaint: str
) -> None:
    prepared, policy = agreed
    with pytest.raises(SigningRefused, match=complaint):
        world.connection.signer.sign_envelope(prepared.unsigned_xdr, replace(policy, **change))  # type: ignore[arg-type]


def test_refuses_garbage_payments_and_signed_envelopes(world: World, agreed: tuple[Prepared, SigningPolicy]) -> None:
    prepared, policy = agreed
    signer = world.connection.signer
    with pytest.raises(SigningRefused, match="cannot be decoded"):
        signer.sign_envelope(prepared.unsigned_xdr[:40], policy)
    with pytest.raises(SigningRefused, match="signatures"):
        signer.sign_envelope(signer.sign_envelope(prepared.unsigned_xdr, policy).xdr, policy)
    builder = TransactionBuilder(Account(policy.source, policy.sequence - 1), PASSPHRASE, 100)
    builder.append_payment_op(policy.source, Asset.native(), "1")
    builder.add_time_bounds(0, policy.max_time_s).set_ledger_bounds(0, policy.max_ledger)
    with pytest.raises(SigningRefused, match="operations"):
        signer.sign_envelope(builder.build().to_xdr(), policy)


@pytest.mark.parametrize("signature", [b"", b"\x00" * 63, b"\x00" * 64])
def test_a_signature_that_does_not_verify_is_never_attached(
    agreed: tuple[Prepared, SigningPolicy], signature: bytes
) -> None:
    prepared, policy = agreed
    with pytest.raises(SigningRefused, match="signature"):
        attach(checked(prepared.unsigned_xdr, policy), policy.source, signature)
    assert TransactionEnvelope.from_xdr(prepared.unsigned_xdr, PASSPHRASE).signatures == []


def test_the_key_of_another_account_signs_nothing(tmp_path: Path, agreed: tuple[Prepared, SigningPolicy]) -> None:
    prepared, policy = agreed
    with pytest.raises(SigningRefused, match="is not the source"):
        LocalDevSigner(tmp_path / "other").sign_envelope(prepared.unsigned_xdr, policy)


def test_the_key_is_made_once_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "dev"
    signer = LocalDevSigner(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert LocalDevSigner(path).address == signer.address
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text().strip() not in f"{signer!r} {signer}"
    path.chmod(0o640)
    with pytest.raises(SigningRefused, match="chmod 600"):
        LocalDevSigner(path)
    path.chmod(0o600)
    path.write_text("not a seed")
    with pytest.raises(SigningRefused, match="holds no secret seed") as caught:
        LocalDevSigner(path)
    assert "not a seed" not in str(caught.value)
