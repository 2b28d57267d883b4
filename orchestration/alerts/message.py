"""What a person reads: one event as a message, or many in a summary. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from keeper.alerts.alert import Severity
from keeper.alerts.episodes import Event
from orchestration.alerts.channels.interface import Message

_DOCUMENT = ("id", "name", "scope", "dedup_key", "event", "severity", "summary", "facts", "count", "since", "at",
             "runbook", "data_mode")  # fmt: skip
_VERB = {Event.RAISED: "", Event.ESCALATED: "worse: ", Event.REPEATED: "still: ", Event.CLEARED: "over: "}
_LISTED = 20
_FACTS = 8
_VALUE = 200


def message_of(event: Mapping[str, Any], market: str) -> Message:
    """Message about one row of `ops.alert_events`. `market`: which market speaks."""
    kind, severity = Event(event["event"]), Severity(event["severity"])
    over = kind is Event.CLEARED
    word = "OK" if over else severity.value.upper()
    lines = [f"{event['name']} ({event['scope']}), market {market}", _since(event, over)]
    if not over:
        facts = [f"{name}: {_short(value)}" for name, value in event["facts"].items() if value is not None]
        lines += [*facts[:_FACTS], f"what to do: {event['runbook']}"]
    document = {name: _plain(event[name]) for name in _DOCUMENT} | {"market": market, "kind": "alert"}
    return Message(f"[{word}] {_VERB[kind]}{event['summary']}", "\n".join(lines), severity, over, document)


def summary_of(events: Sequence[Mapping[str, Any]], market: str) -> Message:
    """One message about several events, worst first as given."""
    open_ones = [event for event in events if event["event"] != Event.CLEARED]
    worst = max((Severity(e["severity"]) for e in open_ones), key=lambda s: s.rank, default=Severity.INFO)
    counts = [f"{n} {s.value}" for s in reversed(Severity) if (n := sum(e["severity"] == s for e in open_ones))]
    over = len(events) - len(open_ones)
    told = ", ".join([*counts, *([f"{over} over"] if over else [])])
    lines = [f"{'over' if e['event'] == Event.CLEARED else e['severity']}: {e['summary']}" for e in events[:_LISTED]]
    if len(events) > _LISTED:
        lines.append(f"and {len(events) - _LISTED} more")
    lines.append("all of them: ballast alerts list")
    document = {
        "kind": "summary", "market": market, "severity": worst.value,
        "alerts": [{name: _plain(event[name]) for name in _DOCUMENT} for event in events],
    }  # fmt: skip
    word = worst.value.upper() if open_ones else "OK"
    title = f"[{word}] {len(events)} further alerts of market {market}: {told}"
    return Message(title, "\n".join(lines), worst, not open_ones, document)


def trial_message(channel: str, market: str, at: datetime) -> Message:
    """What `ballast alerts test` sends."""
    body = f"market {market}, channel {channel}, {at:%Y-%m-%d %H:%M} UTC\nNothing is wrong: somebody tries the channel."
    document = {"kind": "test", "market": market, "severity": Severity.INFO.value, "at": at.isoformat()}
    return Message("[TEST] Ballast can reach you here", body, Severity.INFO, False, document)


def _since(event: Mapping[str, Any], over: bool) -> str:
    times = f", {event['count']} times" if event["count"] > 1 else ""
    until = f" until {event['at']:%Y-%m-%d %H:%M}" if over else ""
    return f"since {event['since']:%Y-%m-%d %H:%M}{until} UTC{times}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
