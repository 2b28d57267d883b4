"""GARCH(1,1) and GJR-GARCH(1,1) with Student-t innovations on daily returns, at the level of realised variance.

In the second a fall may raise the next variance by more, or by less, than a rise of its size (Glosten, Jagannathan &
Runkle 1993); the first is its case gamma = 0. Maximum likelihood by a truncated Newton method with an exact gradient,
started from the last fit: a walk-forward refits every series hundreds of times. (L-BFGS-B needs no more steps but spins
threads of BLAS on 5 x 5 matrices: ten times slower on a busy machine.) Checked against the `arch` package in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from models.contracts.horizons import RV_FLOOR
from models.contracts.score import Driver
from models.volatility.forecaster import MIN_TRAINING_ROWS, Forecaster
from models.volatility.garch_likelihood import negative_log_likelihood, next_variance
from models.volatility.panel import Grid, Panel

FloatArray = NDArray[np.float64]

PERCENT = 100.0  # returns in percent keep every parameter near 1
MAX_PERSISTENCE = 0.9999
LEVEL_WINDOW = 1000  # rows over which realised variance and squared returns are compared
BACKCAST_ROWS = 75
BACKCAST_DECAY = 0.94
# mu, ln of long-run over sample variance, persistence, share of news in it, nu, share of falls in the effect of news
START = (0.0, 0.0, 0.94, 0.06, 6.0, 0.5)
NU_RANGE = (2.1, 200.0)
LOGIT_RANGE = (-12.0, 12.0)
OPTIMISER = {"maxfun": 300, "ftol": 1e-8, "gtol": 1e-5}  # the next digits of the likelihood cost twice the steps


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """Returns in percent. `start`: variance before the first return. `level`: realised variance / squared return.
    `gamma`: what a fall adds to alpha."""

    mu: float
    omega: float
    alpha: float
    beta: float
    nu: float
    start: float
    level: float
    gamma: float = 0.0

    @property
    def persistence(self) -> float:
        """What is left of a deviation of the variance after a day: innovations are symmetric, half of e^2 falls."""
        return self.alpha + 0.5 * self.gamma + self.beta


def backcast(returns: FloatArray) -> float:
    """Exponentially weighted mean of the first squared deviations: the variance before the first return."""
    deviations = (returns - returns.mean())[:BACKCAST_ROWS] ** 2
    weights = BACKCAST_DECAY ** np.arange(len(deviations))
    return float(weights @ deviations / weights.sum())


def fit_garch(
    returns: FloatArray, warm_start: Sequence[float] | None = None, leverage: bool = False
) -> tuple[float, ...] | None:
    """Maximum-likelihood (mu, omega, alpha, beta, nu, gamma) of (n,) returns in percent without NaN.

    Parameters
    ----------
    warm_start : parameters of an earlier fit in the same units
    leverage : estimate gamma too; else it is zero

    Returns
    -------
    omega, alpha, alpha + gamma and beta are positive, alpha + gamma / 2 + beta is below 1. None if the returns hardly
    vary or the likelihood is not finite.
    """
    sample = float(returns.var())
    if not sample > 1e-10:
        return None
    start = backcast(returns)
    size = 6 if leverage else 5
    first = (_to_free(warm_start, sample) if warm_start else _start(returns))[:size]

    def objective(free: FloatArray) -> tuple[float, FloatArray]:
        parameters, jacobian = _from_free(free, sample)
        value, gradient = negative_log_likelihood(returns, start, *parameters)
        nu = parameters[4]
        value -= special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - math.log(nu - 2) / 2
        gradient[4] -= special.psi((nu + 1) / 2) / 2 - special.psi(nu / 2) / 2 - 0.5 / (nu - 2)
        return value, jacobian[:size].T @ gradient[:size]

    tails = tuple(math.log(nu - 2) for nu in NU_RANGE)
    bounds = [(None, None), (-12.0, 6.0), LOGIT_RANGE, LOGIT_RANGE, tails, LOGIT_RANGE][:size]
    found = optimize.minimize(
        objective,
        first,
        jac=True,
        method="TNC",
        bounds=bounds,
        options=OPTIMISER,
    )
    if not np.isfinite(found.fun):
        return None
    return _from_free(found.x, sample)[0]


class Garch(Forecaster):
    name: ClassVar[str] = "garch"
    leverage: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parameters: dict[str, GarchParameters] = {}

    def fit(self, panel: Panel, known_until: np.datetime64) -> None:
        """A day without a return counts as a return of zero: the filter must not stop."""
        for series, grid in panel.grids.items():
            stop = grid.rows_until(known_until)
            if np.isfinite(grid.ret[:stop]).sum() < MIN_TRAINING_ROWS:
                continue
            returns = _percent(grid)[:stop]
            before = self.parameters.get(series)
            warm = (before.mu, before.omega, before.alpha, before.beta, before.nu, before.gamma) if before else None
            fitted = fit_garch(returns, warm, self.leverage)
            if fitted is None:
                continue
            recent = slice(max(0, stop - 1 - LEVEL_WINDOW), stop)
            squares = float(np.mean((returns[recent] / PERCENT) ** 2))
            level = float(np.nanmean(grid.rv[recent])) / max(squares, 1e-12)
            mu, omega, alpha, beta, nu, gamma = fitted
            self.parameters[series] = GarchParameters(mu, omega, alpha, beta, nu, backcast(returns), level, gamma)

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        grid = panel.grids[series]
        fitted = self.parameters.get(series)
        if fitted is None:
            return np.full(len(grid.ret[start:stop]), np.nan)
        path = next_variance(
            _percent(grid)[:stop], fitted.start, fitted.mu, fitted.omega, fitted.alpha, fitted.beta, fitted.gamma
        )
        persistence = fitted.persistence
        if persistence < 0.999:  # beyond it the long-run variance is not estimated, only extrapolated
            long_run = fitted.omega / (1.0 - persistence)
            weight = float(np.mean(persistence ** np.arange(self.horizon_days)))
            path = long_run + weight * (path - long_run)
        return np.maximum(fitted.level * path[start:] / PERCENT**2, RV_FLOOR)

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        value = float(self.forecast(panel, series, row, row + 1)[0])
        return (Driver(self.name, value, math.log(value)),)

    def state(self) -> dict[str, Any]:
        return {series: asdict(fitted) for series, fitted in self.parameters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self.parameters = {series: GarchParameters(**values) for series, values in state.items()}


class GjrGarch(Garch):
    name: ClassVar[str] = "gjr_garch"
    leverage: ClassVar[bool] = True


def _percent(grid: Grid) -> FloatArray:
    return np.nan_to_num(grid.ret) * PERCENT


def _start(returns: FloatArray) -> FloatArray:
    _, log_ratio, persistence, share, nu, downside = START
    logits = special.logit([persistence, share, downside])
    return np.array([returns.mean(), log_ratio, logits[0], logits[1], math.log(nu - 2), logits[2]])


def _to_free(parameters: Sequence[float], sample: float) -> FloatArray:
    mu, omega, alpha, beta, nu, gamma = parameters
    news = alpha + 0.5 * gamma
    long_run = omega / (1.0 - news - beta)
    falls = (alpha + gamma) / (2.0 * news) if news > 0 else 0.5
    shares = [(news + beta) / MAX_PERSISTENCE, news / (news + beta), falls]
    persistence, share, downside = np.clip(special.logit(shares), *LOGIT_RANGE)
    return np.array([mu, math.log(long_run / sample), persistence, share, math.log(nu - 2), downside])


def _from_free(free: FloatArray, sample: float) -> tuple[tuple[float, ...], FloatArray]:
    """Model parameters of (k,) unconstrained numbers, and the 6 x k Jacobian of the map.

    The sixth number divides the mean effect of news, alpha + gamma / 2, between falls and rises; without it (k = 5)
    they have equal halves.
    """
    p, a = special.expit(free[2]), special.expit(free[3])
    downside = special.expit(free[5]) if len(free) == 6 else 0.5
    persistence, long_run = MAX_PERSISTENCE * p, sample * math.exp(free[1])
    d_persistence, d_share = persistence * (1.0 - p), a * (1.0 - a)
    rise, tilt = 2.0 * (1.0 - downside), 2.0 * (2.0 * downside - 1.0)  # alpha and gamma over the mean effect
    news = a * persistence
    excess = math.exp(free[4])
    jacobian = np.zeros((6, len(free)))
    jacobian[0, 0] = 1.0
    jacobian[1, 1] = long_run * (1.0 - persistence)
    jacobian[1, 2] = -long_run * d_persistence
    jacobian[2, 2], jacobian[2, 3] = rise * (a * d_persistence), rise * (persistence * d_share)
    jacobian[3, 2], jacobian[3, 3] = (1.0 - a) * d_persistence, -persistence * d_share
    jacobian[4, 4] = excess
    if len(free) == 6:
        d_downside = downside * (1.0 - downside)
        jacobian[2, 5] = -2.0 * news * d_downside
        jacobian[5, 2], jacobian[5, 3] = tilt * (a * d_persistence), tilt * (persistence * d_share)
        jacobian[5, 5] = 4.0 * news * d_downside
    parameters = (
        float(free[0]),
        float(long_run * (1.0 - persistence)),
        float(rise * news),
        float((1.0 - a) * persistence),
        2.0 + excess,
        float(tilt * news),
    )
    return parameters, jacobian
