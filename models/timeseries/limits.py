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
    # A factor of two within one bar or advert. The largest true hourly move of seven coins in six years is 0.35; the
    # smallest slip of a scale seen is a factor of ten.
    scale_log_distance: float = 0.69
    # What a bar or advert that hardly anybody stands behind may move by itself: a true crash comes with volume.
    thin_log_distance: float = 0.15
    # Bars of a new level still move: right after a crash the hours differ by up to 15 %.
    bar_confirm_log_distance: float = 0.15
    # One deal or one advert is one person's opinion.
    thin_trades: int = 1
    thin_offers: int = 1
    # Of 366 000 recorded hourly bars 45 had less than a hundredth of the usual volume, and none of them moved 15 %.
    thin_volume_share: float = 0.01
    thin_volume_window: int = 24
    # A day's range of 16 % is as rare as such a move between days, and mostly a high or low that nobody dealt at.
    wide_range_log_distance: float = 0.15
    # Nobody means to trade 1.65 times away from the median advert; the absurd ones of Bolivia stand at 1.7 to 2.5.
    advert_log_distance: float = 0.5
    # Exchanges cap a funding payment at 3 %; ten per cent cannot be one.
    funding_bound: float = 0.1
    # Prices come with at most eight figures: less than this outside the range is rounding, not a contradiction.
    range_tolerance: float = 1e-6
    # Fixings of one day are taken hours apart; a calm currency moves under 2 % between them, 5 % is two markets.
    reconcile_log_distance: float = 0.05
    # Above a fifth of unchanged rates somebody manages the rate, and its variance says little.
    managed_share: float = 0.20
    managed_window: int = 22


DEFAULT_LIMITS = QualityLimits()
