"""The table at the end of `make run`: data, scores, vaults, and where to look next. Rendering only.

Readable at 120 columns with sixty series: two narrow tables grouped by kind instead of one wide one, both horizons
side by side, long reasons cut (the full text is in the API and the warehouse).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Engine

from models.contracts.clock import MarketClock
from orchestration.local import report_queries as queries
from orchestration.local.services import service_table
from orchestration.settings import Settings

KIND_TITLES = {
    "candles": "coins", "ranges": "FX ranges", "fixings": "FX fixings",
    "street": "street rates", "vault": "vaults",
}  # fmt: skip
_STATUS_STYLE = {"ok": "green", "degraded": "yellow"}
_NONE = "-"
_ID_WIDTH = 30  # a vault is named by its contract, 56 characters that would squeeze every number beside it
_STATUS_WIDTH = 40  # what 120 columns leave for it beside the longest series id


def day(moment: datetime | None) -> str:
    return _NONE if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d}"


def minute(moment: datetime | None) -> str:
    return _NONE if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def age(seconds: int | None) -> str:
    """Two digits and a unit: `45 min`, `13 h`, `9 d`."""
    if seconds is None:
        return _NONE
    if seconds < 5400:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400:,} d"


def count(number: int) -> str:
    return f"{number:,}" if number else _NONE


def number(value: float | None, digits: int = 0, factor: float = 1.0) -> str:
    return _NONE if value is None else f"{value * factor:.{digits}f}"


def table_of(
    title: str, left: Sequence[str], right: Sequence[str] = (), last: Sequence[str] = (), gap: int = 1
) -> Table:
    """An empty table in the house's look: text columns left, numbers right, text again; `gap` + 1 blanks between."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
        padding=(0, gap, 0, 0),
    )  # fmt: skip
    for header in left:
        table.add_column(header, no_wrap=True)
    for header in right:
        table.add_column(header, no_wrap=True, justify="right")
    for header in last:
        table.add_column(header, no_wrap=True)
    return table


def data_table(lines: Sequence[queries.SeriesLine]) -> Table:
    """One row a series, grouped by kind; `missing` counts slots, `age` is market time since the newest row."""
    numbers = ("rows", "first", "last", "gaps", "missing", "open", "held", "flagged", "rejected", "age")
    table = table_of("Data", ("series", "every"), numbers, gap=0)
    for kind, group in groupby(lines, key=lambda line: line.kind):
        table.add_section()
        table.add_row(f"[dim]{KIND_TITLES.get(kind, kind)}[/]")
        for line in group:
            style = "yellow" if line.stale else ""
            table.add_row(
                escape(cut(line.id, _ID_WIDTH)), "each" if line.interval == "irregular" else line.interval,
                count(line.rows), day(line.first),
                day(line.last), count(line.outages), count(line.missing), count(line.open_gaps),
                count(line.held), count(line.flagged), count(line.rejected),
                f"[{style}]{age(line.age_s)}[/]" if style else age(line.age_s),
            )  # fmt: skip
    return table


def _pair(values: Iterable[str]) -> str:
    return " / ".join(values)


def score_table(lines: Sequence[queries.ScoreLine]) -> Table:
    """One row a subject; the two horizons share it. Units: per cent for sigma and VaR."""
    table = table_of(
        "Scores (short / long horizon; p: spike probability; sigma a year and one-day VaR 99 in %)",
        ("subject",), ("score", "p", "sigma", "VaR 99"), ("as of", "status"),
    )  # fmt: skip
    order = list(KIND_TITLES)
    ranked = sorted(lines, key=lambda line: (order.index(line.kind) if line.kind in order else 99, line.subject))
    for kind, of_kind in groupby(ranked, key=lambda line: line.kind):
        members = list(of_kind)
        days = _pair(str(each) for each in sorted({line.horizon_days for line in members}))
        table.add_section()
        table.add_row(f"[dim]{KIND_TITLES.get(kind, kind)}, {days} days[/]")
        for subject, group in groupby(members, key=lambda line: line.subject):
            table.add_row(escape(cut(subject, _ID_WIDTH)), *_score_cells(list(group)))
    return table


def _score_cells(pair: Sequence[queries.ScoreLine]) -> list[str]:
    worst = next((line for line in pair if line.status != "ok"), pair[0])
    style = _STATUS_STYLE.get(worst.status, "red")
    return [
        _pair(number(line.score) for line in pair),
        _pair(number(line.p_spike, 2) for line in pair),
        number(pair[0].sigma_ann, 1, 100),
        number(pair[0].var99, 2, 100),
        day(worst.as_of),
        f"[{style}]{escape(cut(status_text(worst), _STATUS_WIDTH))}[/]",
    ]


