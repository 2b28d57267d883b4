"""One suite for every signer: what it signs, what it refuses, what it does when its backend misbehaves."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from stellar_sdk import Keypair, TransactionBuilder, TransactionEnvelope
from stellar_sdk.operation import InvokeHostFunction

from keeper.intent import IntentState
from keeper.limits import ControlMode
from keeper.networks import PASSPHRASES
from keeper.signing.envelope import checked
from keeper.signing.interface import SignerUnavailable, SigningRefused
from tests.keeper.signing.backends import HASTY, Backend, ServiceBackend, Spoil, another_key
from tests.keeper.signing.envelopes import (
    CONTRACT,
    MAX_FEE,
    NOW_S,
    OTHER_CONTRACT,
    PASSPHRASE,
    STRANGER,
    Draft,
    policy_for,
    unsigned,
)
from tests.keeper.signing.transit_stub import JSON, refused
from tests.keeper.signing.worlds import kept_by
from tests.keeper.world import MARKET_NOW, World, a_row
from tests.orchestration.sources.loopback import Canned


def test_it_signs_what_was_agreed_with_the_key_of_its_address(backend: Backend) -> None:
    signer = backend.signer()
    signer.check()
    assert signer.address == backend.address
    before = unsigned(backend.address)
    signed = signer.sign_envelope(before, policy_for(backend.address))
    envelope = TransactionEnvelope.from_xdr(signed.xdr, PASSPHRASE)
    assert len(envelope.signatures) == 1
    Keypair.from_public_key(backend.address).verify(envelope.hash(), envelope.signatures[0].signature)
    assert signed.tx_hash == envelope.hash_hex() == TransactionEnvelope.from_xdr(before, PASSPHRASE).hash_hex()


def test_a_fresh_process_signs_the_same_bytes(backend: Backend) -> None:
    signed = [backend.signer().sign_envelope(unsigned(backend.address), policy_for(backend.address)) for _ in range(2)]
    assert signed[0] == signed[1]


def test_an_authorization_of_exactly_this_call_is_signed(backend: Backend) -> None:
    draft = Draft(authorized=(CONTRACT, "rebalance"))
    assert backend.signer().sign_envelope(unsigned(backend.address, draft), policy_for(backend.address)).tx_hash


CHANGED = [
    (Draft(fee=MAX_FEE + 1), "fee"),
    (Draft(contract=OTHER_CONTRACT), "call"),
    (Draft(function="upgrade"), "call"),
    (Draft(amount=10**10 + 1), "call"),
    (Draft(sequence=43), "sequence"),
    (Draft(max_time_s=NOW_S + 76), "time bounds"),
    (Draft(max_time_s=0), "time bounds"),  # for ever
    (Draft(max_ledger=1_001), "ledger bounds"),
    (Draft(muxed_id=5), "source"),
    (Draft(operation_source=STRANGER), "operation source"),
    (Draft(memo="hello"), "memo"),
    (Draft(payment=True), "operations"),
    (Draft(payment=True, operations=2), "operations"),
    (Draft(authorized=(OTHER_CONTRACT, "rebalance")), "authorization"),
    (Draft(authorized=(CONTRACT, "transfer")), "authorization"),
    (Draft(authorized=(CONTRACT, "rebalance"), foreign=True), "authorization"),
    (Draft(signed_by=Keypair.from_raw_ed25519_seed(bytes([4]) * 32)), "already signed"),
]


@pytest.mark.parametrize(("draft", "complaint"), CHANGED)
def test_it_refuses_bytes_that_are_not_what_was_agreed(backend: Backend, draft: Draft, complaint: str) -> None:
    with pytest.raises(SigningRefused, match=complaint):
        backend.signer().sign_envelope(unsigned(backend.address, draft), policy_for(backend.address))
    assert not isinstance(backend, ServiceBackend) or backend.relay.asked == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"passphrase": PASSPHRASES["public"]}, "network"),
        ({"passphrase": PASSPHRASES["testnet"]}, "network"),
        ({"source": STRANGER}, "source"),
        ({"max_fee_stroops": 89_999}, "fee"),
        ({"max_ledger": 0}, "ledger bounds"),
        ({"now_s": NOW_S - 16}, "validity"),  # 91 s
        ({"now_s": NOW_S + 75}, "validity"),  # over
        ({"arguments": ()}, "call"),
    ],
)
def test_it_refuses_a_policy_that_is_not_about_these_bytes(
    backend: Backend, change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SigningRefused, match=complaint):
        backend.signer().sign_envelope(unsigned(backend.address), replace(policy_for(backend.address), **change))


def test_it_refuses_what_it_cannot_read_and_what_wraps_another(backend: Backend) -> None:
    policy = policy_for(backend.address)
    with pytest.raises(SigningRefused, match="cannot be decoded"):
        backend.signer().sign_envelope(unsigned(backend.address)[:40], policy)
    inner = TransactionEnvelope.from_xdr(unsigned(backend.address), PASSPHRASE)
    inner.sign(Keypair.from_raw_ed25519_seed(bytes([4]) * 32))
    bump = TransactionBuilder.build_fee_bump_transaction(backend.address, 10**9, inner, PASSPHRASE)
    with pytest.raises(SigningRefused, match="cannot be decoded"):
        backend.signer().sign_envelope(bump.to_xdr(), policy)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_come_they_are_refused_or_the_agreed_call(data: st.DataObject) -> None:
    source = Keypair.from_raw_ed25519_seed(bytes([5]) * 32).public_key
    policy = policy_for(source)
    raw = bytearray(TransactionEnvelope.from_xdr(unsigned(source), PASSPHRASE).to_xdr_object().to_xdr_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    raw = raw[: data.draw(st.integers(len(raw) - 8, len(raw)))]
    try:
        envelope = checked(base64.b64encode(bytes(raw)).decode(), policy)
    except SigningRefused:
        return
    transaction = envelope.transaction
    operation = transaction.operations[0]
    assert isinstance(operation, InvokeHostFunction)
    assert operation.host_function.invoke_contract is not None
    called = tuple(argument.to_xdr() for argument in operation.host_function.invoke_contract.args)
    assert (transaction.source.account_id, transaction.sequence, called) == (source, 42, policy.arguments)
    assert transaction.fee <= MAX_FEE


def test_a_key_of_another_account_signs_nothing(backend: Backend) -> None:
    signer = backend.signer(address=STRANGER)
    with pytest.raises(SigningRefused, match=f"the key belongs to {backend.address}, not to {STRANGER}"):
        signer.check()
    with pytest.raises(SigningRefused, match="belongs to"):
        signer.sign_envelope(unsigned(STRANGER), policy_for(STRANGER))
    with pytest.raises(SigningRefused, match="is not the source"):
        backend.signer().sign_envelope(unsigned(STRANGER), policy_for(STRANGER))


SPOILS: list[tuple[str, Spoil]] = [
    ("63 bytes", lambda signature: signature[:63]),
    ("65 bytes", lambda signature: signature + b"\x00"),
    ("nothing", lambda signature: b""),
    ("zeros", lambda signature: bytes(64)),
    ("one bit", lambda signature: bytes([signature[0] ^ 1]) + signature[1:]),
    ("halves swapped", lambda signature: signature[32:] + signature[:32]),
    ("another key", another_key),
]


@pytest.mark.parametrize("spoil", [s for _, s in SPOILS], ids=[name for name, _ in SPOILS])
def test_a_signature_that_does_not_verify_never_leaves(backend: Backend, spoil: Spoil) -> None:
    signer = backend.signer()
    backend.spoil = spoil
    with pytest.raises(SigningRefused, match="do not verify"):
        signer.sign_envelope(unsigned(backend.address), policy_for(backend.address))


@pytest.mark.parametrize("spoil", [SPOILS[0][1], SPOILS[6][1]], ids=["63 bytes", "another key"])
def test_nothing_is_stored_that_does_not_verify(engine: Engine, tmp_path: Path, backend: Backend, spoil: Spoil) -> None:
    world = kept_by(backend.signer(), engine, tmp_path)
    backend.spoil = spoil
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.REJECTED
    assert _stored(world) == [("void", None)]
    control = world.store.control(world.connection.config.vault.id)
    assert (control.mode, "do not verify" in control.reason) == (ControlMode.HALT, True)
    assert (world.on_chain.applied, world.chain.state.queue) == (0, {})


def test_a_keeper_moves_its_vault_with_it(engine: Engine, tmp_path: Path, backend: Backend) -> None:
    world = kept_by(backend.signer(), engine, tmp_path)
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.CONFIRMED
    [(state, signed)] = _stored(world)
    assert state == "confirmed"
    envelope = TransactionEnvelope.from_xdr(str(signed), PASSPHRASE)
    Keypair.from_public_key(backend.address).verify(envelope.hash(), envelope.signatures[0].signature)


def _aws(code: str, status: int = 400) -> Canned:
    said = {"__type": code, "message": "planted words of the service"}
    return Canned(said, status, {"content-type": "application/x-amz-json-1.1"})


HTML = Canned("<html>planted words of a proxy</html>", 502, {"content-type": "text/html"})
PASSING: dict[str, dict[str, Canned]] = {
    "throttled": {"kms": _aws("ThrottlingException"), "vault": refused(429, "planted words of the service")},
    "internal error": {"kms": _aws("KMSInternalException", 500), "vault": refused(500, "planted words of the service")},
    "down": {"kms": _aws("ServiceUnavailableException", 503), "vault": refused(503, "planted words of the service")},
    "a page of a proxy": {"kms": HTML, "vault": HTML},
    "no words": {"kms": Canned(b"", 503), "vault": Canned(b"", 503)},
    "no signature": {
        "kms": Canned({"SigningAlgorithm": "ED25519_SHA_512"}, 200, JSON),
        "vault": Canned({"data": {"key_version": 1}}, 200, JSON),
    },
    "a redirect": {
        "kms": Canned(b"", 307, {"location": "http://192.0.2.1/"}),
        "vault": Canned(b"", 307, {"location": "http://192.0.2.1/"}),
    },
    "no JSON": {"kms": Canned(b"{", 200, JSON), "vault": Canned(b"{", 200, JSON)},
}
LASTING: dict[str, dict[str, Canned]] = {
    "denied": {"kms": _aws("AccessDeniedException"), "vault": refused(403, "planted words of the service")},
    "no such key": {"kms": _aws("NotFoundException"), "vault": refused(400, "planted words of the service")},
    "disabled": {"kms": _aws("DisabledException"), "vault": refused(404)},
    "not understood": {"kms": _aws("ValidationException"), "vault": refused(400, "planted words of the service")},
    "an account that has ended": {"kms": _aws("ExpiredTokenException"), "vault": refused(401, "planted words")},
}


@pytest.mark.parametrize("trouble", sorted(PASSING))
def test_what_passes_is_tried_again_within_bounds(service: ServiceBackend, trouble: str) -> None:
    signer, policy = service.signer(), policy_for(service.address)
    service.fail_signatures(PASSING[trouble][service.kind], times=2)
    assert signer.sign_envelope(unsigned(service.address), policy).tx_hash
    assert service.signatures == 3
    service.fail_signatures(PASSING[trouble][service.kind])
    with pytest.raises(SignerUnavailable, match=service.kind) as caught:
        signer.sign_envelope(unsigned(service.address), policy)
    assert service.signatures == 6
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("trouble", sorted(LASTING))
def test_what_lasts_is_refused_at_once(service: ServiceBackend, trouble: str) -> None:
    signer = service.signer()
    signer.check()
    service.fail_signatures(LASTING[trouble][service.kind])
    with pytest.raises(SigningRefused, match=service.kind) as caught:
        signer.sign_envelope(unsigned(service.address), policy_for(service.address))
    assert service.signatures == 1
    assert "planted" not in str(caught.value)


def test_a_service_that_never_answers_is_left(service: ServiceBackend) -> None:
    signer = service.signer(patience=HASTY)
    signer.check()
    service.fail_signatures(Canned(hang=True))
    with pytest.raises(SignerUnavailable, match=r"no (usable )?answer \(ReadTimeout"):
        signer.sign_envelope(unsigned(service.address), policy_for(service.address))
    assert service.signatures == HASTY.attempts


def test_a_service_that_is_not_there_is_unavailable(service: ServiceBackend) -> None:
    signer = service.signer(patience=HASTY)
    service.close()
    with pytest.raises(SignerUnavailable, match=service.kind):
        signer.check()


def test_a_keeper_waits_for_a_service_that_throttles(engine: Engine, tmp_path: Path, service: ServiceBackend) -> None:
    world = kept_by(service.signer(), engine, tmp_path)
    service.fail_signatures(PASSING["throttled"][service.kind], times=5)  # a tick asks three times, and then again
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.CONFIRMED
    assert service.signatures == 6
    assert world.on_chain.applied == 1


def _stored(world: World) -> list[tuple[object, ...]]:
    with world.store._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("select state, signed_xdr from keeper.attempts"))]
