"""What the page of a registered version shows beside its figures: drivers, recent losses, model card, environment."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version as version_of_package

import pandas as pd

from models.contracts.tables import ML_EVALUATIONS
from models.validation.evaluation import PANEL
from models.validation.gate import GateDecision
from models.validation.importance import importance
from models.validation.model_card import model_card
from models.validation.plots import drivers, loss_ratio
from models.volatility.bundle import Bundle
from orchestration.assets.evaluation import Work
from orchestration.resources.model_registry import REQUIREMENTS, ModelRegistry, Version
from orchestration.resources.warehouse import Warehouse


def environment() -> dict[str, str]:
    """Versions of the interpreter and of the packages that a fit depends on, by name."""
    return {"python": platform.python_version(), **{name: version_of_package(name) for name in REQUIREMENTS}}


def describe(
    warehouse: Warehouse,
    registry: ModelRegistry,
    version: Version,
    work: Work,
    bundle: Bundle,
    decision: GateDecision,
    forecasts: pd.DataFrame,
    shadows: Sequence[str],
) -> None:
    """Add drivers, recent losses and the card of a version to the run that it was registered from; the same again if
    repeated. `forecasts`: what was evaluated; `shadows`: members that go with the version unserved."""
    sizes = importance(bundle, work.rows)
    figures = pd.DataFrame(
        warehouse.rows(
            f"select * from {ML_EVALUATIONS} where evaluation_id = :id and series = :panel order by qlike",
            {"id": work.id, "panel": PANEL},
        )
    )
    evidence = {"evaluation": work.id, "data hash": work.data, "code hash": work.code, **environment()}
    registry.add(
        version.run_id,
        figures={
            "plots/drivers.png": drivers(sizes, bundle.champion),
            "plots/loss_ratio.png": loss_ratio(forecasts, [bundle.champion, *shadows], decision.best_baseline),
        },
        texts={
            "drivers.csv": sizes.to_csv(index=False),
            "model_card.md": model_card(bundle, decision, figures, evidence),
        },
    )