def status_text(line: queries.ScoreLine) -> str:
    """`ok`, or the status with its reasons."""
    return ": ".join([line.status.replace("_", " "), "; ".join(line.reasons)] if line.reasons else [line.status])


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def champion_table(lines: Sequence[queries.Champion]) -> Table:
    table = table_of("Champions", ("panel", "days", "algorithm", "version"))
    table.add_column("why", overflow="fold")
    for line in lines:
        table.add_row(
            escape(line.panel), str(line.horizon_days), escape(line.algorithm), escape(line.model_version[:16]),
            escape(line.reason),
        )  # fmt: skip
    return table


def weights(values: Mapping[str, Any] | None) -> str:
    """`USDC 60.0 %, BTC 40.0 %`, largest first."""
    if not values:
        return _NONE
    ranked = sorted(values.items(), key=lambda item: (-float(item[1]), item[0]))
    return ", ".join(f"{symbol} {float(weight):.1%}" for symbol, weight in ranked)


def vault_text(line: queries.VaultLine) -> list[str]:
    """The story of one vault in a few lines."""
    told = [
        f"[bold]vault {escape(line.vault_id)}[/]: score {number(line.score)}, {line.state.replace('_', ' ')}",
        f"  target  {weights(line.weights)}",
        f"          because {escape('; '.join(line.reasons)) or 'no reason was recorded'}",
    ]
    if line.verdict is None:
        return [*told, "  keeper  has not decided yet"]
    told.append(f"  keeper  {line.verdict} ({line.phase}): {escape('; '.join(line.decision_reasons))}")
    if line.intent_state is not None:
        where = f", ledger {line.ledger:,}" if line.ledger is not None else ""
        why = f": {escape(line.intent_reason)}" if line.intent_reason else ""
        told.append(
            f"  chain   {line.intent_state}{why}{where}{f', transaction {line.tx_hash}' if line.tx_hash else ''}"
        )
    if line.snapshot_weights is not None:
        worth = f", worth {float(line.tvl_usd):,.0f} USD" if line.tvl_usd is not None else ""
        told.append(f"  holds   {weights(line.snapshot_weights)}{worth}")
    return told


def headline(market: queries.MarketLine | None, settings: Settings, wall: datetime) -> str:
    if market is None:
        return f"Ballast, market {settings.market.name}: nothing has been played yet (`make run`)"
    clock = "wall time"
    if market.clock_anchor is not None:
        moment = MarketClock(market.clock_anchor, market.wall_anchor, market.clock_speed or 1.0).now(wall)
        running = f", running at {market.clock_speed:g}x" if market.wall_anchor else ""
        clock = f"{minute(moment)} UTC{running}"
    warning = "" if market.data_mode == "live" else f" - every number below rests on {market.data_mode} data"
    return f"Ballast, market {market.name}, clock {clock}{warning}"


def next_steps(settings: Settings) -> list[str]:
    pages = ", ".join(f"{item.title} {item.url}" for item in service_table(settings) if item.page and item.url)
    return [
        "Where to look next:",
        f"  make up                 {pages}",
        "  ballast gaps            outages of each series; --all lists every one",
        "  ballast quality report  what was held, flagged or rejected; --all lists each row",
        "  ballast models list     champions and what they had to beat",
        f"  files                   {settings.workspace}",
    ]


def render(settings: Settings, engine: Engine, console: Console) -> None:
    """Print the state of this market. Reads only."""
    with engine.connect() as connection:
        market = queries.market_line(connection)
        series, scores = queries.series_lines(connection), queries.score_lines(connection)
        champions, vaults = queries.champions(connection), queries.vault_lines(connection)
    console.print()
    console.print(f"[bold]{escape(headline(market, settings, datetime.now(UTC)))}[/]", highlight=False, soft_wrap=True)
    for table, lines in (
        (data_table(series), series), (champion_table(champions), champions), (score_table(scores), scores),
    ):  # fmt: skip
        if lines:
            console.print()
            console.print(table)
    console.print()
    for vault in vaults:
        for told in vault_text(vault):
            console.print(told, highlight=False, soft_wrap=True)
    console.print()
    for told in next_steps(settings):
        console.print(escape(told), highlight=False, soft_wrap=True)
