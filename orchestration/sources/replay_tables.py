"""Rows of recordings in the columns of `raw.*`: names, identities and the moment each row could be known.

Here: pure frames in, frames out. A cell that cannot be what its column says makes its row a Reject; nothing is
repaired, rounded or dropped in silence. Not here: reading files, windows, the clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from models.contracts.market import COLUMNS, Dataset, RateKind, SourceRegime
from orchestration.sources.interface import Reject
from orchestration.sources.replay_files import FileKind, Recording
from orchestration.sources.replay_times import EPOCH, LAST, dreamt, nominal_date, possible
from orchestration.universe_schema import ReplayRules

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
NOT_POSITIVE = r"-.*|[+]?0*\.?0*(?:[eE].*)?"
INTERVAL = r"[1-9]\d*[mhd]"
DATE = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
HOUR = pd.Timedelta(hours=1)
LARGEST = 1e15  # no price, rate or volume of one bar reaches it, in any unit
UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86400}
# BTCUSDT, BTC-PERP, BTC-USDT-SWAP and BTCUSD_PERP are all futures of BTC.
FUTURES_TAIL = re.compile(r"[-_/]?(?:USDT|USDC|BUSD|USD)?(?:[-_](?:PERP|SWAP|PERPETUAL))?(?::USDT)?$")


@dataclass(frozen=True, slots=True)
class PlacedReject:
    """A reject with the moment it belongs to, so that it is reported by the window that covers it, once."""

    ts: pd.Timestamp
    available_at: pd.Timestamp
    reject: Reject


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one recording (columns of its dataset that it has, plus `base`, `quote`), and what was refused."""

    frame: pd.DataFrame
    rejects: list[PlacedReject] = field(default_factory=list)


def interval_seconds(interval: str) -> int:
    """Length of an interval; a day for `irregular`."""
    return 86400 if interval == "irregular" else int(interval[:-1]) * UNIT_SECONDS[interval[-1]]


def futures_coin(symbol: str) -> str:
    return FUTURES_TAIL.sub("", symbol.upper()) or symbol.upper()


