"""Value at risk, correlations and regimes over HTTP: the newest of each, what has expired, what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from tests.serving.conftest import NOW, add_score, set_clock

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NUMBERS = {"var95_log": 0.03, "es95_log": 0.04, "var99_log": 0.05, "es99_log": 0.06}
MATRIX = [[1.0, 0.5, None], [0.5, 1.0, None], [None, None, 1.0]]


def _insert(engine: Engine, table: str, row: dict[str, Any]) -> None:
    values = ", ".join(
        f"cast(:{k} as jsonb)" if isinstance(v, str) and v[:1] == "[" else f":{k}" for k, v in row.items()
    )
    with engine.begin() as connection:
        connection.execute(text(f"insert into {table} ({', '.join(row)}) values ({values})"), row)


def add_var(engine: Engine, **changes: Any) -> None:
    """A value at risk beside a new score of the same subject and moment."""
    row: dict[str, Any] = {
        "subject": "BTC", "horizon_days": 1, "method": "filtered", "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW + 2 * HOUR, "status": "ok", "reasons": [], "required": None, "received": None,
        "sufficient_on": None, **NUMBERS, "sample_days": 1000, "tested_windows": 365, "exceeded95": 17,
        "exceeded99": 3, "data_mode": "simulated",
    } | changes  # fmt: skip
    with engine.begin() as connection:
        known = connection.execute(text("select count(*) from risk.scores")).scalar_one()
    add_score(engine, subject=row["subject"], horizon_days=row["horizon_days"], as_of=row["as_of"], promotion_id=known)
    with engine.begin() as connection:
        row["score_id"] = connection.execute(text("select max(id) from risk.scores")).scalar_one()
    _insert(engine, "risk.var", row)


def add_correlation(engine: Engine, **changes: Any) -> None:
    row: dict[str, Any] = {
        "scope": "market", "method": "ewma", "regime": "all", "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW + DAY + 2 * HOUR, "status": "degraded", "reasons": ["2 of 3 pairs have no number"],
        "required": None, "received": None, "names": ["BTC", "ETH", "X"], "days": 150, "matrix": json.dumps(MATRIX),
        "measured": json.dumps(MATRIX), "low": json.dumps(MATRIX), "high": json.dumps(MATRIX),
        "common_days": "[[150, 90, 9], [90, 90, 9], [9, 9, 9]]",
        "missing_pairs": '[{"a": "BTC", "b": "X", "common_days": 9}]', "shrinkage": 0.1, "first_eigenvalue_share": 0.5,
        "change_30d_mean": 0.1, "change_30d_largest": 0.1, "change_30d_pair": ["BTC", "ETH"], "data_mode": "simulated",
    } | changes  # fmt: skip
    _insert(engine, "risk.correlation", row)


def add_regime(engine: Engine, **changes: Any) -> None:
    row: dict[str, Any] = {
        "series": "BTC", "as_of": NOW, "method": "hmm", "status": "ok", "reasons": [], "label": "calm", "p_calm": 0.9,
        "p_normal": 0.1, "p_stressed": 0.0, "trend": "up", "trend_strength": 0.7, "changepoint": 0.1,
        "level_age": 30.0, "required": None, "received": None, "model_version": "hmm1-a", "data_mode": "simulated",
    } | changes  # fmt: skip
    _insert(engine, "risk.regimes", row)


@pytest.mark.parametrize("path", ["/v1/risk/var", "/risk/var"])
def test_value_at_risk_comes_with_what_it_was_worth(client: TestClient, writer: Engine, path: str) -> None:
    set_clock(writer, NOW + HOUR / 2)
    add_var(writer)
    body = client.get(path).json()
    (found,) = body["var"]
    assert {name: found[name] for name in NUMBERS} == NUMBERS
    assert (found["tested_windows"], found["exceeded95"], found["exceeded99"]) == (365, 17, 3)
    assert (found["stale"], found["age_s"], body["expired"]) == (False, 1800, [])
    assert body["market"]["data_mode"] == found["data_mode"] == "simulated"


def test_the_newest_of_each_subject_horizon_and_method_answers(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    for method in ("student_t", "filtered"):
        for subject, days in (("ETH", 7), ("BTC", 7), ("BTC", 1)):
            for n in range(3):
                add_var(writer, subject=subject, horizon_days=days, method=method, as_of=NOW - (3 - n) * HOUR,
                        var95_log=0.01 * (n + 1))  # fmt: skip
    found = client.get("/v1/risk/var").json()["var"]
    assert [(v["subject"], v["horizon_days"], v["method"], v["var95_log"]) for v in found] == [
        (subject, days, method, 0.03)
        for subject, days in (("BTC", 1), ("BTC", 7), ("ETH", 7))
        for method in ("filtered", "student_t")
    ]
    asked = client.get("/v1/risk/var", params={"subject": "BTC", "horizon_days": 7, "method": "student_t"}).json()
    assert [(v["subject"], v["horizon_days"], v["method"]) for v in asked["var"]] == [("BTC", 7, "student_t")]


def test_without_a_number_there_is_a_reason(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_var(writer, status="insufficient_data", reasons=["too short"], required=365, received=120,
            sufficient_on="2026-09-03", **dict.fromkeys(NUMBERS))  # fmt: skip
    (found,) = client.get("/v1/risk/var").json()["var"]
    assert [found[name] for name in NUMBERS] == [None] * 4
    assert (found["status"], found["required"], found["received"]) == ("insufficient_data", 365, 120)
    assert found["sufficient_on"] == "2026-09-03"


def test_correlations_name_what_is_missing(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_correlation(writer, as_of=NOW - DAY, shrinkage=0.9)
    add_correlation(writer)
    nothing = dict.fromkeys(("matrix", "measured", "low", "high", "shrinkage", "first_eigenvalue_share"))
    rare = {"method": "ledoit_wolf", "regime": "stressed", "status": "insufficient_data"}
    add_correlation(writer, **rare, required=60, received=12, **nothing)
    add_correlation(writer, scope="vault:mixed")
    body = client.get("/v1/risk/correlation").json()
    assert body["scope"] == "market"
    now, stressed = body["correlations"]
    assert (now["matrix"], now["measured"], now["shrinkage"]) == (MATRIX, MATRIX, 0.1)
    assert now["missing_pairs"] == [{"a": "BTC", "b": "X", "common_days": 9}]
    assert now["change_30d_pair"] == ["BTC", "ETH"]
    assert (stressed["regime"], stressed["matrix"], stressed["required"], stressed["received"]) == (
        "stressed", None, 60, 12,
    )  # fmt: skip
    vault = client.get("/v1/risk/correlation", params={"scope": "vault:mixed", "regime": "all"}).json()
    assert (vault["scope"], len(vault["correlations"])) == ("vault:mixed", 1)


def test_regimes_are_those_of_the_newest_day_as_first_said(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_regime(writer, as_of=NOW - DAY, label="stressed")
    add_regime(writer)
    add_regime(writer, model_version="hmm2-b", label="normal")
    add_regime(writer, series="vault:mixed", method="rule", label=None, status="managed")
    found = client.get("/v1/risk/regimes").json()["regimes"]
    assert [(r["subject"], r["method"], r["label"], r["status"]) for r in found] == [
        ("BTC", "hmm", "calm", "ok"), ("vault:mixed", "rule", None, "managed"),
    ]  # fmt: skip
    assert (found[0]["level_age_days"], found[0]["trend"]) == (30.0, "up")


@pytest.mark.parametrize(
    ("kind", "until"),
    [("candles", DAY + 2 * HOUR), ("ranges", 2 * HOUR), (None, DAY + 2 * HOUR)],
    ids=["coin", "rate", "vault"],
)
@pytest.mark.parametrize("late_s", [0, 1])
def test_a_regime_is_good_until_the_next_one_is_due(
    client: TestClient, writer: Engine, kind: str | None, until: timedelta, late_s: int
) -> None:
    if kind is not None:
        with writer.begin() as connection:
            connection.execute(
                text(
                    "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, "
                    "base, quote, source, scored, data_mode) values ('BTC', 'candles', '1h', :kind, 'always', 0, "
                    "7200, 'B', 'Q', 's', true, 'simulated')"
                ),
                {"kind": kind},
            )
    set_clock(writer, NOW + until + timedelta(seconds=late_s))
    add_regime(writer)
    answer = client.get("/v1/risk/regimes")
    assert answer.status_code == (503 if late_s else 200)


@pytest.mark.parametrize(
    ("path", "add", "good_for"),
    [
        ("/v1/risk/var", add_var, 2 * HOUR),
        ("/v1/risk/correlation", add_correlation, DAY + 2 * HOUR),
        ("/v1/risk/regimes", add_regime, DAY + 2 * HOUR),
    ],
)
def test_what_has_expired_is_no_answer(
    client: TestClient, writer: Engine, path: str, add: Any, good_for: timedelta
) -> None:
    set_clock(writer, NOW + good_for + timedelta(seconds=1))
    add(writer)
    answer = client.get(path)
    body = answer.json()
    assert (answer.status_code, body["code"], answer.headers["retry-after"]) == (503, "measure_expired", "60")
    assert [known["stale"] for known in body["last_known"]] == [True]
    add(writer, method={"/v1/risk/correlation": "ledoit_wolf", "/v1/risk/regimes": "rule"}.get(path, "student_t"),
        as_of=NOW + DAY, **({} if "regimes" in path else {"valid_until": NOW + 3 * DAY}))  # fmt: skip
    mixed = client.get(path).json()
    (fresh,) = [value for name, value in mixed.items() if name in ("var", "correlations", "regimes")]
    assert ([a["stale"] for a in fresh], [a["stale"] for a in mixed["expired"]]) == ([False], [True])


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/v1/risk/var?subject=DOGE", 404, "unknown_subject", "subject"),
        ("/v1/risk/var?subject=BTC&horizon_days=9", 404, "unknown_subject", None),
        ("/v1/risk/var?method=guess", 422, "invalid_parameter", "method"),
        ("/v1/risk/var?horizon_days=0", 422, "invalid_parameter", "horizon_days"),
        ("/v1/risk/correlation?scope=vault:none", 404, "unknown_subject", "scope"),
        ("/v1/risk/correlation?regime=wild", 422, "invalid_parameter", "regime"),
        ("/v1/risk/correlation", 503, "no_measures", None),
        ("/v1/risk/regimes?subject=DOGE", 404, "unknown_subject", "subject"),
        ("/v1/risk/regimes?subject=B%00", 422, "invalid_parameter", "subject"),
    ],
)
def test_wrong_requests_say_what_is_wrong(
    client: TestClient, writer: Engine, path: str, status: int, code: str, field: str | None
) -> None:
    set_clock(writer)
    add_var(writer)
    answer = client.get(path)
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("field")) == (status, code, field)
    assert answer.headers["content-type"] == "application/problem+json"


def test_current_values_do_not_cost_more_with_history(client: TestClient, writer: Engine) -> None:
    set_clock(writer)
    add_var(writer)
    with writer.begin() as connection:
        for table, key in (("risk.scores", "subject"), ("risk.var", "subject")):
            assert connection.execute(text(f"select {key} from {table}")).scalar_one() == "BTC"
        connection.execute(
            text(
                "insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, "
                "reasons, model_name, model_version, data_mode, share_imputed, share_stale, degraded, drivers) "
                "select 'BTC', 'series', 1, at, at, at, 'stale', '{}', 'm', '1', 'simulated', 0, 0, false, '[]' "
                "from generate_series(timestamptz '2023-01-01', timestamptz '2025-12-31', interval '1 hour') as at"
            )
        )
        connection.execute(
            text(
                "insert into risk.var (score_id, subject, horizon_days, method, as_of, issued_at, valid_until, status, "
                "reasons, sample_days, tested_windows, exceeded95, exceeded99, data_mode) select id, subject, "
                "horizon_days, 'filtered', as_of, issued_at, valid_until, status, reasons, 0, 0, 0, 0, data_mode "
                "from risk.scores where status = 'stale'"
            )
        )
        connection.execute(text("analyze risk.var"))
        plan = connection.execute(text("explain (analyze, format json) select * from serving.var_current")).scalar()

    def most_rows(node: dict[str, Any]) -> float:
        return max([node["Actual Rows"] * node["Actual Loops"], *map(most_rows, node.get("Plans", []))])

    assert most_rows(plan[0]["Plan"]) < 100, "26,000 are stored, one is asked for"
