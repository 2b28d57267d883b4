import math

import numpy as np
import pytest

from models.risk.var import ADAPTIVE_STEP, Tail, last_tail, tail_path


def _slow(ret: np.ndarray, forecast: np.ndarray, step: float, days: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition, row by row."""
    n, level = len(ret), 0.01
    ahead = np.array([ret[t + 1 : t + 1 + days].sum() if t + days < n else np.nan for t in range(n)])
    z = ahead / np.sqrt(forecast * days)
    var, es = np.full(n, np.nan), np.full(n, np.nan)
    for t in range(n):
        s = t - days
        if s >= 0 and np.isfinite(var[s]) and np.isfinite(z[s]):
            level = min(max(level + step * (0.01 - (ahead[s] < -var[s])), 0.002), 0.05)
        past = z[max(0, s + 1 - 1000) : max(0, s + 1)]
        past = past[np.isfinite(past)]
        if len(past) >= 300 and np.isfinite(forecast[t]):
            cut = np.quantile(past, level)
            var[t] = -cut * math.sqrt(forecast[t] * days)
            es[t] = -past[past <= cut].mean() * math.sqrt(forecast[t] * days)
    return var, es


@pytest.mark.parametrize("days", [1, 5])
@pytest.mark.parametrize("step", [0.0, ADAPTIVE_STEP])
def test_the_fast_path_is_the_definition(step: float, days: int) -> None:
    rng = np.random.default_rng(0)
    n = 1700
    forecast = np.exp(rng.normal(-9, 0.3, n))
    ret = rng.standard_t(4, n) * np.sqrt(forecast)
    ret[[5, 400, 401, 900, 1500]] = np.nan
    ret[600:620] = 0.0  # ties in the ordered window
    forecast[:20] = np.nan
    forecast[1200] = np.nan
    var, es, level = tail_path(ret, forecast, step, horizon_days=days)
    want_var, want_es = _slow(ret, forecast, step, days)
    np.testing.assert_allclose(var, want_var, rtol=1e-9)
    np.testing.assert_allclose(es, want_es, rtol=1e-9)
    assert ((level >= 0.002) & (level <= 0.05)).all()


@pytest.mark.parametrize("step", [0.0, ADAPTIVE_STEP])
def test_the_last_tail_continues_the_path(step: float) -> None:
    rng = np.random.default_rng(1)
    forecast = np.exp(rng.normal(-9, 0.3, 1200))
    ret = rng.standard_normal(1200) * np.sqrt(forecast)
    var, es, _ = tail_path(ret, forecast, step)
    np.testing.assert_allclose(last_tail(ret, forecast, step).of(float(forecast[-1])), (var[-1], es[-1]), rtol=1e-9)


def test_no_tail_from_too_few_residuals() -> None:
    assert all(math.isnan(x) for x in Tail(tuple(range(299)), 0.01).of(1.0))


def test_expected_shortfall_is_beyond_value_at_risk() -> None:
    tail = Tail(tuple(np.random.default_rng(2).standard_normal(500)), 0.01)
    var, es = tail.of(4e-4)
    assert 0 < var < es
    assert tail.of(16e-4)[0] == pytest.approx(2 * var)
