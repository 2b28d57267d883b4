"""Great Expectations suites of the raw tables: what every stored row must satisfy, and who does not.

Here: suites as data and one function that judges a frame. Reading rows and reporting to Dagster is
`raw_expectations`. The library is used without its project files: an ephemeral context, nothing written, nothing sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from models.contracts.market import DataMode, Dataset
from models.timeseries.limits import DEFAULT_LIMITS
from orchestration import quiet

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

OFFENDERS = 5  # listed per expectation; the count says how many there are
_IDENTITY = ["series", "interval", "ts"]

# Beyond this a number is no price, in any unit: a bitcoin costs 2e9 dong, a house in old dollars of Zimbabwe 1e14.
RATE_BOUND = 1e15
FUNDING_BOUND = DEFAULT_LIMITS.funding_bound


@dataclass(frozen=True, slots=True)
class Violation:
    """An expectation that some rows miss."""

    expectation: str
    columns: tuple[str, ...]
    count: int
    offenders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    rows: int
    expectations: int
    violations: tuple[Violation, ...]


def columns_of(dataset: Dataset) -> tuple[str, ...]:
    """The columns a suite looks at, besides series, interval and ts."""
    return {
        Dataset.FX_RATES: ("rate", "bid", "ask", "low", "high", "side", "source_regime", "available_at", "data_mode"),
        Dataset.CANDLES: ("open", "high", "low", "close", "volume_base", "volume_quote", "available_at", "data_mode"),
        Dataset.FUNDING: ("funding_rate", "available_at", "data_mode"),
        Dataset.OPEN_INTEREST: ("oi_base", "oi_usd", "available_at", "data_mode"),
    }[dataset]


def _suite(dataset: Dataset, mode: DataMode) -> list[Expectation]:
    from great_expectations import expectations as gxe

    def positive(column: str) -> Any:
        return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, strict_min=True, max_value=RATE_BOUND)

    def at_least(larger: str, smaller: str) -> Any:
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=larger, column_B=smaller, or_equal=True, ignore_row_if="either_value_is_missing"
        )

    def not_negative(column: str) -> Any:
        return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0)

    common: list[Expectation] = [
        gxe.ExpectColumnValuesToNotBeNull(column="series"),
        gxe.ExpectColumnValuesToBeInSet(column="data_mode", value_set=[mode.value]),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=_IDENTITY),
        at_least("available_at", "ts"),
    ]
    own: dict[Dataset, list[Expectation]] = {
        Dataset.FX_RATES: [
            positive("rate"), at_least("ask", "bid"), at_least("high", "low"),
            gxe.ExpectColumnValuesToBeInSet(column="side", value_set=["mid", "buy", "sell"]),
        ],
        Dataset.CANDLES: [
            positive("open"), positive("high"), positive("low"), positive("close"),
            at_least("high", "low"), at_least("high", "open"), at_least("high", "close"),
            at_least("open", "low"), at_least("close", "low"),
            not_negative("volume_base"), not_negative("volume_quote"),
        ],
        Dataset.FUNDING: [
            gxe.ExpectColumnValuesToBeBetween(
                column="funding_rate", min_value=-FUNDING_BOUND, max_value=FUNDING_BOUND
            ),
        ],
        Dataset.OPEN_INTEREST: [not_negative("oi_base"), not_negative("oi_usd")],
    }  # fmt: skip
    return common + own[dataset]


def judge(dataset: Dataset, rows: pd.DataFrame, mode: DataMode) -> Verdict:
    """Run the suite of `dataset` over `rows` (series, interval, ts and `columns_of`; newest revisions only).

    Raises RuntimeError when an expectation could not be evaluated at all, so that a broken check never passes.
    """
    if rows.empty:
        return Verdict(0, 0, ())
    with quiet.libraries():
        return _judge(dataset, rows, mode)


def _judge(dataset: Dataset, rows: pd.DataFrame, mode: DataMode) -> Verdict:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # A row has to be named in the report: as a text, since the index columns of a pair are shown without their times.
    named = _rounded(rows).assign(row=rows["series"].astype(str) + " " + rows["ts"].dt.strftime("%Y-%m-%d %H:%M"))
    source = context.data_sources.add_pandas("warehouse").add_dataframe_asset(dataset.value)
    batch = source.add_batch_definition_whole_dataframe("window").get_batch({"dataframe": named})
    suite = gx.ExpectationSuite(dataset.value, expectations=_suite(dataset, mode))
    result = batch.validate(
        suite,
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": OFFENDERS,
            "unexpected_index_column_names": ["row"],
        },
    )
    return Verdict(len(rows), len(suite.expectations), tuple(_violations(result.results)))


def _rounded(rows: pd.DataFrame) -> pd.DataFrame:
    """Bars whose open or close lies outside high and low by rounding only, with the range widened to it."""
    if not {"open", "close"} <= set(rows.columns):
        return rows
    high, low, slack = rows["high"], rows["low"], DEFAULT_LIMITS.range_tolerance
    for price in (rows["open"], rows["close"]):
        high = high.mask((price > high) & (price <= high * (1 + slack)), price)
        low = low.mask((price < low) & (price >= low * (1 - slack)), price)
    return rows.assign(high=high, low=low)


def _violations(results: Sequence[Any]) -> list[Violation]:
    found = []
    for outcome in results:
        kind, settings = outcome.expectation_config.type, outcome.expectation_config.kwargs
        columns = tuple(
            settings[name] for name in ("column", "column_A", "column_B") if name in settings
        ) or tuple(settings.get("column_list", ()))  # fmt: skip
        if outcome.exception_info and _raised(outcome.exception_info):
            raise RuntimeError(
                f"{kind} on {', '.join(columns)} could not be evaluated: {_raised(outcome.exception_info)}"
            )
        if not outcome.success:
            listed = outcome.result.get("partial_unexpected_index_list") or []
            offenders = tuple(_offender(entry, columns) for entry in itertools.islice(listed, OFFENDERS))
            found.append(Violation(kind, columns, int(outcome.result.get("unexpected_count", 0)), offenders))
    return sorted(found, key=lambda v: (v.columns, v.expectation))  # the library groups them by table


def _offender(entry: dict[str, Any], columns: Sequence[str]) -> str:
    values = ", ".join(f"{name} {entry[name]}" for name in columns if name in entry and name not in _IDENTITY)
    return f"{entry['row']}: {values}" if values else str(entry["row"])


def _raised(info: dict[str, Any]) -> str:
    """The message of an exception: flat for a column expectation, one level down for a metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((str(e.get("exception_message")) for e in entries if e.get("raised_exception")), "")
