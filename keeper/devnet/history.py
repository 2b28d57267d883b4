"""What the devnet tells of past ledgers: contract events page by page, and the fees that recent calls bid.

Wrong questions raise ValueError; `keeper.devnet.rpc` makes error objects of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stellar_sdk import StrKey, xdr

from keeper.devnet.chain import MIN_INCLUSION_FEE, Chain
from keeper.devnet.envelopes import bid_of, parse

MAX_SCAN_LEDGERS = 10_000
MAX_EVENTS = 10_000
DEFAULT_EVENTS = 100
FEE_WINDOW_LEDGERS = 50
_PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)


def events(chain: Chain, params: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Events of one page, oldest first, and the cursor to go on from.

    Parameters
    ----------
    params : as of `getEvents`: startLedger, endLedger (exclusive) or pagination.cursor; pagination.limit; filters with
        type, contractIds and topics (base64 XDR, "*" any one, "**" the rest).

    Raises
    ------
    ValueError
        If the range is not remembered or the paging contradicts itself.
    """
    paging = params.get("pagination") or {}
    cursor, start = paging.get("cursor"), params.get("startLedger")
    limit = int(paging.get("limit") or DEFAULT_EVENTS)
    oldest, latest = chain.oldest[0], chain.state.ledger
    if not 0 < limit <= MAX_EVENTS:
        raise ValueError(f"limit must not exceed {MAX_EVENTS}")
    if cursor and (start or params.get("endLedger")):
        raise ValueError("ledger ranges and cursor cannot both be set")
    first = int(str(cursor).split("-")[0]) >> 32 if cursor else int(start or 0)
    if not oldest <= first <= latest:
        raise ValueError(f"startLedger must be within the ledger range: {oldest} - {latest}")
    end = min(first + MAX_SCAN_LEDGERS, latest + 1, int(params.get("endLedger") or latest + 1))
    found = []
    for tx_hash, applied in sorted(chain.state.applied.items(), key=lambda item: (item[1].ledger, item[1].order)):
        if first <= applied.ledger < end:
            rows = (_row(tx_hash, applied, number, text) for number, text in enumerate(applied.events))
            found += [row for row in rows if row["id"] > (cursor or "") and _wanted(row, params.get("filters") or [])]
    page = found[:limit]
    return page, page[-1]["id"] if len(found) > limit else f"{((end - 1) << 32 | 0xFFFFFFFF):019d}-{0xFFFFFFFF:010d}"


def fee_stats(chain: Chain) -> dict[str, Any]:
    """Inclusion fees, stroops as text, of the calls of the last 50 ledgers; the floor where there were none."""
    latest = chain.state.ledger
    bids = sorted(
        bid_of(parse(a.envelope)) for a in chain.state.applied.values() if latest - a.ledger < FEE_WINDOW_LEDGERS
    )
    least = max(MIN_INCLUSION_FEE, chain.surge_fee)
    values = bids or [least]
    ranks = {f"p{n}": values[max(0, -(-n * len(values) // 100) - 1)] for n in _PERCENTILES}
    fees = {"max": values[-1], "min": values[0], "mode": max(values, key=values.count), **ranks}
    if chain.surge_fee > MIN_INCLUSION_FEE:
        fees = {name: max(fee, least) for name, fee in fees.items()}
    soroban = {n: str(f) for n, f in fees.items()} | {"transactionCount": str(len(bids)), "ledgerCount": 50}
    classic = dict.fromkeys(fees, str(MIN_INCLUSION_FEE)) | {"transactionCount": "0", "ledgerCount": 10}
    return {"sorobanInclusionFee": soroban, "inclusionFee": classic, "latestLedger": latest}


def _row(tx_hash: str, applied: Any, number: int, text: str) -> dict[str, Any]:
    event = xdr.ContractEvent.from_xdr(text)
    body = event.body.v0
    assert body is not None
    assert event.contract_id is not None
    place = applied.ledger << 32 | applied.order << 12
    return {
        "type": "contract",
        "ledger": applied.ledger,
        "ledgerClosedAt": datetime.fromtimestamp(applied.closed_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "contractId": StrKey.encode_contract(event.contract_id.contract_id.hash),
        "id": f"{place:019d}-{number:010d}",
        "transactionIndex": applied.order,
        "operationIndex": 0,
        "inSuccessfulContractCall": True,
        "topic": [topic.to_xdr() for topic in body.topics],
        "value": body.data.to_xdr(),
        "txHash": tx_hash,
    }


def _wanted(row: dict[str, Any], filters: list[dict[str, Any]]) -> bool:
    """Whether any filter takes the event; no filter takes all."""

    def takes(rule: dict[str, Any]) -> bool:
        ids, topics = rule.get("contractIds"), rule.get("topics")
        return (
            rule.get("type") in (None, "contract")
            and (not ids or row["contractId"] in ids)
            and (not topics or any(_fits(pattern, row["topic"]) for pattern in topics))
        )

    return not filters or any(takes(rule) for rule in filters)


def _fits(pattern: list[str], topic: list[str]) -> bool:
    if pattern and pattern[-1] == "**":
        pattern, topic = pattern[:-1], topic[: len(pattern) - 1]
    return len(pattern) == len(topic) and all(p in ("*", t) for p, t in zip(pattern, topic, strict=True))
