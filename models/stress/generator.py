"""What every generator of paths can do: show paths, or say what became of them without keeping any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.stress.counter_rng import key_of
from models.stress.path_statistics import FIGURES, PathStatistics, in_shares, statistics_of

FloatArray = NDArray[np.float64]


class Kernels(NamedTuple):
    """Compiled fillers of paths first, first + 1, ...: `paths(key, first, out)` with (paths, assets, steps) `out`,
    `figures(key, first, out)` with (paths, assets, figures). They release the lock."""

    paths: Callable[[np.uint64, int, FloatArray], None]
    figures: Callable[[np.uint64, int, FloatArray], None]


class PathGenerator(ABC):
    """Joint paths of log returns. A path is a function of the seed and of its number: in whatever shares and on
    however many threads paths are drawn, the same seed gives the same bytes."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def assets(self) -> int:
        """Number of assets of a path."""

    @abstractmethod
    def kernels(self, steps: int) -> Kernels:
        """Fillers of paths of `steps` steps."""

    def paths(self, paths: int, steps: int, seed: int, first: int = 0, threads: int = 1) -> FloatArray:
        """(paths, steps, assets) log returns of paths first, first + 1, ...: for looking at and for small numbers.

        Raises
        ------
        ValueError
            There is no step.
        """
        fill, key = self._kernels(steps).paths, self._key(seed)
        out = np.empty((paths, self.assets, steps))
        in_shares(lambda a, b: fill(key, first + a, out[a:b]), paths, threads)
        return np.moveaxis(out, 1, 2)

    def statistics(self, paths: int, steps: int, seed: int, first: int = 0, threads: int = 1) -> PathStatistics:
        """Figures of the same paths, none of which is kept."""
        fill, key = self._kernels(steps).figures, self._key(seed)
        out = np.empty((paths, self.assets, FIGURES))
        in_shares(lambda a, b: fill(key, first + a, out[a:b]), paths, threads)
        return statistics_of(out, steps)

    def _kernels(self, steps: int) -> Kernels:
        if steps < 1:
            raise ValueError(f"a path needs a step, got {steps}")
        return self.kernels(steps)

    def _key(self, seed: int) -> np.uint64:
        return key_of(seed, self.name)
