"""Events of currencies: pegs that were let go, slides, a street market that was closed.

Rates are in local money for a dollar. A figure stands here only with who published it and the day it is of.
"""

from __future__ import annotations

from datetime import date

from models.stress.scenarios import Figure, Scenario, blind, depth, dollar, spread, volatile

_THIN = "half-spread and depth after it"

CURRENCY_SCENARIOS = (
    Scenario(
        "naira-2016-06",
        "Naira: the peg is left for the interbank market",
        date(2016, 6, 20),
        date(2016, 6, 24),
        (dollar(0.42, "NGN"), spread(5.0, 5.0), depth(0.2, 5.0)),
        (
            Figure("pegged at 197 for 16 months", "Reuters", date(2016, 6, 19)),
            Figure("196.50 on Friday the 17th, 279.50 on Monday", "Central Bank of Nigeria, official rates",
                   date(2016, 6, 20)),
        ),
        _THIN,
    ),
    Scenario(
        "naira-2021-02",
        "Naira: banks must close the accounts of those who deal in coins",
        date(2021, 2, 5),
        date(2021, 2, 11),
        (dollar(-0.12, "NGN", over_days=7.0), spread(10.0, 7.0), depth(0.1, 7.0)),
        (
            Figure("circular to close such accounts at once", "Central Bank of Nigeria", date(2021, 2, 5)),
            Figure("a dollar in coins fell from 480 to 421", "Binance, spot prices of BTCNGN and BTCUSDT",
                   date(2021, 2, 11)),
        ),
        _THIN,
    ),
    Scenario(
        "naira-2023-06",
        "Naira: all windows become one, at what the market says",
        date(2023, 6, 14),
        date(2023, 6, 19),
        (dollar(0.43, "NGN"), dollar(0.162, "NGN", day=5.0), spread(5.0, 6.0), depth(0.2, 6.0)),
        (
            Figure("463.67 at the investors' window three weeks before", "FMDQ, by Vanguard", date(2023, 5, 25)),
            Figure("664.04 at the close of the first day", "FMDQ, by Pulse Nigeria", date(2023, 6, 14)),
            Figure("770.38 after 663.04 on Friday", "FMDQ, by Vanguard", date(2023, 6, 19)),
        ),
        _THIN,
    ),
    Scenario(
        "naira-2024-01",
        "Naira: the official closing rate is computed anew",
        date(2024, 1, 29),
        date(2024, 1, 31),
        (dollar(0.512, "NGN"), dollar(0.099, "NGN", day=1.0), spread(5.0, 5.0), depth(0.2, 5.0)),
        (
            Figure("891.90 on Friday the 26th, 1,348.63 on Monday", "FMDQ, by Naija247", date(2024, 1, 29)),
            Figure("1,482.57 on Tuesday, 1,455.59 on Wednesday", "FMDQ, by New Telegraph", date(2024, 1, 31)),
        ),
        _THIN,
    ),
    Scenario(
        "naira-p2p-2024-02",
        "Naira: the peer-to-peer market is capped at 1,802 a dollar, then closed",
        date(2024, 2, 20),
        date(2024, 3, 8),
        (blind(17.0), spread(5.0, 8.0), spread(20.0, 9.0, day=8.0), depth(0.5, 8.0), depth(0.05, 9.0, day=8.0)),
        (
            Figure("no offer above 1,802 naira a USDT is accepted", "Binance, by Cointelegraph", date(2024, 2, 20)),
            Figure("record low of 1,851 on the official market", "FMDQ, by News Central", date(2024, 2, 23)),
            Figure("naira pairs taken off the peer-to-peer market", "Binance", date(2024, 2, 28)),
            Figure("what is left is converted at 1,515.13", "Binance", date(2024, 3, 8)),
        ),
        "half-spread and depth; the price is left alone, for the market price of those days was not published",
    ),
    Scenario(
        "shilling-2023",
        "Kenya shilling: a slide of a year",
        date(2023, 1, 3),
        date(2024, 1, 2),
        (dollar(0.276, "KES", over_days=365.0),),
        (
            Figure("123.42 at its beginning", "Central Bank of Kenya, indicative rates", date(2023, 1, 3)),
            Figure("157.45 at its end", "Central Bank of Kenya, by Metropol TV", date(2024, 1, 2)),
        ),
    ),
    Scenario(
        "shilling-2024-02",
        "Kenya shilling: the rebound after the Eurobond was bought back",
        date(2024, 2, 13),
        date(2024, 2, 15),
        (dollar(-0.013, "KES"), dollar(-0.054, "KES", day=1.0), dollar(-0.067, "KES", day=2.0), spread(3.0, 3.0)),
        (
            Figure("160.67, after 157.45 at the beginning of the year", "Central Bank of Kenya, by Metropol TV",
                   date(2024, 2, 1)),
            Figure("158.6", "Central Bank of Kenya, by CGTN", date(2024, 2, 13)),
            Figure("150.00 at the close of Wednesday, 140.00 on Thursday after 139.00", "Reuters", date(2024, 2, 15)),
        ),
        "half-spread",
    ),
    Scenario(
        "lira-2021-12",
        "Turkish lira: a month's fall, and the night of the guaranteed deposits",
        date(2021, 11, 23),
        date(2021, 12, 21),
        (dollar(0.587, "TRY", over_days=27.0), dollar(-0.291, "TRY", day=28.0), volatile(3.0, 10.0), spread(5.0, 30.0)),
        (
            Figure("37 % of its worth lost in 30 days", "Al Yaoum 24, of agencies", date(2021, 12, 20)),
            Figure("from a record 18.36 to 11.09 and then 13.01", "Associated Press", date(2021, 12, 21)),
        ),
        "volatility and half-spread",
    ),
    Scenario(
        "pound-2016-11",
        "Egyptian pound: the float",
        date(2016, 11, 3),
        date(2016, 11, 7),
        (dollar(0.477, "EGP"), dollar(0.21, "EGP", day=3.0), spread(5.0, 5.0), depth(0.2, 5.0)),
        (
            Figure("13 set as a guide after 8.8", "Central Bank of Egypt, by Associated Press", date(2016, 11, 3)),
            Figure("banks buy dollars at 15.5 and sell them at 16", "Associated Press", date(2016, 11, 6)),
        ),
        _THIN,
    ),
    Scenario(
        "pound-2024-03",
        "Egyptian pound: the second float",
        date(2024, 3, 6),
        date(2024, 3, 7),
        (dollar(0.60, "EGP"), spread(5.0, 5.0), depth(0.2, 5.0)),
        (
            Figure("from 30.85 to 50.3 within the day", "Reuters", date(2024, 3, 6)),
            Figure("the dollar rose by 60 % in a single day", "Arab Region Hub for Social Protection",
                   date(2024, 3, 6)),
        ),
        _THIN,
    ),
    Scenario(
        "franc-2015-01",
        "Swiss franc: the floor of 1.20 a euro is given up",
        date(2015, 1, 15),
        date(2015, 1, 16),
        (dollar(-0.122, "CHF"), dollar(-0.05, "CHF", day=1.0), spread(20.0, 1.0), depth(0.05, 1.0), volatile(3.0, 5.0)),
        (
            Figure("the minimum exchange rate is discontinued", "Swiss National Bank", date(2015, 1, 15)),
            Figure("1.0172, 0.8930 and 0.8488 on the 14th to the 16th", "Federal Reserve, H.10", date(2015, 1, 16)),
            Figure("few dealers gave prices in the first hour",
                   "Cielinska and others, Bank of England Financial Stability Paper", date(2017, 1, 6)),
        ),
        "half-spread, depth and volatility",
    ),
    Scenario(
        "peso-2015-12",
        "Argentine peso: controls are lifted",
        date(2015, 12, 17),
        date(2015, 12, 18),
        (dollar(0.42, "ARS"), spread(3.0, 2.0)),
        (Figure("from 9.84 to 14, after 15 within the day", "Xinhua", date(2015, 12, 18)),),
        "half-spread",
    ),
    Scenario(
        "peso-2019-08",
        "Argentine peso: the morning after the primaries",
        date(2019, 8, 12),
        date(2019, 8, 14),
        (dollar(0.28, "ARS", over_days=2.0), spread(5.0, 3.0), volatile(2.0, 5.0)),
        (
            Figure("45.25 on Friday the 9th", "Central Bank of Argentina, by TASS", date(2019, 8, 13)),
            Figure("around 58 late on Tuesday the 13th", "Sputnik", date(2019, 8, 15)),
        ),
        "half-spread and volatility",
    ),
    Scenario(
        "peso-2023-12",
        "Argentine peso: the official rate is doubled overnight",
        date(2023, 12, 13),
        date(2023, 12, 14),
        (dollar(1.183, "ARS"), spread(5.0, 3.0)),
        (Figure("800 after 366.5", "Bloomberg, of Argentina's minister of economy", date(2023, 12, 12)),),
        "half-spread; the street rate hardly moved",
    ),
)  # fmt: skip
