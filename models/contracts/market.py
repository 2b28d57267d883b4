"""Vocabulary of market data: what a row of each raw dataset is, and the modes and states it can be in.

Here belong names, enumerations and column lists that ingest, features, models and serving share.
No I/O, no pandas, no defaults that stand in for a missing value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DataMode(StrEnum):
    """Where data came from. Stored with every row, score and answer; only LIVE may reach a real network."""

    SIMULATED = "simulated"
    REPLAY = "replay"
    LIVE = "live"


class SourceRegime(StrEnum):
    """State of a price source. A capped price is censored, not calm; a delisted source says nothing any more."""

    FREE = "free"
    CAPPED = "capped"
    DELISTED = "delisted"
    CLOSED = "closed"


class RateKind(StrEnum):
    OFFICIAL = "official"
    STREET = "street"


class SeriesKind(StrEnum):
    """How daily variance is measured, which fixes horizons, calendar and lags (see `models.contracts.horizons`)."""

    CANDLES = "candles"  # hourly bars around the clock: realised variance of log returns
    RANGES = "ranges"  # daily open/high/low/close of a currency: Parkinson variance
    FIXINGS = "fixings"  # one published rate a day: squared log return
    STREET = "street"  # adverts and informal rates: premium and source state, not scored by itself
    VAULT = "vault"  # a vault's own return series, built from its legs


class Calendar(StrEnum):
    ALWAYS = "always"  # crypto, adverts: every slot is expected
    FX_WEEK = "fx_week"  # Monday to Friday, with the holidays below taken out


class Dataset(StrEnum):
    """Raw datasets; each is one table in schema `raw`."""

    FX_RATES = "fx_rates"
    CANDLES = "candles"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"
    VAULT_SNAPSHOTS = "vault_snapshots"


# Columns every raw table has besides its own: identity, provenance and the two clocks.
#   ts            when it happened (bars: open time of the bar), aware UTC
#   available_at  when it could first be known: arrival for live rows, ts + publication lag otherwise
#   recorded_at   when we stored it (set by the database)
PROVENANCE_COLUMNS = ("source", "provider", "data_mode", "available_at")

# Columns of a fetched frame, in table order. Numbers may be str or Decimal: they reach `numeric` unrounded.
COLUMNS: dict[Dataset, tuple[str, ...]] = {
    Dataset.FX_RATES: (
        "series", "interval", "ts", "base", "quote", "kind", "side", "rate", "open", "high", "low", "bid", "ask",
        "n_offers", "depth_base", "vwap", "mode_price", "hhi", "source_regime", *PROVENANCE_COLUMNS,
    ),
    Dataset.CANDLES: (
        "series", "interval", "ts", "open", "high", "low", "close", "volume_base", "volume_quote", "trades",
        *PROVENANCE_COLUMNS,
    ),
    Dataset.FUNDING: ("series", "interval", "ts", "exchange", "funding_rate", *PROVENANCE_COLUMNS),
    Dataset.OPEN_INTEREST: ("series", "interval", "ts", "exchange", "oi_base", "oi_usd", *PROVENANCE_COLUMNS),
    Dataset.VAULT_SNAPSHOTS: (
        "series", "interval", "ts", "ledger", "tvl_usd", "share_price", "weights", *PROVENANCE_COLUMNS,
    ),
}  # fmt: skip

# A row is one observation of (series, interval, ts); a correction is another row with the same key.
KEY_COLUMNS = ("series", "interval", "ts")


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """One series of the universe: what it is and what is expected of it.

    `id`: coins by name (`BTC`), rates as BASEQUOTE:source (`USDNGN:yahoo`, `USDTNGN:binance_p2p:buy`).
    `interval`: bar or publication interval (`1h`, `1d`) or `irregular`.
    `publication_lag_s`: seconds from `ts` until the row can be known.
    `max_age_s`: older than this at the market's clock, the series is stale.
    `providers`: order in which live providers are asked. `symbol`: the provider-side name.
    `scored`: forecasts and scores are made for it.
    """

    id: str
    dataset: Dataset
    kind: SeriesKind
    calendar: Calendar
    interval: str
    publication_lag_s: int
    max_age_s: int
    base: str
    quote: str
    source: str
    providers: tuple[str, ...] = ()
    symbol: str | None = None
    scored: bool = True