def candle_pair(stem: str, rules: ReplayRules) -> tuple[str, str]:
    """Base and quote of a candle file's name: `BTCNGN` is BTC in NGN, `BTC` is BTC in the default quote."""
    quote = next((q for q in rules.quotes if stem.endswith(q) and len(stem) > len(q)), None)
    return (stem.removesuffix(quote), quote) if quote else (stem, rules.default_quote)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the columns of one kind of file become columns of its dataset."""

    rename: dict[str, str]
    positive: tuple[str, ...]  # required, above zero
    numbers: tuple[str, ...]  # required, any sign
    optional: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    not_negative: tuple[str, ...] = ()  # of the optional ones
    identity: Callable[[pd.DataFrame, Recording, ReplayRules], dict[str, Any]] = lambda *_: {}


def _rate_identity(frame: pd.DataFrame, interval: str) -> dict[str, Any]:
    return {
        "series": frame["base"] + frame["quote"] + ":" + frame["source"],
        "interval": interval,
        "kind": RateKind.OFFICIAL.value,
        "side": "mid",
    }


def _street_identity(frame: pd.DataFrame, recording: Recording, rules: ReplayRules) -> dict[str, Any]:
    side = frame["side"].fillna("mid")
    suffix = (":" + side).where(side != "mid", "")
    return {
        "series": frame["base"] + frame["quote"] + ":" + frame["market"] + suffix,
        "interval": "irregular",
        "kind": RateKind.STREET.value,
        "side": side,
    }


def _candle_identity(frame: pd.DataFrame, recording: Recording, rules: ReplayRules) -> dict[str, Any]:
    stem, suffix = recording.part("stem"), recording.part("suffix")
    base, quote = candle_pair(stem, rules)
    series = f"{stem}:{suffix}" if suffix else stem
    return {"series": series, "interval": recording.part("interval"), "base": base, "quote": quote}


def _futures_identity(frame: pd.DataFrame) -> dict[str, Any]:
    coin = frame["symbol"].map(futures_coin, na_action="ignore")
    return {"series": coin + ":" + frame["exchange"], "base": coin, "quote": "USDT"}


_BAR = ("open", "high", "low")
_SHAPES: dict[FileKind, _Shape] = {
    FileKind.FX_DAILY: _Shape(
        {}, ("rate",), (), ("bid", "ask"), identity=lambda frame, *_: _rate_identity(frame, "1d")
    ),
    FileKind.FX_OHLC: _Shape(
        {"close": "rate"}, ("rate",), (), _BAR, identity=lambda frame, *_: _rate_identity(frame, "1d")
    ),
    FileKind.FX_BAD_DATES: _Shape(
        {"raw_date": "ts"}, ("rate",), (), identity=lambda frame, *_: _rate_identity(frame, "1d")
    ),
    FileKind.FX_HOURLY: _Shape(
        {}, ("rate",), (), ("bid", "ask"), identity=lambda frame, *_: _rate_identity(frame, "1h")
    ),
    FileKind.STREET: _Shape(
        {"tradable_base": "depth_base"}, ("rate",), (),
        ("open", "low", "high", "bid", "ask", "vwap", "mode_price", "depth_base", "hhi"), ("n_offers",),
        ("depth_base", "hhi"), identity=_street_identity,
    ),
    FileKind.CANDLES: _Shape(
        {}, (*_BAR, "close"), (), ("volume_base", "volume_quote"), ("trades",), ("volume_base", "volume_quote"),
        identity=_candle_identity,
    ),
    FileKind.FUNDING: _Shape({}, (), ("funding_rate",), identity=lambda frame, *_: _futures_identity(frame)),
    FileKind.OPEN_INTEREST: _Shape(
        {}, (), (), ("oi_base", "oi_usd"), (), ("oi_base", "oi_usd"), lambda frame, *_: _futures_identity(frame)
    ),
    FileKind.VAULT: _Shape(
        {"pps": "share_price"}, ("share_price",), (), ("tvl_usd",), ("ledger",), ("tvl_usd",),
        identity=lambda frame, *_: {"series": "vault:" + frame["vault_id"], "interval": "irregular",
                                    "base": frame["vault_id"], "quote": "USD"},
    ),
}  # fmt: skip


def rows_of(
    recording: Recording, raw: pd.DataFrame, ragged: list[str], rules: ReplayRules, today: datetime | None = None
) -> Rows:
    """The rows of one recording with `available_at`, and a Reject for each row that cannot be one.

    `today`: wall time, to tell a typing error from a recording that reaches into the future. Funding has no interval
    yet: it shows only in the whole of a series (`funding_intervals`).
    """
    kind, shape = recording.layout.kind, _SHAPES[recording.layout.kind]
    frame = raw.rename(columns=shape.rename)
    if "source" not in frame:
        frame["source"] = recording.name
    frame = frame.assign(**shape.identity(frame, recording, rules))
    if recording.layout.dataset is Dataset.FX_RATES:
        regime = frame.get("source_regime", pd.Series(None, index=frame.index, dtype="str"))
        frame["source_regime"] = regime.fillna(SourceRegime.FREE.value)
    text = frame["ts"].str.strip()
    ts = pd.to_datetime(text.where(text.str.fullmatch(DATE).fillna(False)), format="ISO8601", utc=True, errors="coerce")
    frame["ts"] = ts.astype("datetime64[us, UTC]").where(possible(ts) & ~dreamt(ts, today))
    frame["available_at"] = _available_at(frame, kind, rules, today)
    problem = _problems(frame, kind, shape)
    bad = problem["reason"].notna()
    rejects = _rejects(recording, raw[bad], frame[bad], text[bad], problem[bad], ragged, frame["ts"].max())
    return Rows(frame[~bad].reset_index(drop=True), rejects)


def _available_at(frame: pd.DataFrame, kind: FileKind, rules: ReplayRules, today: datetime | None) -> pd.Series:
    lag_of = {
        FileKind.FX_HOURLY: rules.kinds.hourly_rates,
        FileKind.STREET: rules.kinds.street,
        FileKind.CANDLES: rules.kinds.candles,
        FileKind.FUNDING: rules.kinds.funding,
        FileKind.OPEN_INTEREST: rules.kinds.open_interest,
        FileKind.VAULT: rules.kinds.vault,
    }.get(kind, rules.kinds.fixings)
    known = frame["ts"] + pd.Timedelta(seconds=lag_of.publication_lag_s)
    if lag_of.known_from == "close" and "interval" in frame:
        lengths = {i: interval_seconds(i) for i in frame["interval"].dropna().unique() if re.fullmatch(INTERVAL, i)}
        known += pd.to_timedelta(frame["interval"].map(lengths), unit="s").astype("timedelta64[us]")
    if kind is FileKind.FX_HOURLY:
        saved = pd.to_datetime(frame["committed_at"], format="ISO8601", utc=True, errors="coerce")
        known = saved.astype("datetime64[us, UTC]").where(possible(saved) & ~dreamt(saved, today)).fillna(known)
        known = known.where(~(known < frame["ts"]), frame["ts"])  # nothing is known before it happens
    return known


def _problems(frame: pd.DataFrame, kind: FileKind, shape: _Shape) -> pd.DataFrame:
    """Reason and detail of the first thing wrong with each row; null where nothing is."""
    reason = pd.Series(None, index=frame.index, dtype="object")
    detail = reason.copy()

    def mark(wrong: pd.Series, why: str, what: pd.Series | str) -> None:
        new = wrong & reason.isna()
        if new.any():
            reason[new] = why
            detail[new] = what[new] if isinstance(what, pd.Series) else what

    mark(frame["ts"].isna(), "impossible_date", "the date does not exist or is not YYYY-MM-DD[THH:MM:SSZ]")
    if kind is FileKind.CANDLES and len(frame):
        grid = min(pd.Timedelta(seconds=interval_seconds(str(frame["interval"].iloc[0]))), HOUR)
        mark(frame["ts"] != frame["ts"].dt.floor(grid), "impossible_date", "the bar does not open on its grid")
    for name in ("series", "source", "exchange", "interval"):
        if name in frame:
            mark(frame[name].isna(), "schema", f"{name} is missing")
            mark(frame[name].str.contains("\0", regex=False).fillna(False), "schema", f"{name} holds a zero byte")
    if kind is FileKind.OPEN_INTEREST:
        known = frame["interval"].str.fullmatch(INTERVAL).fillna(False)
        mark(~known, "schema", "interval is not a number of minutes, hours or days")
    if "side" in frame:
        mark(~frame["side"].isin(["mid", "buy", "sell"]), "schema", "side is not mid, buy or sell")
    if "source_regime" in frame:
        mark(~frame["source_regime"].isin([r.value for r in SourceRegime]), "schema", "source_regime is unknown")
    required = (*shape.positive, *shape.numbers)
    for name in (*required, *shape.optional, *shape.integers):
        if name not in frame or (name not in required and frame[name].isna().all()):
            continue
        cells = frame[name].str.strip()
        if name in shape.integers:
            cells = cells.str.replace(r"\.0*$", "", regex=True)
        frame[name] = cells
        fits = cells.str.fullmatch(r"\d+" if name in shape.integers else NUMBER).fillna(False)
        mark(~(fits | (cells.isna() & (name not in required))), "not_a_number", name + " is " + cells.fillna("missing"))
        if name in shape.positive:
            mark(cells.str.fullmatch(NOT_POSITIVE).fillna(False), "not_positive", name + " is " + cells)
        if name in shape.not_negative:
            mark(cells.str.startswith("-").fillna(False), "negative", name + " is " + cells)
        mark(fits & (cells.where(fits).astype(float).abs() >= LARGEST), "not_a_number", name + " is " + cells)
    if kind is FileKind.OPEN_INTEREST:
        present = frame.reindex(columns=["oi_base", "oi_usd"]).notna().any(axis=1)
        mark(~present, "not_a_number", "neither oi_base nor oi_usd is given")
    return pd.DataFrame({"reason": reason, "detail": detail})


def _rejects(
    recording: Recording,
    raw: pd.DataFrame,
    frame: pd.DataFrame,
    text: pd.Series,
    problem: pd.DataFrame,
    ragged: list[str],
    newest: Any,
) -> list[PlacedReject]:
    dataset = recording.layout.dataset
    last = LAST if pd.isna(newest) else newest + pd.Timedelta(days=31)

    def placed_at(text: str) -> pd.Timestamp:
        """A date that the recording never reaches would never be reported: such a row comes with the first ones."""
        when = nominal_date(text)
        return when if when <= last else EPOCH

    placed = []
    payloads = _printable(raw).to_dict("records")
    series = frame["series"].where(frame["series"].notna(), recording.name)
    for payload, name, ts, known, written, why, what in zip(
        payloads, series, frame["ts"], frame["available_at"], text, problem["reason"], problem["detail"], strict=True
    ):
        when = ts if pd.notna(ts) else placed_at(str(written))
        reject = Reject(dataset, str(name), why, what, {"file": recording.name, **payload})
        placed.append(PlacedReject(when, known if pd.notna(known) else when + pd.Timedelta(days=1), reject))
    for line in (_without_zero_bytes(line) for line in ragged):
        when = placed_at(line)
        reject = Reject(
            dataset, recording.name, "schema", "wrong number of cells", {"file": recording.name, "line": line}
        )
        placed.append(PlacedReject(when, when + pd.Timedelta(days=1), reject))
    return placed


def _without_zero_bytes(text: str) -> str:
    """A crash leaves zero bytes at the end of a file; PostgreSQL stores none."""
    return text.replace("\0", "\ufffd")


def _printable(raw: pd.DataFrame) -> pd.DataFrame:
    cells = raw.astype(object).where(raw.notna(), None)
    return cells.map(_without_zero_bytes, na_action="ignore") if len(cells) else cells


def funding_intervals(frame: pd.DataFrame) -> pd.Series:
    """The usual spacing of each funding series in whole hours (`8h`); 8 hours for a series of one row."""
    ordered = frame.sort_values("ts", kind="stable").groupby("series", observed=True)["ts"]
    hours = {name: max(1, round(pd.Timedelta(ts.diff().median()) / HOUR)) if len(ts) > 1 else 8 for name, ts in ordered}
    return frame["series"].map({name: f"{count}h" for name, count in hours.items()})


def without_repeated_closes(frame: pd.DataFrame, daily: FileKind, bars: FileKind) -> pd.DataFrame:
    """Rates without the daily closes that a bar of the same series and day states as well.

    The bar says more, so it stays; where the two disagree both stay and are revisions of one another.
    `frame` has a column `file_kind`; order is kept.
    """
    of_bars = frame[frame["file_kind"] == bars]
    if of_bars.empty:
        return frame
    key = pd.MultiIndex.from_arrays([frame["series"], frame["ts"], frame["rate"].astype(float)])
    repeated = (frame["file_kind"] == daily) & key.isin(key[frame["file_kind"] == bars])
    return frame[~repeated]


def complete(frame: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Exactly the columns of the dataset; what the recording does not have is missing."""
    return frame.reindex(columns=list(COLUMNS[dataset]))
