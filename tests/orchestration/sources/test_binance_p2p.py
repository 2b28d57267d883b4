"""Adverts: what is kept, what a row says, and the states of a market that has no free price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.market import Dataset
from orchestration.sources.binance_p2p import Offer, plausible
from orchestration.sources.interface import Fetch
from tests.orchestration.sources.loopback import Asked, Canned, Wall, live_market, serving, street_spec, utc

NOW = utc("2026-03-04T12:00:30")


def advert(
    number: int, side: str, price: str, quantity: str = "100", owner: str | None = None, **more: Any
) -> dict[str, Any]:
    adv = {
        "advNo": f"{side}{number}",
        "tradeType": {"BUY": "SELL", "SELL": "BUY"}[side],
        "asset": "USDT",
        "fiatUnit": "NGN",
        "price": price,
        "surplusAmount": quantity,
        "tradableQuantity": quantity,
        "isTradable": True,
    }
    return {"adv": adv | more, "advertiser": {"userNo": owner or f"u{number}", "nickName": "somebody"}}


def page(adverts: Sequence[Any], total: int | None = None) -> Canned:
    return Canned(
        {"code": "000000", "data": list(adverts), "total": len(adverts) if total is None else total, "success": True}
    )


def market(buy: Sequence[Any], sell: Sequence[Any], *sides: str | None) -> Fetch:
    """Fetch from a desk that pages its adverts as the real one does."""

    def script(asked: Asked) -> Canned:
        assert (asked.method, asked.path) == ("POST", "/bapi/c2c/v2/friendly/c2c/adv/search")
        side, number, rows = asked.body["tradeType"], asked.body["page"], asked.body["rows"]
        adverts = {"BUY": buy, "SELL": sell}[side]
        return page(adverts[(number - 1) * rows : number * rows], len(adverts))

    with serving(script) as server:
        specs = [street_spec(s) for s in sides or ("buy", "sell")]
        return live_market(specs, server.url, Wall(NOW)).fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW)


ASKS = ["1500", "1502", "1504", "1504", "1510"]
BIDS = ["1490", "1488", "1486"]


def test_row_of_each_side_and_of_the_middle() -> None:
    buy = [advert(n, "BUY", p, "100" if n else "300", owner="big" if n < 2 else None) for n, p in enumerate(ASKS)]
    sell = [advert(n, "SELL", p) for n, p in enumerate(BIDS)]
    frame = market(buy, sell, "buy", "sell", None).frame.set_index("side")
    assert list(frame.index) == ["buy", "sell", "mid"]
    assert frame["rate"].tolist() == [Decimal(1504), Decimal(1488), Decimal(1496)]
    assert set(frame["bid"]) == {Decimal(1490)}
    assert set(frame["ask"]) == {Decimal(1500)}
    assert frame["n_offers"].tolist() == [5, 3, 8]
    assert frame["depth_base"].tolist() == [Decimal(700), Decimal(300), Decimal(1000)]
    # (1500*300 + 1502*100 + 1504*200 + 1510*100) / 700
    assert frame.loc["buy", "vwap"] == Decimal("1502.85714285714")
    assert (frame.loc["buy", "low"], frame.loc["buy", "high"], frame.loc["buy", "mode_price"]) == (1500, 1510, 1504)
    assert frame.loc["sell", "mode_price"] is None
    # shares 4/7, 1/7, 1/7, 1/7
    assert float(frame.loc["buy", "hhi"]) == pytest.approx(19 / 49, abs=1e-12)
    assert set(frame["ts"]) == {utc("2026-03-04T12:00:00")}
    assert set(frame["available_at"]) == {NOW}
    assert set(frame["kind"]) == {"street"}
    assert set(frame["source_regime"]) == {"free"}
    assert "somebody" not in frame.to_string()


def test_absurd_and_dead_adverts_are_left_out_and_counted() -> None:
    buy = [advert(n, "BUY", p) for n, p in enumerate([*ASKS, "27", "99999"])]
    buy.append(advert(90, "BUY", "1400", isTradable=False))
    buy.append(advert(91, "BUY", "1400", "0"))
    fetch = market(buy, [advert(1, "SELL", "1490")], "buy")
    assert (fetch.frame["low"].iloc[0], fetch.frame["n_offers"].iloc[0]) == (Decimal(1500), 5)
    assert [(a.outcome, a.error_kind, a.error_text) for a in fetch.answers] == [
        ("ok", None, "2 adverts with absurd prices left out")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prices", "regime"),
    [
        (["1802"] * 5, "capped"),
        (["1802"] * 4, "free"),  # few agree by chance
        (["1790", "1795", "1802", "1802", "1802"], "capped"),  # 60 % at the ceiling
        (["1790", "1795", "1796", "1802", "1802"], "free"),
        (["1790", "1790", "1790", "1790", "1802"], "free"),  # a floor of asks is a market
    ],
)
def test_piled_up_prices_are_capped(prices: list[str], regime: str) -> None:
    fetch = market([advert(n, "BUY", p) for n, p in enumerate(prices)], [advert(1, "SELL", "1780")], "buy")
    assert fetch.frame["source_regime"].tolist() == [regime]


def test_empty_market_says_so_and_repeats_nothing() -> None:
    fetch = market([], [])
    assert len(fetch.frame) == 0
    assert [(a.outcome, a.rows, a.error_kind) for a in fetch.answers] == [("failed", 0, "delisted")] * 2
    assert fetch.answers[0].error_text == "binance_p2p: no adverts to buy USDT/NGN (listed: 0 to buy, 0 to sell)"


def test_one_empty_side_leaves_the_other() -> None:
    fetch = market([advert(1, "BUY", "1500")], [], "buy", "sell", None)
    assert fetch.frame["side"].tolist() == ["buy"]
    assert fetch.frame["bid"].tolist() == [None]
    assert [a.error_kind for a in fetch.answers] == [None, "delisted", "delisted"]


def test_all_pages_are_read_up_to_a_hundred_adverts() -> None:
    buy = [advert(n, "BUY", str(1500 + n % 7)) for n in range(130)]
    fetch = market(buy, [advert(1, "SELL", "1490")], "buy")
    assert fetch.frame["n_offers"].tolist() == [100]


def test_page_repeated_for_ever_is_counted_once() -> None:
    def script(asked: Asked) -> Canned:
        return page([advert(1, asked.body["tradeType"], "1500")], total=504)

    with serving(script) as server:
        fetch = live_market([street_spec()], server.url, Wall(NOW)).fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW)
    assert len(server.asked) == 4
    assert fetch.frame["n_offers"].tolist() == [1]


WRONG = {
    "says there are some": (page([], total=7), "outage"),
    "another coin": (page([advert(1, "BUY", "1500", asset="BTC")]), "schema"),
    "another currency": (page([advert(1, "BUY", "1500", fiatUnit="KES")]), "schema"),
    "the other side": (page([advert(1, "SELL", "1500")]), "schema"),
    "no price": (page([advert(1, "BUY", "")]), "schema"),
    "negative price": (page([advert(1, "BUY", "-1500")]), "schema"),
    "own error": (Canned({"code": "000002", "message": "illegal parameter", "data": None}), "outage"),
    "no data": (Canned({"code": "000000", "data": None, "total": 0}), "schema"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_give_no_row(name: str) -> None:
    canned, kind = WRONG[name]
    with serving(canned) as server:
        fetch = live_market([street_spec()], server.url, Wall(NOW)).fetch(Dataset.FX_RATES, utc("2026-03-04"), NOW, NOW)
    assert (len(fetch.frame), [a.error_kind for a in fetch.answers]) == (0, [kind])


def test_past_windows_are_not_asked() -> None:
    with serving(page([])) as server:
        yesterday = NOW - timedelta(days=1)
        fetch = live_market([street_spec()], server.url, Wall(NOW)).fetch(
            Dataset.FX_RATES, yesterday, yesterday + timedelta(hours=1), NOW
        )
    assert (server.asked, [a.error_kind for a in fetch.answers]) == ([], ["no_history"])


@given(
    st.lists(st.floats(min_value=1450, max_value=1550), min_size=3, max_size=30), st.floats(min_value=3, max_value=1e6)
)
def test_a_single_absurd_advert_never_survives_nor_costs_the_others(prices: list[float], factor: float) -> None:
    offers = [Offer(Decimal(str(p)), Decimal(1), "u") for p in prices]
    absurd = Offer(Decimal(str(1500 * factor)), Decimal(1), "x")
    kept = plausible([*offers, absurd])
    assert absurd not in kept
    assert {o.owner for o in kept} == {"u"}
