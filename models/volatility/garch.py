"""GARCH(1,1) with Student-t innovations on daily returns, brought to the level of realised variance.

Maximum likelihood by a truncated Newton method with an exact gradient, started from the last fit: a walk-forward
refits every series hundreds of times. (L-BFGS-B needs no more steps but spins threads of BLAS on 5 x 5 matrices: ten
times slower on a busy machine.) Checked against the `arch` package in the tests.
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
START = (0.0, 0.0, 0.94, 0.06, 6.0)  # mu, ln of long-run over sample variance, persistence, alpha's share of it, nu
NU_RANGE = (2.1, 200.0)
LOGIT_RANGE = (-12.0, 12.0)
OPTIMISER = {"maxfun": 300, "ftol": 1e-8, "gtol": 1e-5}  # the next digits of the likelihood cost twice the steps


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """Returns in percent. `start`: variance before the first return. `level`: realised variance / squared return."""

    mu: float
    omega: float
    alpha: float
    beta: float
    nu: float
    start: float
    level: float


def backcast(returns: FloatArray) -> float:
    """Exponentially weighted mean of the first squared deviations: the variance before the first return."""
    deviations = (returns - returns.mean())[:BACKCAST_ROWS] ** 2
    weights = BACKCAST_DECAY ** np.arange(len(deviations))
    return float(weights @ deviations / weights.sum())


def fit_garch(returns: FloatArray, warm_start: Sequence[float] | None = None) -> tuple[float, ...] | None:
    """Maximum-likelihood (mu, omega, alpha, beta, nu) of (n,) returns in percent; None if it does not converge.

    Parameters
    ----------
    warm_start : parameters of an earlier fit in the same units
    """
    sample = float(returns.var())
    if not sample > 1e-10:
        return None
    start = backcast(returns)
    first = _to_free(warm_start, sample) if warm_start else _start(sample, returns)

    def objective(free: FloatArray) -> tuple[float, FloatArray]:
        (mu, omega, alpha, beta, nu), jacobian = _from_free(free, sample)
        value, gradient = negative_log_likelihood(returns, start, mu, omega, alpha, beta, nu)
        value -= special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - math.log(nu - 2) / 2
        gradient[4] -= special.psi((nu + 1) / 2) / 2 - special.psi(nu / 2) / 2 - 0.5 / (nu - 2)
        return value, jacobian.T @ gradient

    bounds = [(None, None), (-12.0, 6.0), LOGIT_RANGE, LOGIT_RANGE, tuple(math.log(nu - 2) for nu in NU_RANGE)]
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
            warm = (before.mu, before.omega, before.alpha, before.beta, before.nu) if before else None
            fitted = fit_garch(returns, warm)
            if fitted is None:
                continue
            recent = slice(max(0, stop - 1 - LEVEL_WINDOW), stop)
            squares = float(np.mean((returns[recent] / PERCENT) ** 2))
            level = float(np.nanmean(grid.rv[recent])) / max(squares, 1e-12)
            mu, omega, alpha, beta, nu = fitted
            self.parameters[series] = GarchParameters(mu, omega, alpha, beta, nu, backcast(returns), level)

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray:
        grid = panel.grids[series]
        fitted = self.parameters.get(series)
        if fitted is None:
            return np.full(len(grid.ret[start:stop]), np.nan)
        path = next_variance(_percent(grid)[:stop], fitted.start, fitted.mu, fitted.omega, fitted.alpha, fitted.beta)
        persistence = fitted.alpha + fitted.beta
        if persistence < 0.999:  # beyond it the long-run variance is not estimated, only extrapolated
            long_run = fitted.omega / (1.0 - persistence)
            weight = float(np.mean(persistence ** np.arange(self.horizon_days)))
            path = long_run + weight * (path - long_run)
        return np.maximum(fitted.level * path[start:] / PERCENT**2, RV_FLOOR)

    def terms(self, panel: Panel, series: str, row: int) -> tuple[Driver, ...]:
        value = float(self.forecast(panel, series, row, row + 1)[0])
        return (Driver("garch", value, math.log(value)),)

    def state(self) -> dict[str, Any]:
        return {series: asdict(fitted) for series, fitted in self.parameters.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self.parameters = {series: GarchParameters(**values) for series, values in state.items()}


def _percent(grid: Grid) -> FloatArray:
    return np.nan_to_num(grid.ret) * PERCENT


def _start(sample: float, returns: FloatArray) -> FloatArray:
    _, log_ratio, persistence, share, nu = START
    free = [returns.mean(), log_ratio, special.logit(persistence), special.logit(share), math.log(nu - 2)]
    return np.array(free)


def _to_free(parameters: Sequence[float], sample: float) -> FloatArray:
    mu, omega, alpha, beta, nu = parameters
    persistence = (alpha + beta) / MAX_PERSISTENCE
    long_run = omega / (1.0 - alpha - beta)
    free = [
        mu,
        math.log(long_run / sample),
        float(np.clip(special.logit(persistence), *LOGIT_RANGE)),
        float(np.clip(special.logit(alpha / (alpha + beta)), *LOGIT_RANGE)),
        math.log(nu - 2),
    ]
    return np.array(free)


def _from_free(free: FloatArray, sample: float) -> tuple[tuple[float, ...], FloatArray]:
    """Model parameters of five unconstrained numbers, and the 5 x 5 Jacobian of the map."""
    p, a = special.expit(free[2]), special.expit(free[3])
    persistence, long_run = MAX_PERSISTENCE * p, sample * math.exp(free[1])
    d_persistence, d_share = persistence * (1.0 - p), a * (1.0 - a)
    excess = math.exp(free[4])
    jacobian = np.zeros((5, 5))
    jacobian[0, 0] = 1.0
    jacobian[1, 1] = long_run * (1.0 - persistence)
    jacobian[1, 2] = -long_run * d_persistence
    jacobian[2, 2], jacobian[2, 3] = a * d_persistence, persistence * d_share
    jacobian[3, 2], jacobian[3, 3] = (1.0 - a) * d_persistence, -persistence * d_share
    jacobian[4, 4] = excess
    parameters = (
        float(free[0]),
        float(long_run * (1.0 - persistence)),
        float(a * persistence),
        float((1.0 - a) * persistence),
        2.0 + excess,
    )
    return parameters, jacobian
