import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.risk.drawdown import Drawdown, drawdown, drawdown_path, equity_of


@pytest.mark.parametrize(
    ("equity", "want"),
    [
        ([1.0, 2.0, 1.0, 1.5, 2.0, 1.8], Drawdown(0.5, 1, 2, 4, 0.1, 0.6, 2, False)),  # 1.8 ends as long as it is
        ([1.0, 0.5, 0.6, 0.7], Drawdown(0.5, 0, 1, None, 0.3, 1.0, 3, True)),
        ([1.0, 1.1, 1.2], Drawdown(0.0, 0, 0, 0, 0.0, 0.0, 0, False)),
        ([2.0], Drawdown(0.0, 0, 0, 0, 0.0, 0.0, 0, False)),
        ([4.0, 3.0, 4.0, 2.0, 4.0, 3.0, 3.5], Drawdown(0.5, 0, 3, 4, 0.125, 4 / 6, 2, True)),
    ],
    ids=["recovered", "never-recovered", "only-up", "one-row", "open-spell-is-the-longest"],
)
def test_figures_by_hand(equity: list[float], want: Drawdown) -> None:
    got = drawdown(np.array(equity))
    assert got == Drawdown(*[pytest.approx(getattr(want, name)) for name in Drawdown.__slots__])


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=80))
def test_path_and_figures_agree_with_pandas(ret: list[float]) -> None:
    equity = equity_of(np.array(ret))
    got, path = drawdown(equity), drawdown_path(equity)
    series = pd.Series(equity)
    slow = 1.0 - series / series.cummax()
    np.testing.assert_allclose(path, slow.to_numpy(), atol=1e-12)
    assert 0.0 <= got.deepest < 1.0
    assert got.deepest == path.max() == 1.0 - equity[got.trough] / equity[got.peak]
    assert got.peak <= got.trough
    spells = (slow > 0).groupby((slow == 0).cumsum()).sum()
    assert got.longest_spell == int(spells.max())
    if got.recovered is not None:
        assert (equity[got.trough : got.recovered] < equity[got.peak]).all()
        assert equity[got.recovered] >= equity[got.peak]


def test_equity_compounds_log_returns() -> None:
    assert equity_of(np.log(np.array([1.1, 0.5]))) == pytest.approx([1.0, 1.1, 0.55])


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [1.0, 0.0], [1.0, math.inf]])
def test_an_impossible_path_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        drawdown(np.array(bad))


def test_a_missing_return_is_refused() -> None:
    with pytest.raises(ValueError, match="one is missing"):
        equity_of(np.array([0.1, math.nan]))
