"""The document of the API: what it promises is what leaves, and its examples are of the shape they illustrate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from models.contracts.runs import RunKind
from models.runs.fields import read_all
from models.runs.kinds import KINDS
from serving.app import create_app
from serving.settings import ServingSettings

ANSWERS = (
    "Score", "RiskCurrent", "RiskHistory", "Health", "ValueAtRisk", "RiskVar", "CorrelationMatrix", "RiskCorrelation",
    "Regime", "RiskRegimes", "RunLine", "Run", "RunPage", "RunComparison", "ScenarioLibrary", "ScenarioEntry",
    "ScenarioFigure", "DecisionLine", "DecisionPage", "DecisionTrail", "Transaction", "TransactionPage",
    "VaultSnapshot", "SnapshotPage", "TargetAllocation", "Allocation", "AllocationCurrent", "AllocationPage",
    "TrackRecord", "RecordDay", "ReliabilityBin", "Premiums", "StreetPremium", "PremiumHistory", "PremiumDay", "Gaps",
    "Gap",
)  # fmt: skip
REFUSED = {"401", "403", "429"}  # wherever a key may be asked for
# Null in an example with numbers, and the framework drops nulls.
LACKING = {"required", "received", "sufficient_on", "reason"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    away = ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with TestClient(create_app(away)) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=jsonschema.FormatChecker()
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_examples_fit_their_schema(document: dict[str, Any], name: str) -> None:
    schema = document["components"]["schemas"][name]
    assert schema["examples"]
    for example in schema["examples"]:
        assert set(example) == set(schema["properties"]) - LACKING, "an example shows every field"
        _validator(document, schema).validate(example)


def test_errors_are_documented_under_the_type_they_leave_with(document: dict[str, Any]) -> None:
    for path, operation in _operations(document):
        for status, response in operation["responses"].items():
            if status >= "400":
                (content_type,) = response["content"]
                assert content_type == "application/problem+json", path
                content = response["content"][content_type]
                _validator(document, content["schema"]).validate(content["example"])
                assert content["example"]["status"] == int(status)


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/backtest/run", RunKind.BACKTEST), ("/v1/risk/simulate", RunKind.SIMULATION)]
)
def test_what_may_be_asked_of_a_run_is_described(document: dict[str, Any], path: str, kind: RunKind) -> None:
    operation, request = document["paths"][path]["post"], KINDS[kind].request
    assert set(operation["responses"]) == {"200", "202", "400", "413", "415", "422", "503"} | REFUSED
    content = operation["requestBody"]["content"]["application/json"]
    assert set(content["schema"]["properties"]) == set(request)
    _validator(document, content["schema"]).validate(content["example"])
    read_all(request, content["example"])


def test_risk_answers_are_all_described(document: dict[str, Any]) -> None:
    for name in ("current", "history", "var", "correlation", "regimes"):
        path = f"/v1/risk/{name}"
        assert set(document["paths"][path]["get"]["responses"]) == {"200", "404", "422", "503"} | REFUSED
