"""GARCH and GJR-GARCH against the `arch` package, finite differences and their definition."""

import math

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from arch.univariate.base import ARCHModel
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from models.contracts.market import SeriesKind
from models.volatility.garch import PERCENT, Garch, GjrGarch, _from_free, _to_free, backcast, fit_garch
from models.volatility.garch_likelihood import negative_log_likelihood, next_variance
from models.volatility.panel import Panel, build_panel

COIN = SeriesKind.CANDLES
GAMMAS = (0.10, 0.0, -0.08)  # falls, neither, rises stir the variance more
IN_ARCHS_ORDER = [0, 1, 2, 5, 3, 4]  # gamma follows alpha there


def _student_garch(n: int, seed: int, gamma: float = 0.0) -> np.ndarray:
    """Returns in percent; the mean effect of news and the persistence are the same with every gamma."""
    rng = np.random.default_rng(seed)
    out, variance, shock = np.empty(n), 1.0, 1.0
    for t in range(n):
        news = 0.08 - gamma / 2 + (gamma if shock < 0 else 0.0)
        variance = 0.05 + news * shock**2 + 0.88 * variance
        shock = math.sqrt(variance * 4 / 6) * rng.standard_t(6)
        out[t] = 0.02 + shock
    return out


def _arch(returns: np.ndarray, leverage: bool = True) -> ARCHModel:
    return arch_model(returns, vol="GARCH", p=1, o=int(leverage), q=1, dist="t", rescale=False)


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Returns with leverage and a realised variance of twice their square; every 50th day has no return."""
    rows = []
    for seed, name in enumerate(("AAA", "BBB")):
        ret = _student_garch(900, seed, gamma=0.1) / PERCENT
        ret[::50] = np.nan
        as_of = pd.date_range("2021-01-02", periods=900, freq="D", tz="UTC")
        rows.append(pd.DataFrame({"series": name, "as_of": as_of, "rv": 2.0 * np.nan_to_num(ret) ** 2, "ret": ret}))
    return build_panel(pd.concat(rows), COIN)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_garch_agrees_with_arch(seed: int) -> None:
    returns = _student_garch(1500, seed)
    got = fit_garch(returns)
    assert got is not None
    *garch, gamma = got
    assert gamma == 0.0
    want = _arch(returns, leverage=False).fit(disp="off", show_warning=False)
    np.testing.assert_allclose(garch, want.params.to_numpy(), rtol=0.03, atol=2e-3)
    mu, omega, alpha, beta, _ = garch
    ours = next_variance(returns, backcast(returns), mu, omega, alpha, beta, gamma)[-1]
    theirs = want.forecast(horizon=1).variance.to_numpy()[-1, 0]
    assert ours == pytest.approx(theirs, rel=5e-3)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("seed", [0, 1])
def test_gjr_garch_agrees_with_arch(seed: int, gamma: float) -> None:
    returns = _student_garch(1500, seed, gamma)
    got = fit_garch(returns, leverage=True)
    assert got is not None
    want = _arch(returns).fit(disp="off", show_warning=False)
    np.testing.assert_allclose(np.array(got)[IN_ARCHS_ORDER], want.params.to_numpy(), rtol=0.03, atol=2e-3)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_likelihood_is_that_of_arch(gamma: float) -> None:
    returns = _student_garch(1000, 4, gamma)
    point = np.array([0.03, 0.07, 0.09, 0.85, 5.0, gamma])
    got = negative_log_likelihood(returns, backcast(returns - returns.mean()), *point)[0]
    in_nu = special.gammaln(3.0) - special.gammaln(2.5) - 0.5 * math.log(math.pi * 3.0)
    assert 1000 * (in_nu - got) == pytest.approx(_arch(returns).fix(point[IN_ARCHS_ORDER]).loglikelihood, rel=1e-12)


@pytest.mark.parametrize("member", [Garch, GjrGarch])
@pytest.mark.parametrize("horizon", [1, 7])
def test_the_forecast_is_archs_mean_over_the_horizon(panel: Panel, member: type[Garch], horizon: int) -> None:
    forecaster = member(COIN, horizon)
    forecaster.fit(panel, panel.grids["AAA"].as_of[-1])
    fitted = forecaster.parameters["AAA"]
    point = [fitted.mu, fitted.omega, fitted.alpha, fitted.gamma, fitted.beta, fitted.nu]
    returns = PERCENT * np.nan_to_num(panel.grids["AAA"].ret)
    want = _arch(returns).fix(point).forecast(horizon=horizon).variance.to_numpy()[-1].mean()
    assert fitted.level == pytest.approx(2.0, rel=1e-4), "but for the floor of days without a return"
    assert fitted.persistence < 0.999
    assert (fitted.gamma > 0.02) == member.leverage
    assert forecaster.forecast(panel, "AAA")[-1] == pytest.approx(fitted.level * want / PERCENT**2, rel=1e-9)


@pytest.mark.parametrize("leverage", [False, True])
def test_a_warm_start_ends_where_a_cold_start_does(leverage: bool) -> None:
    returns = _student_garch(1200, 5, gamma=0.06)
    warm = fit_garch(returns, fit_garch(returns[:-28], leverage=leverage), leverage)
    assert warm is not None
    np.testing.assert_allclose(warm, fit_garch(returns, leverage=leverage), rtol=0.05, atol=5e-3)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("parameter", range(6))
def test_gradient(parameter: int, gamma: float) -> None:
    returns = _student_garch(300, 3)
    point = np.array([0.01, 0.1, 0.1, 0.8, 5.0, gamma])
    step = np.zeros(6)
    step[parameter] = 1e-6
    up, down = (negative_log_likelihood(returns, 1.3, *(point + sign * step))[0] for sign in (1, -1))
    gradient = negative_log_likelihood(returns, 1.3, *point)[1]
    assert gradient[parameter] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("size", [5, 6])
def test_free_numbers_have_the_jacobian_of_finite_differences_and_come_back(size: int) -> None:
    free = np.array([0.02, -0.4, 2.5, -2.0, 1.2, 0.7])[:size]
    parameters, jacobian = _from_free(free, 2.0)
    for column, step in enumerate(1e-6 * np.eye(size)):
        up, down = (np.array(_from_free(free + sign * step, 2.0)[0]) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, column], (up - down) / 2e-6, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(_to_free(parameters, 2.0), [*free, 0.0][:6], rtol=1e-9, atol=1e-12)


def test_with_gamma_zero_the_filter_is_garch_by_hand() -> None:
    got = next_variance(np.array([1.0, -2.0]), 1.0, 0.0, 0.1, 0.2, 0.5, 0.0)
    np.testing.assert_allclose(got, [0.1 + 0.2 + 0.5 * 0.8, 0.1 + 0.2 * 4 + 0.5 * 0.7])


def test_only_falls_meet_gamma() -> None:
    """Before the first return half of the variance counts as fallen."""
    got = next_variance(np.array([1.0, -2.0]), 1.0, 0.0, 0.1, 0.2, 0.5, 0.3)
    np.testing.assert_allclose(got, [0.1 + 0.2 + 0.5 * 0.95, 0.1 + 0.5 * 4 + 0.5 * 0.775])


@given(
    st.integers(0, 10**6),
    st.integers(200, 400),
    st.floats(0.01, 100.0),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_what_is_fitted_is_a_variance_that_comes_back(seed: int, n: int, scale: float, leverage: bool) -> None:
    """Also on returns without any clustering, whatever their scale."""
    returns = scale * np.random.default_rng(seed).standard_t(4, n)
    _, omega, alpha, beta, nu, gamma = fit_garch(returns, leverage=leverage) or pytest.fail("did not converge")
    assert min(omega, alpha, alpha + gamma, beta) > 0
    assert alpha + gamma / 2 + beta < 1
    assert nu > 2


@pytest.mark.parametrize("leverage", [False, True])
def test_a_constant_has_no_fit(leverage: bool) -> None:
    assert fit_garch(np.zeros(500), leverage=leverage) is None


@pytest.mark.parametrize("member", [Garch, GjrGarch])
def test_a_series_that_is_too_short_keeps_what_it_had(panel: Panel, member: type[Garch]) -> None:
    forecaster = member(COIN, 1)
    forecaster.fit(panel, panel.grids["AAA"].as_of[150])
    assert np.isnan(forecaster.forecast(panel, "AAA", 100, 200)).all()
    forecaster.fit(panel, panel.grids["AAA"].as_of[400])
    before = forecaster.state()
    forecaster.fit(panel, panel.grids["AAA"].as_of[150])
    assert forecaster.state() == before


@pytest.mark.parametrize("member", [Garch, GjrGarch])
def test_days_after_the_fit_do_not_train(panel: Panel, member: type[Garch]) -> None:
    moment = panel.grids["AAA"].as_of[600]
    states = []
    for factor in (1.0, 50.0):
        rows = [
            pd.DataFrame({"series": name, "as_of": grid.as_of, "rv": grid.rv, "ret": grid.ret})
            for name, grid in panel.grids.items()
        ]
        changed = pd.concat(rows)
        late = changed["as_of"] > moment
        changed.loc[late, ["rv", "ret"]] *= factor
        forecaster = member(COIN, 1)
        forecaster.fit(build_panel(changed, COIN), moment)
        states.append(forecaster.state())
    assert set(states[0]) == {"AAA", "BBB"}
    assert states[0] == states[1]
