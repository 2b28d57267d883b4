"""What the picture of recent losses draws: ratios by hand, and where a challenger gives way and returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.validation.decay import WINDOW
from models.validation.losses import qlike
from models.validation.plots import loss_ratio

DAYS = 250
MISS = {"ewma": 0.5, "log_har": 0.4, "combination": 0.3}


def forecasts(horizon: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    realised = np.exp(rng.normal(-8.0, 0.5, DAYS))
    frames = [
        pd.DataFrame(
            {
                "model": model, "series": "A", "horizon_days": horizon, "managed": False, "scored": True,
                "as_of": pd.date_range("2024-01-01", periods=DAYS, freq="D", tz="UTC"), "realised": realised,
                "rv_forecast": realised * np.exp(size * rng.standard_normal(DAYS)),
            }
        )
        for model, size in MISS.items()
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(("horizon", "window"), [(1, WINDOW), (7, 7 * WINDOW)])
def test_ratios_over_the_window_of_the_fallback(horizon: int, window: int) -> None:
    frame = forecasts(horizon)
    figure = loss_ratio(frame, ["combination", "log_har"], "log_har")
    above, below = figure.axes
    assert [line.get_label() for line in above.lines] == ["combination", "log_har", "1", "1.05"]
    assert [line.get_label() for line in below.lines] == ["combination", "1"]
    assert [float(line.get_ydata()[0]) for line in above.lines[-2:]] == [1.0, 1.05]
    loss = {
        model: qlike(part["realised"].to_numpy(), part["rv_forecast"].to_numpy())
        for model, part in frame.groupby("model")
    }
    for axes, reference in ((above, "ewma"), (below, "log_har")):
        drawn = np.asarray(axes.lines[0].get_ydata())
        assert np.isnan(drawn).sum() == window - 1
        assert drawn[-1] == pytest.approx(loss["combination"][-window:].mean() / loss[reference][-window:].mean())
    again = loss_ratio(frame, ["log_har", "combination"], "log_har").axes
    assert again[0].lines[1].get_color() == again[1].lines[0].get_color(), "a member has one colour"
    figure.canvas.draw()


def test_one_part_where_ewma_is_in_force_and_none_of_it_where_nothing_can_be_compared() -> None:
    figure = loss_ratio(forecasts(1), ["combination"], "ewma")
    assert len(figure.axes) == 1
    young = loss_ratio(forecasts(1).iloc[:0], ["ewma"], "ewma")
    assert [line.get_label() for line in young.axes[0].lines] == ["1", "1.05"]
    young.canvas.draw()
