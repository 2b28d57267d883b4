"""How much one run may ask for. One unit of work is one leg of one bar of one course: some 20 ns on one core.

The same numbers bound what is said in a request (`models.backtest.request`) and what a process takes on.
"""

from __future__ import annotations

AT_ONCE = 40_000_000  # about a second of one core, after the first run of a process has compiled
AT_ONCE_SHARED = 150_000_000  # three seconds of one core, by work that all cores share
MOST = 4_000_000_000  # minutes of a job; above it a request is refused
MAX_OPEN = 20  # runs that wait or are computed; the next one is told to come back
LARGE_RUNS_A_DAY = 200  # that the API leaves to the job in 24 hours: at most MOST each, so 4 to 5 hours of it
SMALL_RUNS_A_DAY = 2_000  # that the API computes itself in 24 hours, and stores
MAX_HISTORY_DAYS = 3_660  # of closes that are read for one run
MAX_BODY_BYTES = 16_384

REPETITIONS = 1_000  # of a bootstrap where nothing is said (`models.backtest.intervals`), and the most
MOST_REPETITIONS = 2_000
SHIFTS = 100  # of a placebo where nothing is said; the most is that of `models.backtest.placebo`
MOST_SHIFTS = 300
