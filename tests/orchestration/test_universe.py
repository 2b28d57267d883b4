from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from stellar_sdk import StrKey

from models.backtest.plain import as_plain
from models.backtest.request import vault_of
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName, VaultLimits
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.universe import UniverseError, load_universe

CONTENT: dict[str, Any] = yaml.safe_load(DEFAULT_UNIVERSE.read_text(encoding="utf-8"))
UNIVERSE = load_universe(DEFAULT_UNIVERSE)
CONTRACT = StrKey.encode_contract(bytes(32))


def _write(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = copy.deepcopy(CONTENT)
    change(content)
    path = folder / "universe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_shipped_file_names_its_series_and_vaults() -> None:
    simulated = UNIVERSE.series_of(DataMode.SIMULATED)
    assert {"BTC", "USDNGN:official", "USDTNGN:street"} <= {s.id for s in simulated}
    assert {s.providers for s in simulated} == {("simulator",)}
    assert all(s.providers and "simulator" not in s.providers for s in UNIVERSE.series_of(DataMode.LIVE))
    assert UNIVERSE.series_of(DataMode.REPLAY) == ()
    (vault,) = UNIVERSE.vaults
    assert [a.series for a in vault.assets] == [None, "USDNGN:official", "USDKES:official", "BTC", "ETH", "XLM"]
    assert sum(a.base_weight for a in vault.assets) == 1
    of_its_policy = {"target_sigma_ann": 0.28, "dead_zone": Decimal("0.10")}
    assert vault.limits == replace(VaultLimits(), **of_its_policy), "else the file says what the defaults say"


@pytest.mark.parametrize("mode", [DataMode.SIMULATED, DataMode.LIVE])
def test_no_two_series_share_id_and_interval(mode: DataMode) -> None:
    keys = [(s.id, s.interval) for s in UNIVERSE.series_of(mode)]
    assert len(set(keys)) == len(keys)


def test_an_entry_overrides_its_template() -> None:
    specs = {s.id: s for s in UNIVERSE.series_of(DataMode.SIMULATED)}
    assert specs["USDTNGN:p2p_desk"].max_age_s != specs["USDTNGN:street"].max_age_s
    assert specs["USDTNGN:p2p_desk"].publication_lag_s == specs["USDTNGN:street"].publication_lag_s


@pytest.mark.parametrize(
    ("available", "expected", "notes"),
    [
        ({"BTC", "USDNGN:yahoo", "USDNGN:cbn_official"},
         {"USDC": "0.4615", "cNGN": "0.2308", "BTC": "0.3077"}, ["cKES", "ETH", "XLM"]),
        ({"ETH"}, {"USDC": "0.6667", "ETH": "0.3333"}, ["cNGN", "cKES", "BTC", "XLM"]),
    ],
)  # fmt: skip
def test_legs_without_a_series_are_left_out(available: set[str], expected: dict[str, str], notes: list[str]) -> None:
    selection = UNIVERSE.vaults_for(available)
    (vault,) = selection.vaults
    assert {a.symbol: a.base_weight for a in vault.assets} == {k: Decimal(v) for k, v in expected.items()}
    assert sum(a.base_weight for a in vault.assets) == 1
    assert [note.split()[3] for note in selection.notes] == notes


def test_the_first_listed_series_prices_a_leg() -> None:
    (vault,) = UNIVERSE.vaults_for({"USDNGN:cbn_official", "USDNGN:yahoo"}).vaults
    assert [a.series for a in vault.assets] == [None, "USDNGN:yahoo"]


def test_a_vault_without_risky_legs_is_left_out() -> None:
    selection = UNIVERSE.vaults_for({"DOGE"})
    assert selection.vaults == ()
    assert selection.notes[-1] == "vault mixed: left out, this market prices none of its legs"


def test_tolerance_of_a_pair_and_of_all_others() -> None:
    tolerance = UNIVERSE.reconciliation.tolerance
    assert tolerance("USD", "NGN") > tolerance("USD", "ZAR") == UNIVERSE.reconciliation.log_tolerance


def _vault(content: dict[str, Any]) -> dict[str, Any]:
    return content["vaults"][0]


def _limit(content: dict[str, Any], **values: Any) -> None:
    reason = "a reason that is long enough"
    _vault(content)["limits"] |= {name: {"value": value, "reason": reason} for name, value in values.items()}


def test_every_limit_of_a_vault_is_read_stored_and_read_back(tmp_path: Path) -> None:
    said = {
        "dwell_scores": 2, "cooldown_reduce_s": 3600, "min_benefit": 1.5, "cost_bps": 35, "cost_usd": "0.1",
        "max_price_gap": "0.02", "max_action_usd": "50000", "max_day_usd": "80000", "allowed_models": ["3", "4"],
    }  # fmt: skip
    (vault,) = load_universe(_write(tmp_path, lambda content: _limit(content, **said))).vaults
    assert vault.limits == replace(
        UNIVERSE.vaults[0].limits, dwell_scores=2, cooldown_reduce_s=3600, min_benefit=1.5, cost_bps=35,
        cost_usd=Decimal("0.1"), max_price_gap=Decimal("0.02"), max_action_usd=Decimal(50_000),
        max_day_usd=Decimal(80_000), allowed_models=("3", "4"),
    )  # fmt: skip
    for known in (vault, UNIVERSE.vaults[0]):  # as `ops.vaults` keeps them
        assert vault_of(json.loads(json.dumps(as_plain(known)))) == known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(serie=[]), "serie: Extra inputs"),
        (lambda c: c["templates"]["funding"].update(max_age=3), "templates.funding.max_age: Extra inputs"),
        (lambda c: c["simulated"]["series"][0].update(template="bars"), "simulated.series.0 (BTC): template 'bars'"),
        (lambda c: c["live"]["series"].append(c["live"]["series"][0]), "(BTC): listed twice"),
        (lambda c: c["templates"]["street"].update(max_age_s="1d"), "templates.street.max_age_s"),
        (lambda c: c["templates"]["street"].update(max_age_s=-1), "templates.street.max_age_s"),
        (lambda c: c["calendars"]["fx_week"].update(holidays=["25-12"]), "calendars.fx_week.holidays.0"),
        (lambda c: _vault(c)["assets"][0].update(base_weight="0.31"), "base weights add up to 1.01"),
        (lambda c: _vault(c)["assets"][0].update(base_weight="0.30001"), "finer than 0.0001"),
        (lambda c: _vault(c)["assets"][1].update(stable=True), "vaults.0.assets.1: a leg is either stable"),
        (lambda c: _vault(c)["assets"][1].update(symbol="BTC"), "a symbol is listed twice"),
        (lambda c: _vault(c).update(network="testnet"), "on testnet a contract id is needed for the vault, USDC"),
        (lambda c: _vault(c).update(contract="GABC"), "vaults.0.contract"),
        (lambda c: _vault(c)["limits"]["leave_score"].update(value=80), "leave_score must lie below enter_score"),
        (lambda c: _vault(c)["limits"]["max_step"].update(value="0.01"), "dead_zone must lie below max_step"),
        (lambda c: _vault(c)["limits"]["cooldown_s"].pop("reason"), "limits.cooldown_s.reason: Field required"),
        (lambda c: _limit(c, dwell_scores=0), "limits.dwell_scores"),
        (lambda c: _limit(c, cooldown_reduce_s=30_000), "cooldown_reduce_s must not exceed cooldown_s"),
        (lambda c: _limit(c, min_benefit=-1), "limits.min_benefit"),
        (lambda c: _limit(c, cost_bps=1.5), "limits.cost_bps"),
        (lambda c: _limit(c, cost_usd="-1"), "limits.cost_usd"),
        (lambda c: _limit(c, max_price_gap="1"), "limits.max_price_gap"),
        (lambda c: _limit(c, max_action_usd="0"), "limits.max_action_usd"),
        (lambda c: _limit(c, max_day_usd="much"), "limits.max_day_usd"),
        (lambda c: _limit(c, allowed_models=[]), "limits.allowed_models"),
        (lambda c: [a.update(series=["DOGE"]) for a in _vault(c)["assets"][1:]], "no leg can be priced"),
        (lambda c: c["vaults"].append(_vault(c)), "an id is listed twice"),
        (
            lambda c: (_vault(c).update(contract=CONTRACT), c["vaults"].append({**_vault(c), "id": "other"})),
            "two have one contract",
        ),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    path = _write(tmp_path, change)
    with pytest.raises(UniverseError) as caught:
        load_universe(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"version: 1\nversion: 1\n", "key 'version' is given twice"),
        (b"- a\n", "is not a mapping"),
        (b"a: [", "is not YAML"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_what_is_not_a_universe_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "universe.yaml"
    path.write_bytes(text)
    with pytest.raises(UniverseError, match=message):
        load_universe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UniverseError, match=r"nowhere\.yaml: cannot be read"):
        load_universe(tmp_path / "nowhere.yaml")


def _move_all_or_nothing(content: dict[str, Any]) -> None:
    (vault,) = content["vaults"]
    vault["policy"] = "onoff"
    del vault["limits"]["target_sigma_ann"]


def test_a_vault_follows_its_volatility_or_chooses_the_on_off_rule(tmp_path: Path) -> None:
    (default,) = UNIVERSE.vaults
    assert (default.policy, default.limits.target_sigma_ann) == (PolicyName.VOLATILITY_TARGET, 0.28)
    (vault,) = load_universe(_write(tmp_path, _move_all_or_nothing)).vaults
    assert (vault.policy, vault.limits.target_sigma_ann) == (PolicyName.ON_OFF, None)


def test_a_volatility_target_needs_its_volatility(tmp_path: Path) -> None:
    with pytest.raises(UniverseError, match="target_sigma_ann"):
        load_universe(_write(tmp_path, lambda content: content["vaults"][0]["limits"].pop("target_sigma_ann")))
