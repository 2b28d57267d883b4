"""Novelty: usual rows are familiar, what was never seen is called so, and the far input is named."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.bundle_fit import fit_bundle
from models.volatility.novelty import INPUTS, MIN_ROWS, Seen, _inputs, fit_seen, novelty, read_seen
from models.volatility.panel import Panel, build_panel
from models.volatility.walk_forward import walk_forward
from tests.models.validation.conftest import simulated

KIND = SeriesKind.CANDLES
ROWS = simulated(KIND)
END = np.datetime64("2030-01-01")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(ROWS, KIND)


@pytest.fixture(scope="module")
def seen(panel: Panel) -> Seen:
    found = fit_seen(panel, END)
    assert found is not None
    return found


def shocked(returns: float) -> Panel:
    """The panel whose newest return of AAA is so many of its usual ones."""
    rows = ROWS.copy()
    last = rows.index[rows["series"] == "AAA"][-1]
    rows.loc[last, "ret"] = returns * math.sqrt(rows.loc[last, "rv"])
    return build_panel(rows, KIND)


def test_by_hand_with_two_independent_inputs(panel: Panel) -> None:
    values = {name: float(panel_value(panel, name)) for name in ("neg_share", "jump_share")}
    seen = Seen(
        ("neg_share", "jump_share"), (values["neg_share"] - 3.0, values["jump_share"] + 8.0), (1.0, 2.0),
        ((1.0, 0.0), (0.0, 1.0)), usual=2.5, farthest=6.0, rows=1000,
    )  # fmt: skip
    found = novelty(seen, panel, "AAA", len(panel.grids["AAA"]) - 1)  # 3 and -4 spreads away: 5
    assert found is not None
    assert found.familiarity == pytest.approx(0.5)
    assert found.is_novel is False
    assert found.furthest == ("jump_share", pytest.approx(values["jump_share"]))
    nearer = novelty(replace(seen, farthest=4.9), panel, "AAA", len(panel.grids["AAA"]) - 1)
    assert nearer is not None
    assert nearer.is_novel


def panel_value(panel: Panel, name: str) -> float:
    return panel.grids["AAA"].columns[name][-1]


def test_training_rows_are_familiar_but_for_one_in_a_hundred(panel: Panel, seen: Seen) -> None:
    found = [
        each
        for series, grid in panel.grids.items()
        for row in range(200, len(grid), 7)
        if np.isfinite(grid.rv[row]) and (each := novelty(seen, panel, series, row)) is not None
    ]
    assert np.mean([each.familiarity == 1.0 for each in found]) == pytest.approx(0.99, abs=0.01)
    assert not any(each.is_novel for each in found)


def test_a_shock_beyond_all_is_told_with_its_name(seen: Seen) -> None:
    usual, wild = (shocked(returns) for returns in (1.0, 60.0))
    row = len(usual.grids["AAA"]) - 1
    assert novelty(seen, usual, "AAA", row).familiarity == 1.0
    found = novelty(seen, wild, "AAA", row)
    assert found.is_novel
    assert found.familiarity < 0.5
    assert found.furthest[0] == "shock_size"
    assert found.told(seen).startswith(f"not seen before: further out than all {seen.rows:,} rows of training, most by")


def test_the_further_out_the_less_familiar(seen: Seen) -> None:
    panels = [shocked(returns) for returns in (5.0, 10.0, 20.0, 40.0)]
    row = len(panels[0].grids["AAA"]) - 1
    found = [novelty(seen, panel, "AAA", row).familiarity for panel in panels]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0]


def test_only_what_was_known_counts(panel: Panel) -> None:
    moment = panel.grids["AAA"].as_of[900]
    cut = build_panel(ROWS[ROWS["as_of"] <= pd.Timestamp(moment).tz_localize("UTC")], KIND)
    assert fit_seen(panel, moment) == fit_seen(cut, END)


def test_too_few_rows_know_nothing(panel: Panel) -> None:
    assert fit_seen(panel, panel.grids["AAA"].as_of[MIN_ROWS // 3 - 10]) is None


def test_it_survives_json(seen: Seen) -> None:
    assert read_seen(json.loads(json.dumps(asdict(seen)))) == seen
    assert read_seen(None) is None


def test_a_bundle_says_so_and_still_gives_its_number() -> None:
    frame = walk_forward(ROWS, KIND, 1, ["ewma"])
    bundle = fit_bundle(ROWS, KIND, 1, "ewma", frame)
    rows = ROWS.assign(share_imputed=0.0)
    rows.loc[rows.index[rows["series"] == "AAA"][-1], "ret"] = 5.0
    said = bundle.predict(rows).set_index("series")
    assert said.loc["AAA", "status"] == "ok"
    assert any(reason.startswith("not seen before") for reason in said.loc["AAA", "reasons"])
    assert said.loc["AAA", "familiarity"] < 0.5
    assert said.loc["AAA", "score"] > 0
    assert said.loc["BBB", "reasons"] == ()
    assert replace(bundle, seen=None).predict(rows)["familiarity"].isna().all()


def test_with_few_inputs_nothing_is_said(panel: Panel, seen: Seen) -> None:
    assert novelty(seen, panel, "AAA", 3) is None
    assert novelty(seen, panel, "AAA", 600) is not None


def test_a_gap_is_not_far_out_beside_what_it_moves_with(panel: Panel) -> None:
    """Three inputs that move together, two spreads out each: without the middle one the row is as far out as before."""
    names = ("neg_share", "jump_share", "rv_6h")
    row = len(panel.grids["AAA"]) - 1
    own = _inputs(panel, "AAA", slice(row, row + 1))[0]
    values = [float(own[INPUTS.index(name)]) for name in names]
    together = tuple(tuple(1.0 if a == b else 0.95 for a in range(3)) for b in range(3))
    seen = Seen(names, tuple(x - 2.0 for x in values), (1.0,) * 3, together, usual=3.0, farthest=4.6, rows=1000)
    whole = novelty(seen, panel, "AAA", row)
    gap = build_panel(ROWS.assign(jump_share=np.nan), KIND)
    part = novelty(seen, gap, "AAA", row)
    assert whole is not None
    assert part is not None
    assert whole.familiarity == part.familiarity == 1.0


def test_one_series_alone_is_as_familiar_as_among_others(seen: Seen) -> None:
    panel, alone = build_panel(ROWS, KIND), build_panel(ROWS[ROWS["series"] == "AAA"], KIND)
    found = [
        (novelty(seen, panel, "AAA", row), novelty(seen, alone, "AAA", row))
        for row in range(500, len(panel.grids["AAA"]), 5)
    ]
    pairs = [(a, b) for a, b in found if a is not None and b is not None]
    assert len(pairs) > 100
    assert np.mean([b.is_novel for _, b in pairs]) < 0.01
    assert np.mean([b.familiarity for _, b in pairs]) > 0.98
