"""Whole passes on a real database: found once, told once, also by two processes; nothing is lost, nothing floods."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from keeper.alerts.alert import Alert, AlertName, Report, Severity
from keeper.alerts.episodes import SETTLE
from models.contracts.market import DataMode
from orchestration.alerts import facts, ledger, outbox
from orchestration.alerts.channels.interface import Channel, ChannelError, Message
from orchestration.alerts.channels.log import LogChannel
from orchestration.alerts.checking import check, note_run
from orchestration.alerts.config import AlertConfig
from orchestration.alerts.delivery import Told, deliver, has_messages
from orchestration.alerts.ledger import record, standing
from orchestration.alerts.scrub import scrubber
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.warehouse_tables import Tables
from orchestration.resources.workspace import Workspace
from orchestration.settings import Secret, load_settings
from tests.orchestration.sources.loopback import Canned, serving

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAME = AlertName.RUN_FAILED
LOOKED = frozenset({NAME.value})


@pytest.fixture
def tables(database_url: str) -> Iterator[Tables]:
    made = Tables.connect(database_url)
    yield made
    made.close()


def an_alert(scope: str = "training", evidence: str = "run 1", severity: Severity = Severity.WARNING) -> Alert:
    return Alert(NAME, severity, scope, f"job {scope} failed", T0, {"run_id": evidence}, evidence)


def look(tables: Tables, minute: float, *alerts: Alert) -> list[str]:
    now = T0 + timedelta(minutes=minute)
    return [change.event.value for change in record(tables, Report(alerts, LOOKED), now, DataMode.SIMULATED)]


@dataclass
class Ear(Channel):
    """Hears, or refuses while `error` is set."""

    name: str = "webhook"
    error: Exception | None = None
    heard: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.error is not None:
            raise self.error
        self.heard.append(message)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.heard]


def tell(tables: Tables, minute: float, *ears: Ear, an_hour: int = 20, least: Severity = Severity.INFO) -> list[Told]:
    return deliver(tables, AlertConfig(ears, least, an_hour), "simulated", lambda: T0 + timedelta(minutes=minute))


def test_an_episode_from_the_first_word_to_the_last(tables: Tables) -> None:
    ear = Ear()
    for minute, evidence in ((0, "run 1"), (1, "run 1"), (2, "run 2")):
        look(tables, minute, an_alert(evidence=evidence))
        tell(tables, minute, ear)
    assert ear.titles == ["[WARNING] job training failed"]
    assert look(tables, 10) == ["cleared"]
    tell(tables, 10, ear)
    assert len(ear.heard) == 1, "a recovery has to last"
    for _ in range(2):
        tell(tables, 10 + SETTLE.total_seconds() / 60, ear)
    assert ear.titles[1:] == ["[OK] over: job training failed"]
    assert "until 2026-01-01 12:10 UTC, 2 times" in ear.heard[1].body
    assert standing(tables) == []
    assert [row["event"] for row in standing(tables, also_over=True)] == ["cleared"]
    assert look(tables, 20, an_alert(evidence="run 2")) == ["raised"]


def test_what_a_message_holds(tables: Tables) -> None:
    ear = Ear()
    look(tables, 0, an_alert())
    tell(tables, 0, ear)
    document = ear.heard[0].document
    assert {name: document[name] for name in ("name", "scope", "severity", "event", "facts", "runbook", "market")} == {
        "name": "run_failed", "scope": "training", "severity": "warning", "event": "raised",
        "facts": {"run_id": "run 1"}, "runbook": "docs/runbook.md#run_failed", "market": "simulated",
    }  # fmt: skip
    assert "what to do: docs/runbook.md#run_failed" in ear.heard[0].body


def test_a_recovery_that_does_not_last_is_told_to_nobody(tables: Tables) -> None:
    ear = Ear()
    look(tables, 0, an_alert())
    tell(tables, 0, ear)
    assert [look(tables, 5), look(tables, 6, an_alert())] == [["cleared"], ["repeated"]]
    tell(tables, 30, ear)
    assert len(ear.heard) == 1
    assert standing(tables)[0]["count"] == 2


@pytest.mark.parametrize("error", [ChannelError("HTTP 500"), ValueError("a defect that quotes planted-key")])
def test_a_channel_that_fails_loses_nothing_and_stops_nobody(tables: Tables, error: Exception) -> None:
    broken, well = Ear("slack", error), Ear("webhook")
    look(tables, 0, an_alert("a"), an_alert("b"))
    told = tell(tables, 0, broken, well)
    assert (told[0].messages, told[0].error is None, told[1].messages) == (0, False, 2)
    assert "planted-key" not in str(told[0].error)
    tell(tables, 1, broken, well)
    broken.error = None
    tell(tables, 2, broken, well)
    assert sorted(broken.titles) == ["[WARNING] job a failed", "[WARNING] job b failed"]
    assert len(well.heard) == 2, "the others hear it once"
    rows = tables.rows("select channel, outcome, count(*) as n from ops.alert_deliveries group by 1, 2 order by 1, 2")
    assert [(r["channel"], r["outcome"], r["n"]) for r in rows] == [
        ("slack", "failed", 2), ("slack", "sent", 2), ("webhook", "sent", 2),
    ]  # fmt: skip


def test_a_message_that_a_channel_never_takes_holds_back_no_other(tables: Tables) -> None:
    class Picky(Ear):
        def send(self, message: Message) -> None:
            if "job bad failed" in message.title:
                raise ChannelError("HTTP 400: refused, look at the address and its key")
            super().send(message)

    ear = Picky()
    alerts = [an_alert("bad", severity=Severity.CRITICAL), *(an_alert(f"job{n}") for n in range(6))]
    look(tables, 0, *alerts)
    tell(tables, 0, ear, an_hour=10)
    assert ear.titles == [], "the worst first"
    tell(tables, 1, ear, an_hour=10)
    assert len(ear.titles) == 4
    assert ear.titles[-1] == "[WARNING] 3 further alerts of market simulated: 3 warning"
    look(tables, 2, *alerts, an_alert("late"))
    tell(tables, 62, ear, an_hour=10)
    assert ear.titles[-1] == "[WARNING] job late failed"


def test_a_slow_channel_keeps_the_next_one_waiting_for_one_turn(tables: Tables) -> None:
    moments = iter(T0 + timedelta(seconds=20 * n) for n in range(99))
    ear = Ear()
    look(tables, 0, *(an_alert(f"job{n}") for n in range(9)))
    told = deliver(tables, AlertConfig((ear,), Severity.INFO, 20), "simulated", lambda: next(moments))
    assert (told[0].messages, told[0].error) == (2, None)
    tell(tables, 2, ear)
    assert len(set(ear.titles)) == len(ear.titles) == 9


def test_runs_are_asked_for_less_often_while_a_channel_fails(tables: Tables) -> None:
    ear = Ear(error=ChannelError("cannot connect"))
    config = AlertConfig((ear,), Severity.INFO, 20)
    asked = []
    look(tables, 0, an_alert())
    for minute in range(30):
        if has_messages(tables, config, T0 + timedelta(minutes=minute)):
            asked.append(minute)
            tell(tables, minute, ear)
    assert asked == [0, 1, 2, 4, 8, 13, 18, 23, 28]
    ear.error = None
    tell(tables, 30, ear)
    look(tables, 31, an_alert("other"))
    assert has_messages(tables, config, T0 + timedelta(minutes=31))


def test_what_a_clock_that_was_ahead_stored_is_told_and_reminded_of(tables: Tables) -> None:
    ear = Ear()
    look(tables, 9000, an_alert())
    tell(tables, 0, ear)
    assert ear.titles == ["[WARNING] job training failed"]
    events = [look(tables, minute, an_alert()) for minute in (1, 2, 360, 361)]
    assert events == [["repeated"], [], [], ["repeated"]]
    tell(tables, 361, ear)
    assert len(ear.titles) == 2


def test_after_an_outage_of_a_channel_only_the_newest_word_is_sent(tables: Tables) -> None:
    ear = Ear(error=ChannelError("cannot connect"))
    look(tables, 0, an_alert())
    tell(tables, 0, ear)
    look(tables, 1, an_alert(severity=Severity.CRITICAL))
    look(tables, 9)
    ear.error = None
    tell(tables, 60, ear)
    assert ear.titles == ["[OK] over: job training failed"]
    tell(tables, 61, ear)
    assert len(ear.heard) == 1


def test_a_storm_is_bounded_and_nothing_of_it_is_lost(tables: Tables) -> None:
    ear = Ear()
    look(tables, 0, *(an_alert(f"job{n}") for n in range(50)), an_alert("z", severity=Severity.CRITICAL))
    tell(tables, 0, ear, an_hour=10)
    assert ear.titles[0] == "[CRITICAL] job z failed"
    assert (len(ear.heard), ear.titles[-1]) == (
        5,
        "[WARNING] 47 further alerts of market simulated: 47 warning",
    )
    told = tables.rows("select count(distinct event_id) as n from ops.alert_deliveries where outcome <> 'failed'")
    assert told[0]["n"] == 51
    assert tell(tables, 1, ear, an_hour=10) == [Told("webhook", 0, 0)]


def test_what_is_not_grave_enough_reaches_the_table_alone(tables: Tables) -> None:
    ear = Ear()
    look(tables, 0, an_alert("a"), an_alert("b", severity=Severity.CRITICAL))
    tell(tables, 0, ear, least=Severity.CRITICAL)
    assert ear.titles == ["[CRITICAL] job b failed"]
    assert len(standing(tables)) == 2


def test_a_run_is_needed_only_for_a_channel_beyond_this_machine(tables: Tables) -> None:
    local, away = (AlertConfig((channel,), Severity.INFO, 20) for channel in (LogChannel(), Ear()))
    look(tables, 0, an_alert())
    assert [has_messages(tables, config, T0) for config in (local, away)] == [False, True]
    assert deliver(tables, away, "simulated", lambda: T0, only_local=True) == []
    deliver(tables, away, "simulated", lambda: T0)
    assert not has_messages(tables, away, T0)


def together(*work: Callable[[], object]) -> list[object]:
    """Run at once, each in a thread; results in order."""
    gate, results = threading.Barrier(len(work)), [None] * len(work)

    def start(index: int) -> None:
        gate.wait()
        results[index] = work[index]()

    threads = [threading.Thread(target=start, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(results)


def test_two_processes_raise_and_clear_once(tables: Tables, database_url: str) -> None:
    other = Tables.connect(database_url)
    try:
        for episode in range(5):
            for alerts, event in (((an_alert(),), "raised"), ((), "cleared")):
                made = together(*(lambda t=t, a=alerts, e=episode: look(t, e * 60, *a) for t in (tables, other)))  # type: ignore[misc]
                assert sorted(made, key=str) == [[event], []] or sorted(made, key=str) == [[], [event]]
    finally:
        other.close()
    rows = tables.rows("select event, count(*)::int as n from ops.alert_events group by event order by event")
    assert [(row["event"], row["n"]) for row in rows] == [("cleared", 5), ("raised", 5)]


def test_two_processes_tell_once(tables: Tables, database_url: str) -> None:
    other = Tables.connect(database_url)
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Ear):
        def send(self, message: Message) -> None:
            inside.set()
            go_on.wait()
            super().send(message)

    slow, quick = Slow(), Ear()
    look(tables, 0, an_alert())
    try:
        first = threading.Thread(target=lambda: tell(tables, 0, slow))
        first.start()
        inside.wait()
        assert tell(other, 0, quick) == [], "the channel has its turn elsewhere"
        go_on.set()
        first.join()
        assert tell(other, 0, quick) == [Told("webhook", 0, 0)]
    finally:
        other.close()
    assert (len(slow.heard), len(quick.heard)) == (1, 0)


def test_the_database_itself_refuses_a_second_raise_and_a_second_telling(tables: Tables, database_url: str) -> None:
    look(tables, 0, an_alert())
    tell(tables, 0, Ear())
    engine = create_engine(database_url, poolclass=NullPool)
    columns = (
        "dedup_key, name, scope, event, episode, n, count, severity, summary, facts, evidence, runbook, since, at, "
        "due_at, data_mode"
    )
    for statement, constraint in (
        (f"insert into ops.alert_events ({columns}) select {columns} from ops.alert_events", "episode_n"),
        (
            "insert into ops.alert_deliveries (event_id, channel, outcome, message_id, at) "
            "select event_id, channel, outcome, message_id, at from ops.alert_deliveries",
            "told_once",
        ),
    ):
        with engine.connect() as connection, pytest.raises(IntegrityError, match=constraint):
            connection.execute(text(statement))


def test_a_writer_that_was_stopped_holds_up_nobody_for_ever(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_LOCK_WAIT", "50ms")
    with tables.engine.connect() as stopped:
        stopped.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ledger._LOCK})
        with pytest.raises(DatabaseError, match="lock timeout"):
            look(tables, 0, an_alert())
    assert look(tables, 1, an_alert()) == ["raised"]


def test_the_lock_of_a_channel_ends_with_its_turn(tables: Tables) -> None:
    with outbox.turn(tables, "a") as first, outbox.turn(tables, "a") as second, outbox.turn(tables, "b") as other:
        assert (first, second, other) == (True, False, True)
    with outbox.turn(tables, "a") as again:
        assert again


def test_the_end_of_a_run_raises_and_clears(workspace: Workspace) -> None:
    def ended(run: str, ok: bool, job: str = "training") -> list[str]:
        return [c.event.value for c in note_run(workspace, job, run, ok, None if ok else "boom", T0)]

    assert [ended("1", True), ended("2", False), ended("2", False), ended("3", False)] == [
        [], ["raised"], [], ["repeated"],
    ]  # fmt: skip
    assert ended("4", True, "keeper") == []
    assert ended("5", True) == ["cleared"]


PLANTED = "plantedtoken0123456789"


def test_no_secret_reaches_the_database_a_message_or_a_log(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """Secrets planted in the settings and in what others say; then every row and every line is searched."""
    caplog.set_level(logging.DEBUG)
    with serving(Canned(f"no {PLANTED}", 500)) as server:
        secrets = {"ALERT_SLACK_URL": f"{server.url}/{PLANTED}", "FIXER_API_KEY": PLANTED}
        options = {"BALLAST_ALERT_CHANNELS": "slack,log"}
        workspace.__dict__["settings"] = load_settings(workspace.variables | secrets | options)
        said = f"GET https://u:{PLANTED}@h/?key={PLANTED} failed, postgresql://bob:hunter22@db/x"
        note_run(workspace, "training", "r", False, said, datetime.now(UTC))
        from orchestration.alerts.config import alert_config

        config = alert_config(workspace.settings, sleep=lambda _: None)
        done = check(workspace, config)
    assert [told.error for told in done.told] == ["HTTP 500", None]
    stored = repr([workspace.warehouse.rows(f"select * from ops.alert_{part}") for part in ("events", "deliveries")])
    everything = f"{stored} {caplog.text} {done} {server.asked[0].body}"
    assert "job training failed: GET" in everything
    assert PLANTED not in everything.replace(server.asked[0].path, "")
    assert "hunter22" not in everything


@pytest.mark.parametrize("said", ["nul \x00 inside", "half a pair \ud800", '{"NaN": NaN}', ""])
def test_no_text_keeps_alerts_from_being_stored(tables: Tables, said: str) -> None:
    odd = Alert(NAME, Severity.WARNING, "a", f"job a failed: {said}", T0, {"error": said}, said)
    assert look(tables, 0, odd, an_alert("b")) == ["raised", "raised"]
    assert look(tables, 1, odd, an_alert("b")) == []


def test_an_error_without_words_blinds_nobody(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: Tables) -> None:
        raise ValueError

    monkeypatch.setattr(facts, "_jobs", silent)
    assert [group.error for group in facts.read_facts(tables).unread] == ["ValueError: no words"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("key=s3cr/t!", "key=***"),
        ("key=s3cr%2Ft%21", "key=***"),
        ("https://u:p@host/x and http://host/y", "https://***@host/x and http://host/y"),
        ("a@b.org wrote", "a@b.org wrote"),
        ("cut off: s3cr/t", "cut off: ***"),
        ("cut off: s3cr%2Ft", "cut off: ***"),
        ("cut off: s3cr", "cut off: s3cr"),  # so few letters are anybody's
    ],
)
def test_scrubbing(said: str, left: str) -> None:
    assert scrubber([Secret("s3cr/t!"), Secret("a")])(said) == left


def facts_of(rows: list[dict[str, Any]]) -> set[str]:
    return {row["dedup_key"] for row in rows}


def test_a_broken_log_is_found_and_does_not_blind_the_rest(workspace: Workspace) -> None:
    engine = workspace.warehouse.engine
    with engine.begin() as connection:
        connection.execute(
            text("insert into keeper.events (kind, body, prev_hash, hash) values ('x', '{}', 'no', 'chain')")
        )
        connection.execute(
            text("insert into keeper.control (scope, mode, reason, set_by) values ('mixed', 'halt', 'why', 'keeper')")
        )
    check(workspace, AlertConfig((), Severity.INFO, 20))
    assert facts_of(standing(workspace.warehouse)) == {"event_log_broken:keeper.events", "keeper_halted:mixed"}


def test_a_table_that_cannot_be_read_is_told_and_ends_nothing(workspace: Workspace) -> None:
    quiet = AlertConfig((), Severity.INFO, 20)
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text("insert into keeper.control (scope, mode, reason, set_by) values ('mixed', 'halt', 'why', 'keeper')")
        )
    check(workspace, quiet)
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(text("alter table keeper.control rename to lost"))
    check(workspace, quiet)
    assert facts_of(standing(workspace.warehouse)) == {"check_failed:switches", "keeper_halted:mixed"}
