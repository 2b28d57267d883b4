"""Every threshold of the data checks in one place, each with its reason. No code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Thresholds of quarantine, bar checks and reconciliation. Distances are natural logarithms."""

    # A daily move over 16 % is a devaluation or a typing error; which of the two, only the next prints can tell.
    held_log_distance: float = 0.15
    # Prints of a new level differ by a normal day's move; two glitches hardly ever agree this closely.
    confirm_log_distance: float = 0.05
    # Wrong scale was seen on two days running (NGN, June 2017), never on three.
    confirm_prints: int = 3
    # Nobody means to trade 1.65 times away from the median advert; the absurd ones of Bolivia stand at 1.7 to 2.5.
    advert_log_distance: float = 0.5
    # Prices come with at most eight figures: less than this outside the range is rounding, not a contradiction.
    range_tolerance: float = 1e-6
    # Fixings of one day are taken hours apart; a calm currency moves under 2 % between them, 5 % is two markets.
    reconcile_log_distance: float = 0.05
    # Above a fifth of unchanged rates somebody manages the rate, and its variance says little.
    managed_share: float = 0.20
    managed_window: int = 22


DEFAULT_LIMITS = QualityLimits()
