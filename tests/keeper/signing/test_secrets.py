"""Secrets are planted wherever one can be given; then everything that is written anywhere is searched for them.

The services are of the worst kind: they fail, and repeat in their answer every header they were sent.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import psutil
import pytest
from sqlalchemy import Engine, text

from keeper.signing.interface import SigningError
from orchestration.alerts.channels.http_post import SecretPost
from orchestration.alerts.channels.interface import ChannelError
from orchestration.local.services import service_table
from orchestration.resources.vault_chain import VaultChain
from orchestration.settings import Secret, as_environment, load_settings
from tests.keeper.signing.backends import TOKEN, Backend, LocalBackend, ServiceBackend
from tests.keeper.signing.conftest import AWS_ENVIRONMENT
from tests.keeper.signing.envelopes import Draft, policy_for, unsigned
from tests.keeper.signing.worlds import kept_by
from tests.keeper.world import MARKET_NOW, World, a_row
from tests.orchestration.sources.loopback import Asked, Canned, serving

HOOK = "T0PLANTED/B0PLANTED/plantedplantedplanted"
SECRETS = {
    "the token of Vault": TOKEN,
    "the secret key of AWS": AWS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
    "the session token of AWS": AWS_ENVIRONMENT["AWS_SESSION_TOKEN"],
    "the address of a webhook": HOOK,
}


def spilled(written: str, more: Mapping[str, str]) -> list[str]:
    """Names of the secrets that stand in a text, as they are or as part of a URL."""
    return [name for name, secret in (SECRETS | more).items() if secret in written or quote(secret, "") in written]


@pytest.fixture
def seed(backend: Backend) -> dict[str, str]:
    return {"the seed": backend.path.read_text().strip()} if isinstance(backend, LocalBackend) else {}


def echo(kind: str, status: int) -> Callable[[Asked], Canned]:
    """Say back all headers, in the form in which the service speaks of errors."""

    def answer(asked: Asked) -> Canned:
        told = json.dumps(dict(asked.headers))
        body = {"errors": [told]} if kind == "vault" else {"__type": "AccessDeniedException", "message": told}
        return Canned(body, status, {"content-type": "application/json", "x-echo": told})

    return answer


def whole(error: BaseException) -> str:
    """What any logger or UI could show of an error: text, traceback with what led to it, local variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "/tests/" not in frame.filename]  # a test holds what it planted
    parts = [str(error), repr(error), repr(error.args), *traceback.format_exception(error)]
    return "\n".join([*parts, *(f"{frame.name} {frame.locals}" for frame in ours)])


def ways_to_fail(backend: Backend) -> Iterator[Callable[[], Any]]:
    """Calls of a signer that end in an error, each in another way."""
    yield lambda: backend.signer().sign_envelope(
        unsigned(backend.address, Draft(fee=10**9)), policy_for(backend.address)
    )
    yield lambda: backend.signer().sign_envelope("planted?", policy_for(backend.address))
    backend.spoil = lambda signature: signature[:63]
    yield lambda: backend.signer().sign_envelope(unsigned(backend.address), policy_for(backend.address))
    if isinstance(backend, LocalBackend):
        backend.path.chmod(0o644)
        yield backend.signer
        backend.path.chmod(0o600)
        return
    assert isinstance(backend, ServiceBackend)
    for status in (307, 400, 401, 403, 404, 429, 500, 502, 503):
        backend.trouble = echo(backend.kind, status)
        yield backend.signer().check
    backend.trouble = echo(backend.kind, 200)
    yield backend.signer().check
    backend.trouble = None
    backend.close()
    yield backend.signer().check


