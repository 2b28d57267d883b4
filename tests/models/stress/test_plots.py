"""Pictures show the numbers of the curve they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from models.stress.plots import drawdown_histogram, fan_chart

PERCENTS = [1, 5, 25, 50, 75, 95, 99]


def curve() -> dict[str, Any]:
    def band(scale: float) -> dict[str, Any]:
        rows = [[1.0, 1.0 + scale * (p - 50) / 100, 1.0 + 2 * scale * (p - 50) / 100] for p in PERCENTS]
        return {"pointwise": rows, "low": [1.0, 0.7, 0.6], "high": [1.0, 1.2, 1.3]}

    bands = {"hold": band(0.4), "policy": band(0.2), "mix": band(0.3)}
    counts = {"hold": [5, 3, 2, 0, 0], "policy": [8, 2, 0, 0, 0], "mix": [0, 0, 0, 0, 10]}
    edges = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    return {
        "days": [0, 1, 2], "percents": PERCENTS, "bands": bands, "drawdown_edges": edges, "drawdown_counts": counts,
    }  # fmt: skip


def saved(figure: Figure) -> Figure:
    figure.canvas.draw()
    return figure


def test_a_fan_has_a_panel_with_and_one_without_the_keeper() -> None:
    own = curve()
    panels = saved(fan_chart(own, "vault")).axes
    assert [axes.get_title() for axes in panels] == ["without keeper", "with keeper"]
    for axes, name in zip(panels, ("hold", "policy"), strict=True):
        lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in axes.get_lines()}
        assert lines["median"].tolist() == own["bands"][name]["pointwise"][3]
        assert lines["90 % of whole paths"].tolist() == own["bands"][name]["low"]
        outer = axes.collections[0].get_paths()[0].vertices
        assert outer is not None
        last = np.asarray(outer)[np.asarray(outer)[:, 0] == 2.0][:, 1]
        rows = own["bands"][name]["pointwise"]
        assert (last.min(), last.max()) == pytest.approx((rows[0][2], rows[-1][2]))
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [  # type: ignore[union-attr]
            "1 to 99 % of closes", "5 to 95 % of closes", "25 to 75 % of closes", "median", "90 % of whole paths",
        ]  # fmt: skip


def test_a_histogram_shows_shares_up_to_the_last_path_that_is_shown() -> None:
    (axes,) = saved(drawdown_histogram(curve(), "vault")).axes
    shown = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    heights = {str(p.get_label()): p.get_data().values.tolist() for p in shown if not p.get_fill()}
    assert heights == {"without keeper": [0.5, 0.3, 0.2, 0.0, 0.0], "with keeper": [0.8, 0.2, 0.0, 0.0, 0.0]}
    assert axes.get_xlim() == pytest.approx((0.0, 0.6))
