"""The delay curve of one hourly stream of this market: how late a drift is noticed, at how many false alarms.

Here: which stream, with whom to explain it, and the forms in which the curve is shown. The curve is
`models.drift.delay_curve`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from datetime import datetime

import pandas as pd
from matplotlib.figure import Figure

from models.drift.alarms import NotEnoughHistory
from models.drift.delay_curve import delay_curve
from models.drift.plots import delay_against_false_alarms
from models.drift.volatility import HISTORY_H, HourlyStream
from models.stress.streams import stream
from orchestration.drift.reads import hourly_ids, hourly_streams, peers_of, with_peers
from orchestration.resources.workspace import Workspace

PLANTS = 200
FEW_PLANTS = 40  # in the training job: four seconds; their medians lie within a few hours of those of 200
_DPI = 80


def market_streams(workspace: Workspace, now: datetime) -> dict[str, HourlyStream]:
    """Believed hourly returns of all scored coins."""
    ids = hourly_ids([spec for spec in workspace.series() if spec.scored])
    return hourly_streams(workspace.warehouse, ids, now) if ids else {}


def curve_of(streams: Mapping[str, HourlyStream], subject: str, seed: int, plants: int = PLANTS) -> pd.DataFrame:
    """`delay_curve` of a stream: fitted on its first half, drifts planted in the second, explained by what there is.

    Raises
    ------
    NotEnoughHistory
        The first half is too short to fit a detector on.
    """
    own = with_peers(streams, subject, peers_of(streams, subject))
    hours = len(own.returns)
    if hours < 2 * HISTORY_H:
        raise NotEnoughHistory(f"{hours} hours of {subject} are there, {2 * HISTORY_H} are the fewest to halve")
    rng = stream(seed, f"drift/curve/{subject}", 0)
    return delay_curve(own, hours // 2, rng, explained=own.explained, plants=plants)


def png_of(curve: pd.DataFrame, subject: str) -> bytes:
    """The picture of a curve."""
    return png(delay_against_false_alarms(curve, f"{subject}: delay against false alarms"))


def png(figure: Figure) -> bytes:
    """A figure as a small picture."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    return drawn.getvalue()


def as_markdown_image(png: bytes, title: str) -> str:
    """A picture that a page of Dagster shows without a file beside it."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"
