"""Binance P2P: adverts of both sides of one currency, as one row a side.

A `buy` row is what somebody who buys the coin pays (the cheapest advert is the ask), a `sell` row what a seller gets;
a series without a side gets the middle of both. Names of advertisers are never kept.
Only the present can be asked for. An empty market gives no row: the last price known is not a price.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import partial
from math import log
from statistics import median
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from models.contracts.market import Dataset, RateKind, SeriesSpec, SourceRegime
from orchestration.sources.budget import Every, Quota
from orchestration.sources.errors import EmptyMarket, NoHistory, Outage, ProviderError, SchemaDrift
from orchestration.sources.http import Reply, checked
from orchestration.sources.provider import Harvest, NotNegative, Positive, Provider, Row, Window
from orchestration.sources.rates import fx_row

SIDES = ("buy", "sell")
_PATH = "/bapi/c2c/v2/friendly/c2c/adv/search"
_ROWS = 20  # the most that a page gives
_PAGES = 5  # the best hundred adverts say enough about a price; the rest are far from it

# An advert is absurd when its log distance from the median exceeds SPREADS robust standard deviations, with a floor
# for markets where everybody quotes the same and a ceiling for markets that are half nonsense.
_SPREADS, _NARROWEST, _WIDEST = 6.0, 0.02, 0.30
_MAD_TO_SIGMA = 1.4826

# A cap shows as adverts piled up on their highest price. Fewer adverts agree by chance.
_CAPPED_SHARE, _CAPPED_ADVERTS = 0.6, 5

_DIGITS = Context(prec=15)


class _Advert(BaseModel):
    advNo: str
    tradeType: str
    asset: str
    fiatUnit: str
    price: Positive
    surplusAmount: NotNegative
    tradableQuantity: NotNegative | None = None  # older answers lack it
    isTradable: bool | None = None

    @property
    def quantity(self) -> Decimal:
        return self.surplusAmount if self.tradableQuantity is None else self.tradableQuantity


class _Advertiser(BaseModel):
    userNo: str


class _Item(BaseModel):
    adv: _Advert
    advertiser: _Advertiser


class _Page(BaseModel):
    code: str
    data: list[_Item]
    total: int = Field(ge=0)


@dataclass(frozen=True, slots=True)
class Offer:
    price: Decimal
    quantity: Decimal  # of the coin
    owner: str


@dataclass(frozen=True, slots=True)
class Book:
    """One side after cleaning; `offers` may be empty. `absurd`: adverts that were left out for their price."""

    side: str
    offers: tuple[Offer, ...]
    absurd: int
    listed: int  # adverts that the service says there are, seen or not

    @property
    def best(self) -> Decimal:
        prices = [o.price for o in self.offers]
        return min(prices) if self.side == "buy" else max(prices)

    @property
    def middle(self) -> Decimal:
        return median(o.price for o in self.offers)

    @property
    def capped(self) -> bool:
        prices = [o.price for o in self.offers]
        return len(prices) >= _CAPPED_ADVERTS and prices.count(max(prices)) >= _CAPPED_SHARE * len(prices)


class BinanceP2P(Provider):
    name: ClassVar[str] = "binance_p2p"
    base_url: ClassVar[str] = "https://p2p.binance.com"
    datasets: ClassVar[frozenset[Dataset]] = frozenset({Dataset.FX_RATES})
    quota: ClassVar[Quota] = Quota(60, Every.MINUTE)  # no limit is published; this is a courtesy

    def fetch(self, specs: Sequence[SeriesSpec], window: Window) -> Mapping[SeriesSpec, Harvest | ProviderError]:
        if not window.holds(window.moment):
            raise NoHistory(self.name, "shows the adverts of this moment only")
        markets: defaultdict[tuple[str, str], list[SeriesSpec]] = defaultdict(list)
        for spec in specs:
            markets[spec.base, spec.quote].append(spec)
        found: dict[SeriesSpec, Harvest | ProviderError] = {}
        for (asset, fiat), alike in markets.items():
            books: dict[str, Book | ProviderError] = {}
            for side in SIDES:
                try:
                    books[side] = self._book(asset, fiat, side)
                except ProviderError as error:
                    books[side] = error
            for spec in alike:
                found[spec] = self._harvest(spec, books, window)
        return found

    def _book(self, asset: str, fiat: str, side: str) -> Book:
        items: dict[str, _Item] = {}
        total = 0
        for number in range(1, _PAGES + 1):
            query = {
                "asset": asset,
                "fiat": fiat,
                "tradeType": side.upper(),
                "page": number,
                "rows": _ROWS,
                "payTypes": [],
            }
            page = self.http.post(_PATH, query, judge, partial(checked_page, asset=asset, fiat=fiat, side=side))
            if number == 1 and page.total and not page.data:
                raise Outage(self.name, f"says that there are {page.total} adverts and shows none")
            fresh = {item.adv.advNo: item for item in page.data if item.adv.advNo not in items}
            items |= fresh
            total = max(total, page.total)
            if not fresh or len(items) >= page.total:
                break
        offers = [
            Offer(item.adv.price, item.adv.quantity, item.advertiser.userNo)
            for item in items.values()
            if item.adv.isTradable is not False and item.adv.quantity > 0
        ]
        kept = plausible(offers)
        return Book(side, tuple(kept), len(offers) - len(kept), total)

    def _harvest(
        self, spec: SeriesSpec, books: Mapping[str, Book | ProviderError], window: Window
    ) -> Harvest | ProviderError:
        last = spec.id.rsplit(":", 1)[-1]
        wanted = (last,) if last in SIDES else SIDES
        for side in wanted:
            book = books[side]
            if isinstance(book, ProviderError):
                return book
            if not book.offers:
                market = f"{spec.base}/{spec.quote}"
                return EmptyMarket(self.name, f"no adverts to {side} {market} (listed: {_listed(books)})")
        usable = {s: b for s, b in books.items() if isinstance(b, Book) and b.offers}
        chosen = [usable[side] for side in wanted]
        known = self.provenance(spec, window.moment, window.now)
        row = fx_row(
            known,
            spec,
            _DIGITS.divide(sum((b.middle for b in chosen), Decimal(0)), Decimal(len(chosen))),
            kind=RateKind.STREET.value,
            side=last if last in SIDES else "mid",
            bid=usable["sell"].best if "sell" in usable else None,
            ask=usable["buy"].best if "buy" in usable else None,
            source_regime=(SourceRegime.CAPPED if any(b.capped for b in chosen) else SourceRegime.FREE).value,
            **summary([o for b in chosen for o in b.offers]),
        )
        return Harvest((row,), remark=_remark(chosen))


def _listed(books: Mapping[str, Book | ProviderError]) -> str:
    return ", ".join(f"{b.listed if isinstance(b, Book) else 'unknown'} to {side}" for side, b in books.items())


def _remark(books: Sequence[Book]) -> str | None:
    absurd = sum(b.absurd for b in books)
    return f"{absurd} adverts with absurd prices left out" if absurd else None


def judge(reply: Reply) -> ProviderError | None:
    body = reply.body
    if isinstance(body, dict) and isinstance(body.get("code"), str) and body["code"] != "000000":
        return Outage(BinanceP2P.name, f"error {body['code'][:20]}: {str(body.get('message'))[:100]}")
    return None


def checked_page(body: Any, asset: str, fiat: str, side: str) -> _Page:
    """Raises SchemaDrift also where the adverts are of another market or of the other side.

    An advert carries the advertiser's side, the opposite of the search.
    """
    page = checked(BinanceP2P.name, _Page, body)
    opposite = {"buy": "SELL", "sell": "BUY"}[side]
    for item in page.data:
        got = (item.adv.asset, item.adv.fiatUnit, item.adv.tradeType)
        if got != (asset, fiat, opposite):
            raise SchemaDrift(BinanceP2P.name, f"searched {asset}/{fiat} to {side}, found an advert of {'/'.join(got)}")
    return page


def plausible(offers: Sequence[Offer]) -> list[Offer]:
    """Offers without the absurd ones: a median and a median deviation ignore up to half of nonsense."""
    if not offers:
        return []
    logs = [log(o.price) for o in offers]
    centre = median(logs)
    spread = _MAD_TO_SIGMA * median(abs(x - centre) for x in logs)
    limit = min(max(_SPREADS * spread, _NARROWEST), _WIDEST)
    return [o for o, x in zip(offers, logs, strict=True) if abs(x - centre) <= limit]


def summary(offers: Sequence[Offer]) -> Row:
    """Figures over the kept offers; `hhi` is the concentration of the offered coins among advertisers, 0 to 1."""
    depth = sum((o.quantity for o in offers), Decimal(0))
    owners: defaultdict[str, Decimal] = defaultdict(Decimal)
    for offer in offers:
        owners[offer.owner] += offer.quantity
    prices = [o.price for o in offers]
    price, times = Counter(prices).most_common(1)[0]
    return {
        "n_offers": len(offers),
        "depth_base": depth,
        "vwap": _DIGITS.divide(sum((o.price * o.quantity for o in offers), Decimal(0)), depth),
        "low": min(prices),
        "high": max(prices),
        "mode_price": price if times > 1 else None,
        "hhi": sum((_DIGITS.divide(q, depth) ** 2 for q in owners.values()), Decimal(0)),
    }
