"""Each measurement at a toy size: it runs, promises its keys, its figures have units and can be true. Nothing timed."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan import compute_generator
from fastapi.testclient import TestClient

from models.contracts.market import COLUMNS, Dataset
from orchestration import keys
from orchestration.bench import bare_app, figures, http_load, ingest, market_time, recent, ticks
from orchestration.bench.champions import promoted_champions
from orchestration.bench.document import Unmeasured
from orchestration.local import measured
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE, load_settings
from orchestration.sources.open_market import open_market
from orchestration.universe import load_universe


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    opened = Warehouse.connect(database_url)
    yield opened
    opened.close()


def _positive(document: dict[str, Any], unit: str, *names: str) -> None:
    for name in names:
        assert document[name]["unit"] == unit, name
        assert document[name]["value"] > 0, name


def test_ingest(warehouse: Warehouse) -> None:
    frame = ingest.sample(load_universe(DEFAULT_UNIVERSE), 7, 500)
    assert len(frame) == 500
    assert set(frame.columns) == set(COLUMNS[Dataset.CANDLES])
    found = ingest.measure(warehouse, frame, repeats=2)
    _positive(
        found, "rows/s", "copy_of_prepared_bytes_without_index", "copy_of_prepared_bytes_with_the_unique_index",
        "frame_to_csv_and_copy_without_index", "warehouse_append", "warehouse_append_of_the_same_rows_again",
    )  # fmt: skip
    _positive(found, "times", *(name for name in found if name.startswith("time_of")))
    assert len(found["warehouse_append"]["runs"]) == 2
    assert found["warehouse_append"]["rows_added"] == 500
    assert found["warehouse_append_of_the_same_rows_again"]["rows_added"] == 0
    assert warehouse.rows("select 1 from pg_namespace where nspname = 'bench'") == []


def test_a_market_without_candles_is_no_measurement() -> None:
    universe = load_universe(DEFAULT_UNIVERSE)
    series = tuple(spec for spec in universe.simulated.series if spec.template != "candles_1h")
    rates = universe.model_copy(update={"simulated": universe.simulated.model_copy(update={"series": series})})
    with pytest.raises(Unmeasured, match="has no candles"):
        ingest.sample(rates, 7, 500)


@pytest.mark.parametrize(
    ("scores", "numbers"), [('[{"score": 12.5}, {"score": null}]', 1), ('[{"score": null}]', 0), ("[]", 0)]
)
def test_an_answer_counts_by_its_numbers(scores: str, numbers: int) -> None:
    answer = f'{{"scores": {scores}}}'.encode()
    if numbers:
        assert http_load.scores_of(answer)["scores_with_a_number"] == {"value": 1, "unit": "of 2 scores"}
    else:
        with pytest.raises(http_load.LoadError, match="none of them with a number"):
            http_load.scores_of(answer)


def test_without_a_promoted_model_nothing_is_measured(database_url: str) -> None:
    with pytest.raises(Unmeasured, match="promoted_champions is 0"):
        promoted_champions(database_url)


@dg.op
def plain() -> int:
    return sum(range(1000))


@dg.op(out={"first": dg.Out(), "second": dg.Out()})
def yielding() -> Iterator[dg.Output[int]]:
    yield dg.Output(1, "first")
    yield dg.Output(2, "second")


@dg.job(executor_def=dg.in_process_executor)
def toy() -> None:
    plain()
    yielding()


def test_a_tick_and_its_report() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        found = ticks.report([ticks.run_tick(toy, instance, None) for _ in range(3)])
    assert found["ticks"] == 3
    _positive(found, "s", "wall_time", "sum_of_bodies", "dagster_overhead")
    _positive(found, "times", "wall_time_to_sum_of_bodies")
    assert sum(found["share_of_bodies"]["values"].values()) == pytest.approx(100, abs=0.1)
    assert set(found["body_of_each_step"]["values"]) == set(found["each_step_as_dagster_times_it"]["values"]) == {
        "plain", "yielding",
    }  # fmt: skip
    assert found["wall_time"]["value"] > found["sum_of_bodies"]["value"]


def test_a_body_that_fails_is_told_and_leaves_dagster_as_it_was() -> None:
    before = compute_generator.invoke_compute_fn

    @dg.op
    def failing() -> None:
        raise ZeroDivisionError("no")

    @dg.job(executor_def=dg.in_process_executor)
    def broken() -> None:
        failing()

    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(ZeroDivisionError):
        ticks.run_tick(broken, instance, None)
    assert compute_generator.invoke_compute_fn is before


def test_only_the_newest_part_is_stored_and_never_asked_beyond(warehouse: Warehouse, tmp_path: Path) -> None:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    market = open_market(settings)
    rows = recent.store_newest(settings, warehouse, market, share=0.002)
    stored = [
        warehouse.rows(f"select count(*) as n, min(ts) as first from raw.{dataset.value}")[0]
        for dataset in keys.INGESTED
    ]
    assert rows == sum(row["n"] for row in stored) > 0
    span = market.history_end() - market.history_start()
    assert all(row["first"] >= market.history_end() - span * 0.002 for row in stored)
    assert warehouse.rows("select count(*) as n from ops.gap_scans")[0]["n"] > 0
    assert recent.copy_promotions(warehouse, warehouse) == 0


def test_the_clock_moves_by_whole_hours(warehouse: Warehouse, database_url: str, tmp_path: Path) -> None:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    market = open_market(settings)
    recent.store_newest(settings, warehouse, market, share=0.0005)
    market_time.advance(database_url, hours=3)
    moved = warehouse.clock().anchor
    assert moved is not None
    assert (moved - market.history_end()).total_seconds() == 3 * 3600


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    first_takes_s = 0.0  # of `/slow`

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(_Answers.first_takes_s)
            _Answers.first_takes_s = 0.0
        self.send_response(503 if self.path == "/gone" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_requests_are_counted_and_timed(port: int) -> None:
    found = http_load.report(http_load.ask("127.0.0.1", port, "/ok", requests=20))
    assert found["requests"] == {"value": 20, "unit": "requests"}
    _positive(found, "requests/s", "rate")
    _positive(found, "ms", "p50", "p99")
    assert found["p50"]["value"] <= found["p99"]["value"]
    assert http_load.ask("127.0.0.1", port, "/ok", seconds=0.05)


def test_an_answer_that_is_not_the_data_is_no_figure(port: int) -> None:
    with pytest.raises(http_load.LoadError, match="GET /gone answered 503"):
        http_load.ask("127.0.0.1", port, "/gone", requests=1)


def test_requests_at_a_rate(port: int) -> None:
    spent = http_load.at_rate("127.0.0.1", port, "/ok", rate=200, seconds=0.2, connections=1)
    assert len(spent) == 40
    assert min(spent) > 0
    assert list(http_load.percentiles(spent)) == ["p50", "p95", "p99", "max"]


def test_a_server_that_stands_still_is_charged_for_all_that_was_due(port: int) -> None:
    """The first answer takes a fifth of a second: what was due meanwhile waited for the rest of it, at the least."""
    still_s, rate = 0.2, 100
    _Answers.first_takes_s = still_s
    spent = http_load.at_rate("127.0.0.1", port, "/slow", rate=rate, seconds=0.3, connections=1)
    assert [n for n, seconds in enumerate(spent) if seconds < still_s - n / rate] == []


def test_a_refusal_at_a_rate_ends_it(port: int) -> None:
    with pytest.raises(http_load.LoadError, match="GET /gone answered 503"):
        http_load.at_rate("127.0.0.1", port, "/gone", rate=1, seconds=3600, connections=1)


def test_bodies_are_posted(port: int) -> None:
    spent = http_load.post("127.0.0.1", port, "/ok", [{"seed": 1}, {"seed": 2}])
    assert len(spent) == 2
    with pytest.raises(http_load.LoadError, match="POST /gone answered 503"):
        http_load.post("127.0.0.1", port, "/gone", [{}])


def test_the_bare_route_answers() -> None:
    with TestClient(bare_app.create_app()) as client:
        assert client.get(http_load.BARE_PATH).json() == {"ok": True}


def test_the_end_of_a_child_is_measured(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "block = bytearray(200_000_000); print('done')")
    ended = measured.run(program, {}, tmp_path / "log")
    assert ended.seconds > 0
    assert 200 < ended.peak_rss_mb < 100_000


def test_a_failed_child_says_why(tmp_path: Path) -> None:
    with pytest.raises(measured.ChildFailed, match="exit code 3: went wrong"):
        measured.run((sys.executable, "-c", "print('went wrong'); raise SystemExit(3)"), {}, tmp_path / "log")


def test_a_child_ends_with_its_block(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "import time; time.sleep(600)")
    with pytest.raises(KeyboardInterrupt), measured.child(program, {}, tmp_path / "log") as started:
        raise KeyboardInterrupt
    assert started.process.returncode is not None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0), (3.0, 3), (123456.7, 123457), (12.34567, 12.35), (0.00012345, 0.0001234), (math.nan, None)],
)
def test_figures_have_four_digits(value: float, expected: float | None) -> None:
    assert figures.figure(value, "s") == {"value": expected, "unit": "s"}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.99, 10), (0.1, 1), (1.0, 10)])
def test_percentiles_by_nearest_rank(share: float, expected: int) -> None:
    assert figures.percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == expected


def test_a_series_is_its_median_with_all_runs() -> None:
    assert figures.series([3.0, 1.0, 2.0], "s") == {"value": 2, "unit": "s", "runs": [3, 1, 2]}
    assert figures.ratio(6.0, 3.0) == {"value": 2, "unit": "times"}
    assert figures.ratio(6.0, 0.0)["value"] is None
