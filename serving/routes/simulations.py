"""Simulations over HTTP, as `serving.routes.runs` offers every kind of run, the newest stress test of each vault, and
the library of scenarios."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from models.access.keys import Scope
from models.contracts.runs import RunKind
from models.stress.scenario_library import SCENARIOS
from serving.access.scopes import needs
from serving.dependencies import MarketDep, StoreDep
from serving.errors import Problem
from serving.routes.runs import Offer, add_endpoints, problem
from serving.stress_schemas import RiskStress, ScenarioLibrary, scenario_of, stress_test_of

router = APIRouter(tags=["stress"])
add_endpoints(
    router,
    Offer(
        RunKind.SIMULATION,
        "/risk/simulate",
        "What may become of a vault on drawn paths, with and without its keeper, under shocks and scenarios.",
        {"vault_id": "mixed", "days": 30, "shocks": {"gap": {"rate_per_year": 4}}, "scenario": "terra-2022-05"},
    ),
)

_LATEST = "/risk/stress/latest"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: problem(404, "no_stress_test", "There is no stress test yet", _LATEST),
    422: problem(422, "invalid_parameter", "A parameter is not valid", _LATEST),
    503: problem(503, "database_unavailable", "The database cannot be read", _LATEST),
}


@router.get(_LATEST, dependencies=[needs(Scope.READ)], responses=_PROBLEMS)
def stress_latest(
    store: StoreDep,
    market: MarketDep,
    vault_id: Annotated[
        str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Only of this vault; all if unset")
    ] = None,
) -> RiskStress:
    """The newest daily stress test of each vault. One that is overdue is still the newest, and says so."""
    rows = store.stress(vault_id)
    if not rows:
        whose = "any vault" if vault_id is None else f"vault {vault_id}"
        raise Problem(
            404, "no_stress_test", "There is no stress test yet",
            f"No stress test of {whose} was made yet; it is made once a day after the scores, by the asset "
            "risk/stress. POST /v1/risk/simulate asks for a simulation of your own.",
            field=None if vault_id is None else "vault_id",
        )  # fmt: skip
    return RiskStress(market=market, stress=[stress_test_of(row, market.time) for row in rows])


@router.get("/risk/scenarios", dependencies=[needs(Scope.READ)])
def scenarios() -> ScenarioLibrary:
    """Dated events that a simulation can meet, oldest first, with the sources of their figures."""
    return ScenarioLibrary(scenarios=[scenario_of(one) for one in SCENARIOS.values()])
