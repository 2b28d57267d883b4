"""The backends as fixtures: `backend` is each of the three in turn, `service` each of the two behind a wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.keeper.signing.backends import Backend, KmsBackend, LocalBackend, ServiceBackend, VaultBackend, ministack

AWS_SECRET = "planted/aws/secret/0123456789abcdefghijk"
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "planted-access-key",
    "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
    "AWS_SESSION_TOKEN": "planted-session-token-0123456789",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


@pytest.fixture(scope="session")
def kms_url() -> Iterator[str]:
    with ministack() as url:
        yield url


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Backend]]:
    with ExitStack() as open_:

        def make(kind: str) -> Backend:
            if kind == "local":
                return LocalBackend(tmp_path)
            if kind == "vault":
                return open_.enter_context(closing(VaultBackend()))
            request.getfixturevalue("credentials")
            return open_.enter_context(closing(KmsBackend(request.getfixturevalue("kms_url"))))

        yield make


@pytest.fixture(params=["local", "kms", "vault"])
def backend(request: pytest.FixtureRequest, made: Callable[[str], Backend]) -> Backend:
    return made(request.param)


@pytest.fixture(params=["kms", "vault"])
def service(request: pytest.FixtureRequest, made: Callable[[str], Backend]) -> ServiceBackend:
    found = made(request.param)
    assert isinstance(found, ServiceBackend)
    return found


@pytest.fixture
def kms(made: Callable[[str], Backend]) -> KmsBackend:
    found = made("kms")
    assert isinstance(found, KmsBackend)
    return found


@pytest.fixture
def vault(made: Callable[[str], Backend]) -> VaultBackend:
    found = made("vault")
    assert isinstance(found, VaultBackend)
    return found