def test_no_error_and_no_log_shows_a_secret(
    backend: Backend, seed: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[BaseException] = []
    for call in ways_to_fail(backend):
        with pytest.raises(SigningError) as caught:
            call()
        errors.append(caught.value)
    signer = backend.signer()
    written = [*map(whole, errors), caplog.text, repr(signer), str(signer), repr(vars(signer))]
    assert spilled("\n".join(written), seed) == []
    assert len(errors) >= 4


def test_the_search_itself_finds_what_is_there() -> None:
    assert spilled(f"x{TOKEN}x", {}) == ["the token of Vault"]
    assert spilled(quote(HOOK, ""), {"the seed": "planted-seed"}) == ["the address of a webhook"]
    try:
        raise ValueError(TOKEN)
    except ValueError as error:
        found = whole(error)
    assert spilled(found, {}) == ["the token of Vault"]


def stored(engine: Engine) -> str:
    """Every row that the keeper keeps."""
    with engine.connect() as connection:
        tables = connection.execute(
            text("select table_name from information_schema.tables where table_schema = 'keeper'")
        ).scalars()
        rows = [connection.execute(text(f"select t::text from keeper.{table} t")).scalars().all() for table in tables]
    return repr(rows)


def test_no_row_and_no_run_shows_a_secret(
    engine: Engine, tmp_path: Path, backend: Backend, seed: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A run whose keeper meets a broken signer, tells what it did and then fails with the signer's error."""
    caplog.set_level(logging.DEBUG)
    world = kept_by(backend.signer(), engine, tmp_path)
    if isinstance(backend, ServiceBackend):
        backend.fail_signatures(echo(backend.kind, 403)(Asked("POST", "/", {}, _headers(backend), None)))
    else:
        backend.spoil = lambda signature: signature[:63]
    with dg.DagsterInstance.ephemeral() as instance:
        result = _run(world, backend, instance)
        events = [
            event.to_json() if hasattr(event, "to_json") else repr(event) for event in instance.all_logs(result.run_id)
        ]
        record = repr(instance.get_run_by_id(result.run_id))
    assert not result.success
    told = f"{stored(engine)} {events} {record} {caplog.text}"
    assert "signer" in told
    assert spilled(told, seed) == []


def _headers(backend: ServiceBackend) -> Mapping[str, str]:
    """What the service was sent when it was asked for something before; a test that plants must see the plant."""
    backend.signer().check()
    headers = backend.relay.asked[-1].headers
    assert any(secret in str(headers) for secret in SECRETS.values())
    return headers


def _run(world: World, backend: Backend, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    @dg.op
    def keep(context) -> None:  # type: ignore[no-untyped-def]
        outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
        context.add_output_metadata({"outcome": repr(outcome), "signer": repr(world.connection.signer)})
        context.log.info(f"{outcome} by {world.connection.signer}")
        backend.signer().sign_envelope(unsigned(backend.address), policy_for(backend.address))

    @dg.job
    def keeping() -> None:
        keep()

    return keeping.execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.usefixtures("credentials")
def test_settings_configuration_of_runs_and_command_lines_show_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kms_url: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    given = AWS_ENVIRONMENT | {
        "BALLAST_STATE": str(tmp_path), "VAULT_TOKEN": TOKEN, "ALERT_SLACK_URL": f"https://hooks.example/{HOOK}",
        "BALLAST_ALERT_CHANNELS": "slack", "BALLAST_SIGNER": "vault", "BALLAST_SIGNER_KEY": "keeper",
    }  # fmt: skip
    settings = load_settings(given)
    assert settings.secrets["ALERT_SLACK_URL"].reveal().endswith(HOOK)
    lines = [" ".join(service.argv) for service in service_table(settings)]
    running = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert any("ministack" in line for line in running), kms_url
    shown = f"{settings!r} {as_environment(settings)} {VaultChain.of(settings)!r} {lines} {running}"
    assert spilled(shown, {}) == []


def test_a_webhook_that_fails_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(lambda asked: Canned(f"no {asked.path}", 500)) as server:
        post = SecretPost(Secret(f"{server.url}/{HOOK}"), timeout_s=5.0, sleep=lambda _: None)
        with pytest.raises(ChannelError) as caught:
            post.post({"text": "halt"})
    assert spilled(f"{whole(caught.value)} {caplog.text} {post!r}", {}) == []
