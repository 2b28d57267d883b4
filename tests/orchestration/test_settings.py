"""Settings: tables of each variable, both sides of every bound, messages that name the variable, secrets that hide."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.contracts.market import DataMode
from orchestration.settings import (
    PROJECT_ROOT,
    Secret,
    Settings,
    SettingsError,
    as_environment,
    child_environment,
    current_settings,
    is_known,
    load_settings,
    parse_market,
    port_variables,
)


def test_a_fresh_machine_needs_no_variable() -> None:
    settings = load_settings({})
    assert settings.market.mode is DataMode.SIMULATED
    assert settings.state_root == PROJECT_ROOT / ".ballast"
    assert settings.workspace == PROJECT_ROOT / ".ballast" / "simulated"
    assert settings.database_url is None
    assert (settings.host, settings.keeper.phase, settings.threads) == ("127.0.0.1", "devnet", 2)
    assert list(port_variables(settings).values()) == [3000, 5000, 8000, 8400, 4266]


@pytest.mark.parametrize(
    ("variable", "attribute", "low", "below", "high", "above"),
    [
        ("BALLAST_SEED", "seed", "0", "-1", "2147483648", "2147483649"),
        ("BALLAST_CLOCK_SPEED", "clock_speed", "1", "0.9", "86400", "86401"),
        ("BALLAST_DAGSTER_PORT", "dagster_port", "1", "0", "65535", "65536"),
        ("BALLAST_MLFLOW_PORT", "mlflow_port", "1", "0", "65535", "65536"),
        ("BALLAST_API_PORT", "api_port", "1", "0", "65535", "65536"),
        ("BALLAST_DEVNET_PORT", "devnet_port", "1", "0", "65535", "65536"),
        ("BALLAST_CODE_PORT", "code_port", "1", "0", "65535", "65536"),
        ("BALLAST_DEVNET_LEDGER_CLOSE_S", "devnet_ledger_close_s", "0.05", "0.04", "60", "60.1"),
        ("BALLAST_THREADS", "threads", "1", "0", "256", "257"),
    ],
)
def test_bounds(variable: str, attribute: str, low: str, below: str, high: str, above: str) -> None:
    for text in (low, high):
        assert getattr(load_settings({variable: text}), attribute) == float(text)
    for text in (below, above, "many", "nan", "inf"):
        with pytest.raises(SettingsError, match=variable):
            load_settings({variable: text})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"BALLAST_MARKET": "paper"}, "BALLAST_MARKET: 'paper' is not"),
        ({"BALLAST_MARKT": "live"}, r"BALLAST_MARKT: no such setting; did you mean BALLAST_MARKET\?"),
        ({"BALLAST_KEEPERPHASE": "shadow"}, "did you mean BALLAST_KEEPER_PHASE"),
        ({"BALLAST_XYZZY": ""}, "BALLAST_XYZZY: no such setting$"),
        ({"BALLAST_MARKET": "replay:"}, "BALLAST_MARKET"),
        ({"BALLAST_MARKET": "replay:/no/such/folder"}, "/no/such/folder does not exist"),
        ({"BALLAST_MARKET": "replay:/tmp@2024-13-01"}, "BALLAST_MARKET"),
        ({"BALLAST_MARKET": "replay:/@2023-02-30"}, "2023-02-30 is not a date"),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL: only postgresql"),
        ({"BALLAST_KEEPER_PHASE": "paper"}, "BALLAST_KEEPER_PHASE: 'paper' is not shadow, devnet, testnet, approve"),
        ({"FIXER_API_KEY_FILE": "/no/such/file"}, "FIXER_API_KEY_FILE: /no/such/file does not exist"),
        ({"BALLAST_API_PORT": "3000"}, "BALLAST_API_PORT: 3000 is already the port of BALLAST_DAGSTER_PORT"),
    ],
)
def test_wrong_values_name_the_variable(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(environment)


def test_empty_counts_as_unset() -> None:
    names = ("BALLAST_MARKET", "BALLAST_STATE", "BALLAST_SEED", "DATABASE_URL", "BALLAST_KEEPER_PHASE", "FIXER_API_KEY")
    assert load_settings(dict.fromkeys(names, "")) == load_settings({})


def test_replay_folders_with_one_name_are_two_markets(tmp_path: Path) -> None:
    slugs = set()
    for parent in ("a", "b"):
        folder = tmp_path / parent / "Data 2024!"
        folder.mkdir(parents=True)
        choice = parse_market(f"replay:{folder}")
        assert choice.mode is DataMode.REPLAY
        assert choice.slug.startswith("replay_data_2024_")
        assert len(f"dagster_{choice.slug}") <= 63  # PostgreSQL cuts longer names
        slugs.add(choice.slug)
    assert len(slugs) == 2


def test_a_dated_replay_is_a_market_of_its_own(tmp_path: Path) -> None:
    whole, dated = parse_market(f"replay:{tmp_path}"), parse_market(f"replay:{tmp_path}@2023-04-28")
    assert (whole.until, dated.until) == (None, datetime(2023, 4, 28, tzinfo=UTC))
    assert dated.directory == tmp_path
    assert dated.slug != whole.slug
    assert parse_market(dated.name) == dated


@pytest.mark.parametrize("market", ["replay:data", "replay:data@2024-05-06"])
def test_relative_replay_folder_survives_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"BALLAST_MARKET": market, "BALLAST_STATE": "state"})
    monkeypatch.chdir("/")
    assert load_settings(as_environment(settings)) == settings


def test_secrets_come_from_variable_or_file_and_never_show(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    settings = load_settings({"FIXER_API_KEY": "in-clear ", "TWELVEDATA_API_KEY_FILE": str(tmp_path / "key")})
    assert {name: secret.reveal() for name, secret in settings.secrets.items()} == {
        "FIXER_API_KEY": "in-clear",
        "TWELVEDATA_API_KEY": "from-file",
    }
    assert "in-clear" not in f"{settings} {settings!r} {Secret('in-clear')} {as_environment(settings)}"


def test_provider_urls() -> None:
    settings = load_settings({"BALLAST_PROVIDER_URL_FIXER": "http://127.0.0.1:1"})
    assert settings.provider_urls == {"fixer": "http://127.0.0.1:1"}


def test_process_environment_is_read_late_and_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_SEED", "11")
    monkeypatch.setenv("BALLAST_THREADS", "3")
    settings: Settings = current_settings({"BALLAST_SEED": "12"})
    assert (settings.seed, settings.threads) == (12, 3)
    assert child_environment({"BALLAST_SEED": "13"})["BALLAST_SEED"] == "13"
    assert child_environment({})["BALLAST_THREADS"] == "3"


def test_every_name_that_the_project_uses_is_known() -> None:
    files = [
        path
        for folder in ("orchestration", "serving", "keeper", "models", "dbt_project", "tests")
        for path in (PROJECT_ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yml", ".yaml") and path != Path(__file__)
    ]
    used = {name for path in files for name in re.findall(r"\bBALLAST_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8"))}
    assert {"BALLAST_MARKET", "BALLAST_PG_HOST", "BALLAST_SERVING_ROLE"} <= used
    assert sorted(name for name in used if not is_known(name)) == []
