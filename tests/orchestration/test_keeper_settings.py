"""Settings of a network: what is understood, what is refused and by which name, what other processes are told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from keeper.limits import Phase
from keeper.networks import PASSPHRASES
from orchestration.configuration.keeper import is_address
from orchestration.settings import SettingsError, as_environment, load_settings

ACCOUNT = "GDAT5HWTGIU4TSSZ4752OUC4SABDLTLZFRPZUJ3D6LKBNEPA7V2CIG54"
CONTRACT = "CA3D5KRYM6CB7OWQ6TWYRR3Z4T7GNZLKERYNZGGA5SOAOPIFY6YQGAXE"
OTHER = "CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSC4"  # the contract of 32 zero bytes
HASH = "ab" * 32
P = "BALLAST_KEEPER_"


def test_nothing_set_is_the_embedded_devnet() -> None:
    keeper = load_settings({}).keeper
    assert (keeper.phase, keeper.names_a_network) == (Phase.DEVNET, False)


def test_a_network_is_nothing_but_variables() -> None:
    settings = load_settings(
        {
            f"{P}PHASE": "live",
            f"{P}NETWORK_PASSPHRASE": " My Network ; 2026 ",
            f"{P}RPC_URLS": "https://one.example/key, https://two.example",
            f"{P}ACCOUNT": ACCOUNT,
            f"{P}VAULT_CONTRACT": f"mixed={CONTRACT},calm={OTHER}",
            f"{P}CODE_HASH": HASH.upper(),
            f"{P}TOKENS": f"USDC={CONTRACT}, XLM={OTHER}",
            f"{P}KNOWN_CONTRACTS": OTHER,
            f"{P}MAX_ACTION_USD": "1000",
            f"{P}MAX_DAY_USD": "2500.50",
            "BALLAST_SIGNER": "kms",
        }
    )
    keeper = settings.keeper
    assert keeper.phase is Phase.LIVE
    assert (keeper.network().name, keeper.network().passphrase) == ("private", "My Network ; 2026")
    assert keeper.network().urls == ("https://one.example/key", "https://two.example")
    assert settings.signer.address == ACCOUNT
    assert [keeper.contract_of(vault, 2) for vault in ("mixed", "calm", "third")] == [CONTRACT, OTHER, None]
    assert keeper.code_hash_of("mixed", 1) == HASH
    assert keeper.tokens == {"USDC": CONTRACT, "XLM": OTHER}
    assert keeper.known_contracts == (OTHER,)
    assert (keeper.max_action_usd, keeper.max_day_usd) == (Decimal(1000), Decimal("2500.50"))
    told = f"{settings} {settings!r} {keeper.network()!r} {as_environment(settings)}"
    assert "one.example" not in told, "the address of a node may carry a key"
    inherited = {f"{P}RPC_URLS": "https://one.example/key https://two.example"}
    again = load_settings(as_environment(settings) | inherited)
    assert (again.keeper.contracts, again.keeper.code_hashes) == (keeper.contracts, keeper.code_hashes)
    assert again.signer == settings.signer
    assert as_environment(again) == as_environment(settings)


@pytest.mark.parametrize("name", sorted(PASSPHRASES))
def test_known_networks_have_names(name: str) -> None:
    for text in (name, PASSPHRASES[name]):
        env = {f"{P}NETWORK_PASSPHRASE": text, f"{P}RPC_URLS": "https://node.example"}
        assert load_settings(env).keeper.network().name == name


def test_addresses_of_nodes_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("https://a.example/?key=1\nhttps://b.example\n")
    env = {f"{P}NETWORK_PASSPHRASE": "testnet", f"{P}RPC_URLS_FILE": str(file)}
    assert load_settings(env).keeper.network().urls == ("https://a.example/?key=1", "https://b.example")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PHASE": "go"}, "PHASE: 'go' is not shadow, devnet, testnet, approve, live"),
        ({"RPC_URLS": "node.example"}, "RPC_URLS: address 1 is no http"),
        ({"RPC_URLS": "https://a.example ftp://b"}, "RPC_URLS: address 2 is no http"),
        ({"RPC_URLS": "https://u:hidden@a.example"}, "RPC_URLS: address 1 names a user"),
        ({"RPC_URLS": "https://a.example https://a.example"}, "RPC_URLS: a node is named twice"),
        ({"RPC_URLS": "https://a.example/v1 https://A.example:443/v1/"}, "RPC_URLS: a node is named twice"),
        ({"ACCOUNT": "S" + "HIDDEN27" * 6 + "ABCDEFG"}, "ACCOUNT: holds a secret seed"),
        ({"VAULT_CONTRACT": "calm=S" + "HIDDEN27" * 6 + "ABCDEFG"}, "VAULT_CONTRACT: holds a secret seed"),
        ({"VAULT_CONTRACT": f"calm={CONTRACT},wild={CONTRACT}"}, "VAULT_CONTRACT: two vaults have one contract"),
        ({"ACCOUNT": CONTRACT}, "ACCOUNT: .* is not the address of an account"),
        ({"ACCOUNT": ACCOUNT[:-1] + "A"}, "ACCOUNT: .* is not the address of an account"),
        ({"VAULT_CONTRACT": ACCOUNT}, "VAULT_CONTRACT: .* is not the address of a contract"),
        ({"VAULT_CONTRACT": f"{CONTRACT},calm={OTHER}"}, "VAULT_CONTRACT: .* is not understood"),
        ({"VAULT_CONTRACT": f"calm={CONTRACT},calm={OTHER}"}, "VAULT_CONTRACT: .* is not understood"),
        ({"CODE_HASH": "ab"}, "CODE_HASH: a SHA-256 of 64"),
        ({"TOKENS": CONTRACT}, "TOKENS: SYMBOL=C... is expected"),
        ({"TOKENS": "USDC=here"}, "TOKENS: 'here' is not the address of a contract"),
        ({"KNOWN_CONTRACTS": "C"}, "KNOWN_CONTRACTS: 'C' is not"),
        ({"MAX_ACTION_USD": "much"}, "MAX_ACTION_USD: 'much' is not an amount"),
        ({"MAX_DAY_USD": "0"}, "MAX_DAY_USD: 0 is not above 0"),
        ({"MAX_DAY_USD": "NaN"}, "MAX_DAY_USD: NaN is not above 0"),
        ({"RPC_URL": "https://a.example"}, "RPC_URL: no such setting; did you mean BALLAST_KEEPER_RPC_URLS"),
    ],
)
def test_wrong_values_name_the_variable(variables: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{P}{message}") as error:
        load_settings({P + name: value for name, value in variables.items()})
    assert "hidden" not in str(error.value).lower()


def test_a_seed_for_the_name_of_a_key_is_refused_unseen() -> None:
    with pytest.raises(SettingsError, match=r"^BALLAST_SIGNER_KEY: holds a secret seed") as error:
        load_settings({"BALLAST_SIGNER_KEY": "S" + "HIDDEN27" * 6 + "ABCDEFG"})
    assert "HIDDEN" not in str(error.value)


def test_the_signer_signs_for_the_keeper_s_own_account() -> None:
    other = "GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF"
    with pytest.raises(SettingsError, match=f"{P}ACCOUNT: is not the account of BALLAST_SIGNER_ADDRESS"):
        load_settings({f"{P}ACCOUNT": ACCOUNT, "BALLAST_SIGNER_ADDRESS": other})
    assert load_settings({"BALLAST_SIGNER_ADDRESS": other}).signer.address == other


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RPC_URLS": "https://a.example"}, "NETWORK_PASSPHRASE: is not set"),
        ({"NETWORK_PASSPHRASE": "testnet"}, "RPC_URLS: is not set; .*--rpc-url"),
        ({"NETWORK_PASSPHRASE": "public", "RPC_URLS": "http://a.example"}, "RPC_URLS: a node of public must be"),
    ],
)  # fmt: skip
def test_what_only_the_keeper_needs_is_asked_when_it_runs(variables: dict[str, str], message: str) -> None:
    keeper = load_settings({P + name: value for name, value in variables.items()}).keeper
    with pytest.raises(SettingsError, match=f"^{P}{message}"):
        keeper.network()


def test_plain_http_is_for_this_machine_and_for_networks_of_one_s_own() -> None:
    for passphrase, url in (("testnet", "http://127.0.0.1:8000"), ("Mine", "http://node:8000/rpc")):
        env = {f"{P}NETWORK_PASSPHRASE": passphrase, f"{P}RPC_URLS": url}
        assert load_settings(env).keeper.network().urls == (url,)


def test_a_value_without_a_name_is_for_the_only_vault() -> None:
    keeper = load_settings({f"{P}VAULT_CONTRACT": CONTRACT}).keeper
    assert keeper.contract_of("any", 1) == CONTRACT
    with pytest.raises(SettingsError, match=f"{P}VAULT_CONTRACT: there are 2 vaults; write any=VALUE"):
        keeper.contract_of("any", 2)


def test_addresses_are_read_as_the_sdk_reads_them() -> None:
    from stellar_sdk import StrKey

    for text in (ACCOUNT, CONTRACT, OTHER, ACCOUNT[:-1] + "A", CONTRACT.lower(), "", "G", ACCOUNT + "AAAAAAAA"):
        assert is_address(text, "G") == StrKey.is_valid_ed25519_public_key(text), text
        assert is_address(text, "C") == StrKey.is_valid_contract(text), text
