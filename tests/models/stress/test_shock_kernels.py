"""What an event writes, by hand; the compiled kernel against the plain one; draws that depend on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.stress.conditions import Conditions
from models.stress.effects import Channel, Effect, Event, exactly, lognormal, lomax, signed, uniform
from models.stress.legs import Leg, LegKind, Market
from models.stress.shock_catalogue import DEFAULT_SHOCKS
from models.stress.shock_kernels import fill_path
from models.stress.shock_program import compile_events, conditions_of, empty_arrays
from models.stress.shocks import inject
from tests.models.stress.slow_shocks import path_of

LEGS = (
    Leg("BTC", LegKind.COIN, 0.04),
    Leg("XLM", LegKind.COIN, 0.05),
    Leg("cNGN", LegKind.FX, 0.01, "NGN"),
    Leg("USDC", LegKind.STABLE),
)
DAYS = Market(LEGS, 365.0)
HOURS = Market(LEGS, 8760.0)
FIELDS = tuple(Conditions.__dataclass_fields__)


def once(*effects: Effect, steps: int = 6, at_step: int = 1, market: Market = DAYS) -> Conditions:
    return conditions_of(compile_events([Event("it", 0.0, at_step, effects)], market, 0), 1, steps)


def same(one: Conditions, other: Conditions) -> bool:
    return all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in FIELDS)


@pytest.mark.parametrize(
    ("effect", "leg", "worth"),
    [
        # a fall of 20 % that stays; the same that halves each day; arriving over four days; a rise of 25 %
        (Effect(Channel.FALL, exactly(0.2)), 0, [1, 0.8, 0.8, 0.8, 0.8, 0.8]),
        (Effect(Channel.FALL, exactly(0.2), half_life_days=1.0), 0, [1, 0.8, 0.9, 0.95, 0.975, 0.9875]),
        (Effect(Channel.FALL, exactly(0.2), over_days=4.0), 0, [1, 0.95, 0.9, 0.85, 0.8, 0.8]),
        (Effect(Channel.FALL, exactly(-0.25), delay_days=2.0), 0, [1, 1, 1, 1.25, 1.25, 1.25]),
        # the dollar rises by a quarter: money is worth four fifths
        (Effect(Channel.DOLLAR, exactly(0.25), LegKind.FX), 2, [1, 0.8, 0.8, 0.8, 0.8, 0.8]),
        (Effect(Channel.DOLLAR, exactly(0.25), LegKind.FX, ("NGN",)), 2, [1, 0.8, 0.8, 0.8, 0.8, 0.8]),
        # ten sigmas of 4 % and of 5 %
        (Effect(Channel.SIGMAS, exactly(10.0)), 0, [1, *[np.exp(-0.4)] * 5]),
        (Effect(Channel.SIGMAS, exactly(10.0)), 1, [1, *[np.exp(-0.5)] * 5]),
        # not this leg: another kind, another symbol, left out by name, another country
        (Effect(Channel.FALL, exactly(0.2), LegKind.STABLE), 0, [1] * 6),
        (Effect(Channel.FALL, exactly(0.2), only=("XLM",)), 0, [1] * 6),
        (Effect(Channel.FALL, exactly(0.2), besides=("btc",)), 0, [1] * 6),
        (Effect(Channel.DOLLAR, exactly(0.25), LegKind.FX, ("KES",)), 2, [1] * 6),
    ],
)
def test_worth_of_a_leg(effect: Effect, leg: int, worth: list[float]) -> None:
    np.testing.assert_allclose(np.exp(np.cumsum(once(effect).log_return[0, :, leg])), worth, rtol=1e-13)


@pytest.mark.parametrize(
    ("effect", "field", "expected"),
    [
        (Effect(Channel.VOLATILITY, exactly(5.0), half_life_days=1.0), "sigma_multiplier", [1, 5, 3, 2, 1.5, 1.25]),
        (Effect(Channel.HALF_SPREAD, exactly(7.0), days=(2.0, 2.0)), "half_spread_multiplier", [1, 7, 7, 1, 1, 1]),
        (Effect(Channel.DEPTH, exactly(0.1), days=(2.0, 2.0), delay_days=1.0), "depth_share", [1, 1, 0.1, 0.1, 1, 1]),
        (Effect(Channel.HALT, days=(3.0, 3.0)), "halted", [0, 1, 1, 1, 0, 0]),
        (Effect(Channel.STALE, days=(9.0, 9.0)), "score_stale", [0, 1, 1, 1, 1, 1]),
        (Effect(Channel.HALT, days=(0.9, 0.9)), "halted", [0, 0, 0, 0, 0, 0]),  # over before the day ends
        # three times 8 hours a day
        (Effect(Channel.FUNDING, exactly(0.001), days=(1.0, 1.0)), "funding", [0, 0.003, 0, 0, 0, 0]),
    ],
)
def test_what_is_no_worth(effect: Effect, field: str, expected: list[float]) -> None:
    np.testing.assert_allclose(getattr(once(effect), field)[0], expected, rtol=1e-13)


def test_hours_count_hours() -> None:
    conditions = once(
        Effect(Channel.FUNDING, exactly(0.0008), days=(0.125, 0.125)), Effect(Channel.HALT, days=(1 / 12, 1 / 12)),
        market=HOURS,
    )  # fmt: skip
    np.testing.assert_allclose(conditions.funding[0], [0, 0.0001, 0.0001, 0.0001, 0, 0])
    np.testing.assert_array_equal(conditions.halted[0], [False, True, True, False, False, False])


def test_two_effects_at_once_add_up_or_the_worse_holds() -> None:
    conditions = once(
        Effect(Channel.FALL, exactly(0.5)), Effect(Channel.FALL, exactly(0.5)),
        Effect(Channel.DEPTH, exactly(0.3), days=(3.0, 3.0)), Effect(Channel.DEPTH, exactly(0.1), days=(1.0, 1.0)),
    )  # fmt: skip
    np.testing.assert_allclose(np.exp(conditions.log_return[0, :, 0].sum()), 0.25)
    np.testing.assert_array_equal(conditions.depth_share[0], [1, 0.1, 0.3, 0.3, 1, 1])


def test_a_fall_comes_back_to_exactly_what_it_was() -> None:
    back = once(Effect(Channel.FALL, exactly(0.15), LegKind.STABLE, half_life_days=3.0), steps=100)
    assert abs(back.log_return[0, :, 3].sum()) < 1e-15
    assert back.log_return[0, 70:, 3].tolist() == [0.0] * 30  # 20 half-lives


EVERYTHING = (
    Event("gap", 30.0, -1, (Effect(Channel.SIGMAS, lomax(5.0, 10.0, 3.0)), Effect(Channel.HALT, days=(0.5, 3.0)))),
    Event("rise", 20.0, -1, (Effect(Channel.DOLLAR, lognormal(0.2, 0.5), LegKind.FX, half_life_days=2.0),)),
    Event("fall", 12.0, -1, (Effect(Channel.FALL, uniform(0.0, 0.4), over_days=3.5, half_life_days=4.0),)),
    Event(
        "rest",
        25.0,
        -1,
        (
            Effect(Channel.VOLATILITY, uniform(2.0, 5.0), half_life_days=0.4),
            Effect(Channel.HALF_SPREAD, uniform(3.0, 20.0), days=(1.0, 5.0)),
            Effect(Channel.DEPTH, uniform(0.05, 0.5), days=(1.0, 5.0), delay_days=0.7),
            Effect(Channel.STALE, days=(0.1, 4.0)),
            Effect(Channel.FUNDING, signed(0.0005, 0.003), days=(1.0, 7.0)),
        ),
    ),
    Event("dated", 0.0, 17, (Effect(Channel.FALL, exactly(0.3), delay_days=0.5, days=(0.0, 0.0)),)),
)


@pytest.mark.parametrize("market", [DAYS, HOURS], ids=["days", "hours"])
def test_compiled_and_plain_kernel_write_the_same_bytes(market: Market) -> None:
    program = compile_events(EVERYTHING, market, 3)
    conditions = conditions_of(program, 5, 200, first=2**32 - 2)  # over the border of the counter's words
    for row in range(5):
        plain = path_of(program, 2**32 - 2 + row, 200)
        for name in FIELDS:
            assert getattr(conditions, name)[row].tobytes() == plain[name].tobytes(), name


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 40), st.integers(1, 10), st.integers(1, 4), st.integers(0, 2**31))
def test_shares_and_threads_do_not_matter(first: int, paths: int, threads: int, seed: int) -> None:
    whole = inject(DEFAULT_SHOCKS, HOURS, 50, 60, seed)
    share = inject(DEFAULT_SHOCKS, HOURS, paths, 60, seed, first, threads)
    for name in FIELDS:
        assert getattr(share, name).tobytes() == getattr(whole, name)[first : first + paths].tobytes()


def test_a_longer_path_begins_like_a_shorter_one() -> None:
    program = compile_events(EVERYTHING, DAYS, 1)
    short, long = conditions_of(program, 20, 40), conditions_of(program, 20, 90)
    assert all(getattr(short, name).tobytes() == getattr(long, name)[:, :40].tobytes() for name in FIELDS)


def test_scratch_of_one_path_is_wiped_before_it_is_filled() -> None:
    program, scratch = compile_events(EVERYTHING, DAYS, 1), empty_arrays((90,), 4)
    for path in (7, 3):
        fill_path(program, path, scratch)
    again = conditions_of(program, 1, 90, first=3)
    assert all(getattr(again, name)[0].tobytes() == getattr(scratch, name).tobytes() for name in FIELDS)


def test_no_events_change_nothing_and_seeds_differ() -> None:
    nothing = conditions_of(compile_events([], DAYS, 0), 2, 3)
    assert not nothing.log_return.any()
    assert (nothing.sigma_multiplier == 1.0).all()
    one, other = (conditions_of(compile_events(EVERYTHING, DAYS, seed), 9, 90) for seed in (0, 1))
    assert not same(one, other)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compile_events([EVERYTHING[0], EVERYTHING[0]], DAYS, 0), "rename gap"),
        (lambda: conditions_of(compile_events(EVERYTHING, DAYS, 0), 0, 5), "need a path, a step and a first path"),
        (lambda: conditions_of(compile_events(EVERYTHING, DAYS, 0), 1, 0), "need a path, a step and a first path"),
        (lambda: conditions_of(compile_events(EVERYTHING, DAYS, 0), 1, 1, first=-1), "a first path from 0"),
        (lambda: Event("both", 1.0, 3, ()), "by chance or at a step, not both"),
        (lambda: Effect(Channel.FALL, exactly(1.0)), "size of FALL must be a share below 1"),
        (lambda: Effect(Channel.DOLLAR, exactly(-1.0)), "size of DOLLAR must be a share above -1"),
        (lambda: Effect(Channel.DEPTH, exactly(0.0)), "size of DEPTH must be a share above 0"),
        (lambda: Effect(Channel.VOLATILITY, uniform(0.9, 2.0)), "size of VOLATILITY must be a multiplier"),
        (lambda: Effect(Channel.FUNDING, signed(0.5, 2.0)), r"size of FUNDING must be .* \[-1, 1\]"),
        (lambda: Effect(Channel.HALT, exactly(1.0)), "size of HALT must be left out"),
        (lambda: Effect(Channel.HALT, days=(2.0, 1.0)), r"days of HALT must be \(least, most\)"),
        (lambda: Effect(Channel.FALL, exactly(0.1), half_life_days=0.0), "half-life above it"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]
