"""Raw store: append-only market data with two clocks, quarantine and the ingest log."""

from itertools import pairwise

from alembic import op

revision = "0001"
down_revision = None

# Yearly partitions where hourly data is expected, wider ones before; the default partition catches the rest,
# so that a row is never refused for its date.
_BOUNDS = ["minvalue", *(f"'{y}-01-01+00'" for y in (2000, 2005, 2010, 2015, *range(2017, 2032))), "maxvalue"]

_PROVENANCE = """
    source text not null,
    provider text not null,
    data_mode text not null check (data_mode in ('simulated', 'replay', 'live')),
    available_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    run_id text,
    digest uuid not null,
    seq bigint generated always as identity
"""


# A price that is not a number, infinite or not positive is a reject, never a row: sources sort them out, the checks
# below stand behind them (NaN sorts above infinity).


def _create(table: str, columns: str, partitioned: bool) -> None:
    tail = " partition by range (ts)" if partitioned else ""
    op.execute(
        f"create table raw.{table} (series text not null, interval text not null, ts timestamptz not null,"
        f" {columns}, {_PROVENANCE}){tail}"
    )
    # One observation may be revised: the same key with another digest, or an old value said again later.
    op.execute(f"create unique index {table}_revision on raw.{table} (series, interval, ts, digest, available_at)")
    if not partitioned:
        # What was known last. The large tables are read by ts, and a second index there costs a fifth of the ingest.
        op.execute(f"create index {table}_known on raw.{table} (series, interval, available_at)")
    # What was stored since the last build of the features: rows arrive in this order, so a few bytes a page suffice.
    op.execute(
        f"create index {table}_recorded on raw.{table} using brin (recorded_at, seq) with (pages_per_range = 16)"
    )
    if partitioned:
        for low, high in pairwise(_BOUNDS):
            name = "early" if low == "minvalue" else low[1:5]
            op.execute(f"create table raw.{table}_{name} partition of raw.{table} for values from ({low}) to ({high})")


def upgrade() -> None:
    op.execute("create schema raw")
    _create(
        "fx_rates",
        """
        base text not null,
        quote text not null,
        kind text not null check (kind in ('official', 'street')),
        side text not null check (side in ('mid', 'buy', 'sell')),
        rate numeric not null check (rate > 0 and rate < 'infinity'),
        open numeric, high numeric, low numeric,
        bid numeric, ask numeric,
        n_offers integer, depth_base numeric, vwap numeric, mode_price numeric, hhi numeric,
        source_regime text not null check (source_regime in ('free', 'capped', 'delisted', 'closed'))
        """,
        partitioned=True,
    )
    _create(
        "candles",
        """
        open numeric not null check (open > 0 and open < 'infinity'),
        high numeric not null check (high > 0 and high < 'infinity'),
        low numeric not null check (low > 0 and low < 'infinity'),
        close numeric not null check (close > 0 and close < 'infinity'),
        volume_base numeric, volume_quote numeric, trades bigint
        """,
        partitioned=True,
    )
    _create(
        "funding",
        "exchange text not null, funding_rate numeric not null check (abs(funding_rate) < 'infinity')",
        partitioned=True,
    )
    _create("open_interest", "exchange text not null, oi_base numeric, oi_usd numeric", partitioned=True)
    _create(
        "vault_snapshots",
        "ledger bigint, tvl_usd numeric, share_price numeric, weights jsonb",
        partitioned=False,
    )
    op.execute(
        "comment on column raw.candles.volume_base is 'traded volume in units of the coin (base asset) over the bar'"
    )
    op.execute(
        "comment on column raw.candles.volume_quote is "
        "'traded volume in units of the quote currency (USDT) over the bar; null where the source does not give it'"
    )
    op.execute("""
        create table raw.ingest_log (
            id bigint generated always as identity primary key,
            dataset text not null, series text, provider text not null, data_mode text not null,
            window_start timestamptz, window_end timestamptz,
            rows_received bigint not null, rows_added bigint not null, rows_rejected bigint not null,
            outcome text not null check (outcome in ('ok', 'partial', 'failed')),
            error_kind text, error_text text, run_id text,
            started_at timestamptz not null, finished_at timestamptz not null default clock_timestamp()
        )""")
    op.execute("create index ingest_log_latest on raw.ingest_log (dataset, series, finished_at desc)")
    # reject: the row could not be stored (impossible date, not a number), its payload is kept here.
    # hold: the row is stored but not believed; features see the last good one. flag: used, but marked.
    # Releases are rows of their own: nothing is overwritten.
    op.execute("""
        create table raw.quarantine (
            id bigint generated always as identity primary key,
            dataset text not null, series text not null, interval text, ts timestamptz, digest uuid,
            action text not null check (action in ('reject', 'hold', 'flag')),
            reason text not null, detail text not null, value text, payload jsonb,
            data_mode text not null, known_at timestamptz not null,
            recorded_at timestamptz not null default clock_timestamp(), run_id text,
            fingerprint uuid not null unique
        )""")
    op.execute("create index quarantine_series on raw.quarantine (dataset, series, interval, ts)")
    op.execute("""
        create table raw.quarantine_releases (
            quarantine_id bigint primary key references raw.quarantine (id),
            reason text not null, released_by text not null, known_at timestamptz not null,
            recorded_at timestamptz not null default clock_timestamp(), run_id text
        )""")
    op.execute("""
        create function raw.refuse_change() returns trigger language plpgsql as $$
        begin raise exception '% is append-only: write a revision, never % a row', tg_table_name, lower(tg_op); end $$
    """)
    for table in ("fx_rates", "candles", "funding", "open_interest", "vault_snapshots", "quarantine",
                  "quarantine_releases", "ingest_log"):  # fmt: skip
        op.execute(
            f"create trigger {table}_append_only before update or delete on raw.{table} "
            "for each row execute function raw.refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
