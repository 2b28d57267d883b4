"""Decisions, transactions, snapshots and allocations over HTTP: pages, the way back of one, what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from models.contracts.vault import PolicyState
from tests.keeper.world import MARKET_NOW, World, a_row, a_vault, build
from tests.serving.conftest import add_score, set_clock

HOUR = timedelta(hours=1)
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def world(writer: Engine, tmp_path: Path) -> World:
    """Three ticks: into the base weights, a hold, and out again a day later."""
    made = build(writer, tmp_path, vault=a_vault("mixed"))
    set_clock(writer, MARKET_NOW + 31 * HOUR)
    vault = made.connection.config.vault
    made.keeper().tick(a_row(vault), MARKET_NOW)
    made.keeper().tick(a_row(vault), MARKET_NOW + HOUR)
    later = MARKET_NOW + 30 * HOUR
    made.keeper().tick(a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=later), later)
    return made


def get(client: TestClient, path: str, **asked: Any) -> Any:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_decisions_come_newest_first_and_page_by_page(world: World, client: TestClient) -> None:
    everything = get(client, "/v1/decisions")["decisions"]
    assert [d["verdict"] for d in everything] == ["rebalance", "hold", "rebalance"]
    assert [d["intent_state"] for d in everything] == ["confirmed", None, "confirmed"]
    seen, cursor = [], None
    for _ in range(3):
        page = get(client, "/v1/decisions", limit=1, **({"cursor": cursor} if cursor else {}))
        seen += page["decisions"]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (everything, None)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"vault_id": "mixed"}, 3),
        ({"verdict": "hold"}, 1),
        ({"from": "2026-01-01T01:00:00Z"}, 2),
        ({"to": "2026-01-01T01:00:00Z"}, 1),
        ({"from": "2026-01-01T01:00:00Z", "to": "2026-01-01T02:00:00Z"}, 1),
        ({"verdict": "refuse"}, 0),
    ],
)
def test_decisions_are_filtered(world: World, client: TestClient, asked: dict[str, str], count: int) -> None:
    assert len(get(client, "/v1/decisions", **asked)["decisions"]) == count


def test_a_hash_and_an_id_lead_to_the_same_decision(world: World, client: TestClient) -> None:
    newest = get(client, "/v1/decisions")["decisions"][0]
    by_id = get(client, f"/v1/decisions/{newest['id']}")
    assert get(client, f"/v1/decisions/{newest['tx_hash']}") == by_id
    assert by_id["decision"]["inputs"]["target"]["score"] == "95.0"
    assert [attempt["tx_hash"] for attempt in by_id["attempts"]] == [newest["tx_hash"]]
    assert [event["kind"] for event in by_id["events"]][-2:] == ["confirmed", "post_state"]
    assert by_id["gaps"] == ["target"], "this keeper was given a target that no table holds"
    assert "xdr" not in json.dumps(by_id), "a signed envelope is as good as a cheque"


def test_a_decision_is_told_down_to_raw_rows_with_both_clocks(client: TestClient, writer: Engine) -> None:
    set_clock(writer, MARKET_NOW + HOUR)
    add_score(writer, subject="vault:mixed", subject_kind="vault", issued_at=MARKET_NOW + HOUR / 4)
    statements = (
        "create table if not exists features.volatility (series text, as_of timestamptz, rv float8)",
        "grant select on features.volatility to ballast_reader",
        "insert into features.volatility values ('BTC', '2026-01-01', 4e-4), ('BTC', '2025-12-31', 'nan')",
        "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, "
        "source, scored, data_mode) values ('BTC', 'candles', '1h', 'candles', 'always', 3600, 7200, 'BTC', 'USDT', "
        "'s', true, 'simulated')",
        "insert into raw.candles (series, interval, ts, open, high, low, close, volume_base, source, provider, "
        "data_mode, available_at, digest) select 'BTC', '1h', cast('2026-01-01 00:00Z' as timestamptz) - n * interval "
        "'1 hour', 1, 2, 1, 2, 5, 's', 'p', 'simulated', cast('2026-01-01 00:00Z' as timestamptz) + (2 - n) * "
        "interval '20 minutes', gen_random_uuid() from generate_series(1, 30) as n",
        """insert into risk.score_inputs (score_id, legs, rows, first_as_of, data_hash)
           select id, '{"BTC": "2026-01-01T00:00:00+00:00"}', 730, '2024-01-01', 'd0' from risk.scores""",
        """insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score,
           score_id, model_version, policy_version, reasons, data_mode, share_imputed, degraded)
           select 'mixed', as_of, issued_at, valid_until, 'risk_on', '{}', score, id, '3', 'p', '{}', data_mode, 0,
           false from risk.scores""",
        f"""insert into keeper.decisions (id, vault_id, policy_version, score_as_of, verdict, reasons, inputs,
           data_mode, phase, market_time) select '{NOBODY}', 'mixed', 'p', as_of, 'hold', '{{dead_zone}}',
           jsonb_build_object('target', jsonb_build_object('target_id', id)), 'simulated', 'shadow', issued_at
           from risk.target_allocations""",
    )
    with writer.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    trail = client.get(f"/v1/decisions/{NOBODY}").json()
    assert (trail["score"]["score"], trail["score_inputs"]["rows"]) == (61.5, 730)
    assert trail["features"] == [{"series": "BTC", "as_of": "2026-01-01T00:00:00Z", "rv": 4e-4}]
    assert len(trail["raw"]) == 24
    assert [(row["ts"], row["available_at"], row["was_known"]) for row in trail["raw"][:2]] == [
        ("2025-12-31T23:00:00Z", "2026-01-01T00:20:00Z", False),  # scored at a quarter past
        ("2025-12-31T22:00:00Z", "2026-01-01T00:00:00Z", True),
    ]
    assert trail["gaps"] == ["model"]


def test_transactions_are_listed_and_found(world: World, client: TestClient) -> None:
    found = get(client, "/v1/transactions")["transactions"]
    assert [(t["state"], t["action"]) for t in found] == [("confirmed", "reduce"), ("confirmed", "increase")]
    assert get(client, f"/v1/transactions/{found[1]['tx_hash']}") == found[1]
    assert get(client, "/v1/transactions", state="failed")["transactions"] == []
    first = get(client, "/v1/transactions", limit=1)
    assert get(client, "/v1/transactions", cursor=first["next_cursor"])["transactions"] == found[1:]


def test_targets_stand_beside_what_is_held(writer: Engine, client: TestClient) -> None:
    set_clock(writer, MARKET_NOW + HOUR)
    for n, weight in enumerate(("0.4", "0.9")):
        with writer.begin() as connection:
            connection.execute(
                text(
                    "insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, "
                    "model_version, policy_version, reasons, data_mode, share_imputed, degraded) values ('mixed', :at, "
                    ":at, cast(:at as timestamptz) + interval '30 minutes', 'risk_on', cast(:weights as jsonb), '1', "
                    "'p', '{}', 'simulated', 0, false)"
                ),
                {"at": MARKET_NOW + n * HOUR, "weights": json.dumps({"USDC": weight})},
            )
            connection.execute(
                text(
                    "insert into raw.vault_snapshots (series, interval, ts, ledger, tvl_usd, share_price, weights, "
                    "source, provider, data_mode, available_at, digest) values ('vault:mixed', 'irregular', :at, :n, "
                    ":tvl, 1, cast(:weights as jsonb), 'devnet', 'keeper', 'simulated', :at, gen_random_uuid())"
                ),
                {"at": MARKET_NOW + n * HOUR, "n": n, "tvl": Decimal("10.5"), "weights": json.dumps({"USDC": weight})},
            )
    (current,) = get(client, "/v1/allocation/current")["allocations"]
    assert (current["weights"], current["held_weights"], current["stale"]) == ({"USDC": "0.9"}, {"USDC": "0.9"}, False)
    page = get(client, "/v1/allocation/history", vault_id="mixed", limit=1)
    assert [t["weights"]["USDC"] for t in page["targets"]] == ["0.9"]
    rest = get(client, "/v1/allocation/history", cursor=page["next_cursor"])
    assert [t["weights"]["USDC"] for t in rest["targets"]] == ["0.4"]
    page = get(client, "/v1/vault/snapshots", limit=1)
    assert (page["snapshots"][0]["ledger"], page["snapshots"][0]["tvl_usd"]) == (1, 10.5)
    rest = get(client, "/v1/vault/snapshots", cursor=page["next_cursor"])["snapshots"]
    assert [snapshot["ledger"] for snapshot in rest] == [0]


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        (f"/v1/decisions/{NOBODY}", 404, "unknown_decision", "id"),
        (f"/v1/decisions/{'a' * 64}", 404, "unknown_decision", "id"),
        ("/v1/decisions/newest", 422, "invalid_parameter", "id"),
        (f"/v1/transactions/{'a' * 64}", 404, "unknown_transaction", "hash"),
        ("/v1/transactions/x", 422, "invalid_parameter", "hash"),
        ("/v1/decisions?vault_id=nobody", 404, "unknown_vault", "vault_id"),
        ("/v1/decisions?verdict=maybe", 422, "invalid_parameter", "verdict"),
        ("/v1/decisions?from=2026", 422, "invalid_parameter", "from"),
        ("/v1/decisions?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "invalid_parameter", "from"),
        ("/v1/decisions?limit=0", 422, "invalid_parameter", "limit"),
        ("/v1/decisions?cursor=abc", 422, "invalid_parameter", "cursor"),
        ("/v1/decisions?cursor=", 422, "invalid_parameter", "cursor"),
        ("/v1/decisions?cursor=%F0%9F%92%A3", 422, "invalid_parameter", "cursor"),
        ("/v1/decisions?vault=mixed", 422, "invalid_parameter", "vault"),
        ("/v1/transactions?limit=1&limit=2", 422, "invalid_parameter", "limit"),
        (f"/v1/decisions/{NOBODY}?replay=1", 422, "invalid_parameter", "replay"),
        ("/v1/allocation/current?from=2026-01-01T00:00:00Z", 422, "invalid_parameter", "from"),
        ("/v1/transactions?state=lost", 422, "invalid_parameter", "state"),
        ("/v1/vault/snapshots?vault_id=nobody", 404, "unknown_vault", "vault_id"),
        ("/v1/allocation/current?vault_id=nobody", 404, "unknown_vault", "vault_id"),
        ("/v1/allocation/history?cursor=abc", 422, "invalid_parameter", "cursor"),
    ],
)
def test_what_cannot_be_answered_names_the_field(
    writer: Engine, client: TestClient, path: str, status: int, code: str, field: str
) -> None:
    set_clock(writer)
    answer = client.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)
