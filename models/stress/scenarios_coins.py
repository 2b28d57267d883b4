"""Events of coins, stable coins and chains: crashes, lost pegs, false prices, networks that stood still.

A figure stands here only with who published it and the day it is of.
"""

from __future__ import annotations

from datetime import date

from models.stress.legs import LegKind
from models.stress.scenarios import Figure, Scenario, blind, depth, fall, funding, halted, spread, volatile

COIN_SCENARIOS = (
    Scenario(
        "stellar-halt-2019-05",
        "Stellar closes no ledger for 67 minutes",
        date(2019, 5, 15),
        date(2019, 5, 15),
        (halted(67 / 1440), blind(67 / 1440)),
        (Figure("halted for 67 minutes, no transaction processed", "Stellar Development Foundation",
                date(2019, 5, 15)),),
    ),
    Scenario(
        "black-thursday-2020-03",
        "12 March 2020: everything is sold at once",
        date(2020, 3, 12),
        date(2020, 3, 13),
        (
            fall(0.40, besides=("ETH",)),
            fall(0.43, "ETH"),
            halted(44 / 1440, day=1.1),
            blind(0.5),
            spread(10.0, 2.0),
            depth(0.2, 2.0),
            volatile(3.0, 5.0, day=1.0),
            funding(-0.00375, 1 / 3, day=1.0),
        ),
        (
            Figure("bitcoin shed nearly 40 %; trading at BitMEX stood still from 02:16 to 03:00", "CryptoSlate",
                   date(2020, 3, 13)),
            Figure("funding at BitMEX fell to -0.375 %", "CryptoSlate", date(2020, 3, 13)),
            Figure("ether fell by 43 %; price oracles could not follow for the price of gas", "Glassnode",
                   date(2020, 3, 19)),
        ),
        "half-spread, depth, volatility, and that oracles were late for half a day",
    ),
    Scenario(
        "may-2021",
        "19 May 2021: China warns, exchanges fail",
        date(2021, 5, 19),
        date(2021, 5, 19),
        (
            fall(0.30, besides=("ETH",)),
            fall(-0.22, day=0.5, besides=("ETH",)),
            fall(0.40, "ETH"),
            fall(-0.297, "ETH", day=0.5),
            halted(2 / 24, day=0.5),
            spread(10.0, 1.0),
            depth(0.2, 1.0),
            volatile(3.0, 5.0, day=1.0),
        ),
        (
            Figure("bitcoin plunged by 30 %; Binance halted trading for retail clients and sent no transaction data",
                   "Trust in a Trustless Network, SSRN 4260876", date(2022, 10, 28)),
        ),
        "ether's larger fall and both rebounds within the day, length of the outage, half-spread, depth, volatility",
    ),
    Scenario(
        "solana-halt-2021-09",
        "Solana confirms no block for 17 hours",
        date(2021, 9, 14),
        date(2021, 9, 15),
        (halted(17 / 24), blind(17 / 24)),
        (Figure("offline for 17 hours", "Solana Foundation", date(2021, 9, 14)),),
    ),
    Scenario(
        "terra-2022-05",
        "Terra: UST loses its peg and takes the market along",
        date(2022, 5, 6),
        date(2022, 5, 12),
        (
            fall(0.2775, over_days=7.0, besides=("ETH",)),
            fall(0.32, "ETH", over_days=7.0),
            fall(0.32, "UST", "USTC", day=3.0, kind=LegKind.STABLE),
            fall(0.676, "UST", "USTC", day=5.0, kind=LegKind.STABLE),
            fall(0.05, "USDT", day=6.3, half_life_days=0.25, kind=LegKind.STABLE),
            blind(1.0, day=6.0),
            spread(5.0, 3.0, day=4.0),
            depth(0.3, 3.0, day=4.0),
            volatile(2.0, 5.0, day=3.0),
        ),
        (
            Figure("UST as low as 68 cents on Monday the 9th", "CoinDesk", date(2022, 5, 10)),
            Figure("UST as low as 22 cents", "CoinDesk", date(2022, 5, 12)),
            Figure("bitcoin lost 27.75 % in seven days, ether 32 %", "Cryptory", date(2022, 5, 12)),
            Figure("Tether below 0.99 for six hours, at one point 0.95", "Web3 is Going Just Great",
                   date(2022, 5, 12)),
            Figure("the LUNA feed stood at 0.107 while the market paid 0.01", "Venus Protocol, by Cointelegraph",
                   date(2022, 5, 13)),
        ),
        "half-spread, depth, volatility, and the length of the blind feed",
    ),
    Scenario(
        "celsius-2022-06",
        "Celsius stops withdrawals; staked ether trades below ether",
        date(2022, 6, 12),
        date(2022, 6, 18),
        (
            fall(0.35, over_days=7.0),
            fall(0.08, "STETH", half_life_days=30.0),
            spread(5.0, 7.0),
            depth(0.3, 7.0),
            volatile(2.0, 5.0),
        ),
        (
            Figure("top coins lost as much as 35 % in the week", "India TV, of agencies", date(2022, 6, 19)),
            Figure("discount of staked ether, widest in the week of the stop: 8 %", "CoinDesk", date(2022, 7, 13)),
        ),
        "half-spread, depth, volatility, half-life of the discount",
    ),
    Scenario(
        "merge-funding-2022-09",
        "Ether before the merge: shorts pay for weeks",
        date(2022, 9, 1),
        date(2022, 9, 15),
        (funding(-0.003, 14.0),),
        (Figure("funding of ether futures around -0.3 %, a record", "CoinDesk, of Delphi Digital", date(2022, 9, 21)),),
        "that it stayed there for two weeks",
    ),
    Scenario(
        "mango-2022-10",
        "Mango Markets: the price of a thin coin is pushed up thirteenfold within half an hour",
        date(2022, 10, 11),
        date(2022, 10, 12),
        (
            fall(-12.0, "MNGO", half_life_days=0.02),
            blind(1.0),
            spread(10.0, 1.0),
            depth(0.1, 1.0),
        ),
        (
            Figure("over 13-fold during 30 minutes", "CFTC, complaint against A. Eisenberg", date(2023, 1, 9)),
            Figure("its trades were as much as 90 % of the volume of some exchanges", "SEC, complaint",
                   date(2023, 1, 20)),
        ),
        "how fast the price came back, half-spread, depth; that such prints are held, and the score, for a day",
    ),
    Scenario(
        "ftx-2022-11",
        "FTX fails",
        date(2022, 11, 7),
        date(2022, 11, 14),
        (
            fall(0.21, over_days=3.0, besides=("ETH",)),
            fall(0.23, "ETH", over_days=3.0),
            depth(0.59, 9.0),
            spread(3.0, 5.0, day=1.0),
            volatile(2.0, 5.0, day=1.0),
        ),
        (
            Figure("bitcoin lost more than 21 % in seven days, ether 23 %", "CoinDesk", date(2022, 11, 14)),
            Figure("depth within 2 % fell from 11,800 to 7,000 bitcoin", "Kaiko, by CoinDesk", date(2022, 11, 14)),
        ),
        "half-spread and volatility",
    ),
    Scenario(
        "usdc-2023-03",
        "USDC: part of the reserve lies at a bank that was closed",
        date(2023, 3, 11),
        date(2023, 3, 13),
        (fall(0.1226, "USDC", half_life_days=0.7, kind=LegKind.STABLE), spread(10.0, 2.0), depth(0.2, 2.0)),
        (
            Figure("3.3 of 40 billion dollars of reserve at Silicon Valley Bank", "Circle", date(2023, 3, 11)),
            Figure("traded at 0.8774", "Cointelegraph", date(2023, 3, 11)),
        ),
        "half-life, half-spread, depth",
    ),
)  # fmt: skip
