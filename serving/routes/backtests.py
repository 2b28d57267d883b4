"""Backtests over HTTP: what `serving.routes.runs` offers for every kind of run."""

from fastapi import APIRouter

from models.contracts.runs import RunKind
from serving.routes.runs import Offer, add_endpoints

router = APIRouter(tags=["backtests"])
add_endpoints(
    router,
    Offer(
        RunKind.BACKTEST,
        "/backtest/run",
        "What a vault would have done and earned.",
        {"vault_id": "mixed", "policies": ["onoff"], "start": "2024-03-01", "limits": {"dead_zone": 0.1}},
    ),
)
