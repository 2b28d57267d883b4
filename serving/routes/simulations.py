"""Simulations over HTTP, as `serving.routes.runs` offers every kind of run, and the library of scenarios."""

from fastapi import APIRouter

from models.contracts.runs import RunKind
from models.stress.scenario_library import SCENARIOS
from serving.routes.runs import Offer, add_endpoints
from serving.stress_schemas import ScenarioLibrary, scenario_of

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


@router.get("/risk/scenarios")
def scenarios() -> ScenarioLibrary:
    """Dated events that a simulation can meet, oldest first, with the sources of their figures."""
    return ScenarioLibrary(scenarios=[scenario_of(one) for one in SCENARIOS.values()])
