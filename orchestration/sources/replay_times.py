"""Times in recordings: which cannot be true, and where a row without one belongs. Pure."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pandas as pd

EPOCH = pd.Timestamp(0, tz="UTC")  # what a missing time becomes on its way through a number
FIRST_YEAR, LAST_YEAR = 1900, 2100  # no recording is older, none reaches further
LAST = pd.Timestamp(f"{LAST_YEAR}-12-31", tz="UTC")
DREAMT = pd.Timedelta(days=366)  # a row of the future this far behind the one before it is a typing error


def possible(ts: pd.Series) -> pd.Series:
    """Whether each time can be one of a recording: in a year of ours, and not the number zero."""
    found: pd.Series = ts.dt.year.between(FIRST_YEAR, LAST_YEAR) & (ts != EPOCH)
    return found


def dreamt(ts: pd.Series, today: datetime | None) -> pd.Series:
    """Times after `today` that stand years behind the rest of their file; the market's clock would follow them.

    A file that simply goes on into the future is played as it is.
    """
    nothing = pd.Series(False, index=ts.index)
    if today is None or not (ts > today).any():
        return nothing
    times = pd.DatetimeIndex(ts.dropna().unique()).sort_values()
    torn = np.flatnonzero((times[1:] > pd.Timestamp(today)) & (times[1:] - times[:-1] > DREAMT))
    return ts >= times[torn[0] + 1] if len(torn) else nothing


def nominal_date(text: str) -> pd.Timestamp:
    """Where a row without a valid date belongs in time: 2011-09-31 is the day after 2011-09-30.

    The epoch when nothing like a date is in the text: such a row is reported with the first of its history.
    """
    found = re.search(r"(\d{4})-(\d{1,2})-(\d{1,2})", text)
    if not found or not (1 <= int(found[2]) <= 12 and FIRST_YEAR <= int(found[1]) <= LAST_YEAR):
        return EPOCH
    return pd.Timestamp(f"{found[1]}-{int(found[2]):02d}-01", tz="UTC") + pd.Timedelta(days=int(found[3]) - 1)
