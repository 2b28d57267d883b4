"""`ml.drift_calibrations` and `ml.drift_alarms`: what is usual for each series, and what no longer is.

Calibrations belong to the training job: seconds of work on the whole history, once a week. Alarms belong to the hourly
refresh: a feed must be found out within two bars, and a look costs a second at most. The daily grids (features,
outcomes) are looked at in the first refresh of a market day.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.tables import ML_DRIFT_ALARMS, ML_DRIFT_CALIBRATIONS
from models.drift.alarms import DriftKind, NotEnoughHistory
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.drift.calibrate import Row, calibrate_all
from orchestration.drift.curve import FEW_PLANTS, as_markdown_image, curve_of, market_streams, png_of
from orchestration.drift.daily import is_due, mark_done, watch_days
from orchestration.drift.watch import as_row, merged, watch_streams
from orchestration.resources.workspace import Workspace

_SHOWN = 20


@dg.asset(
    key=keys.DRIFT_CALIBRATIONS,
    deps=[keys.BAR_RETURNS, keys.WALK_FORWARD],
    group_name=keys.TRAINING,
    kinds={"postgres", "python"},
)
def drift_calibrations(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Thresholds of the drift detectors from each series' own block-bootstrapped history, with their false-alarm rate.

    Grain: one row a subject, kind and history.
    """
    rows, refused = calibrate_all(workspace, context.run.run_id)
    added = workspace.warehouse.append_table(ML_DRIFT_CALIBRATIONS, rows)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "too_short": len(refused),
            "refused": refused[:_SHOWN],
            **_delay_of_one(workspace, rows),
        }
    )


def _delay_of_one(workspace: Workspace, rows: Sequence[Row]) -> dict[str, Any]:
    """Delay against false alarms of the longest stream that was calibrated anew, as a table and a picture: seconds.
    Nothing without one."""
    longest = min(((r["history_start"], r["subject"]) for r in rows if r["kind"] == DriftKind.VOLATILITY), default=None)
    if longest is None:
        return {}
    subject = str(longest[1])
    try:
        curve = curve_of(market_streams(workspace, workspace.now()), subject, workspace.settings.seed, FEW_PLANTS)
    except NotEnoughHistory as why:
        return {"delay_curve": str(why)}
    return {
        "delay_curve": dg.MetadataValue.md(f"{subject}\n\n{markdown(curve.round(3))}"),
        "delay_curve_plot": dg.MetadataValue.md(as_markdown_image(png_of(curve, subject), subject)),
    }


@dg.asset(
    key=keys.DRIFT_ALARMS,
    deps=[keys.BAR_RETURNS, keys.VOLATILITY_FEATURES, keys.SCORES, keys.DRIFT_CALIBRATIONS],
    group_name=keys.SCORING,
    kinds={"postgres", "python"},
)
def drift_alarms(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Drift of volatility, feeds, features and forecasts, and single odd bars, each with threshold and evidence.

    Grain: one row a subject, kind and moment. A second look adds nothing.
    """
    now, warehouse = workspace.now(), workspace.warehouse
    daily = is_due(warehouse, now)
    found = merged([*watch_streams(workspace, now), *(watch_days(workspace, now) if daily else ())])
    added = warehouse.append_table(
        ML_DRIFT_ALARMS, [as_row(alarm, workspace.mode.value, context.run.run_id) for alarm in found]
    )
    if daily:
        mark_done(warehouse, now)
    shown = pd.DataFrame(
        [
            {"subject": a.subject, "kind": a.kind.value, "detected_at": f"{a.detected_at:%Y-%m-%d %H:%M}",
             "statistic": f"{a.statistic:.3g}", "threshold": f"{a.threshold:.3g}"}
            for a in found[-_SHOWN:]
        ]
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "standing": len(found),
            "daily_grids": daily,
            "newest": dg.MetadataValue.md(markdown(shown)),
        }
    )
