"""docs/signers.md tells the truth: its policies allow what signers ask for and no more, its commands work."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

from orchestration.configuration.names import VARIABLES
from tests.keeper.signing.backends import Backend, KmsBackend, ServiceBackend, VaultBackend
from tests.keeper.signing.envelopes import policy_for, unsigned

TEXT = (Path(__file__).parents[3] / "docs" / "signers.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def commands(holding: str) -> list[str]:
    """Programs that the text hands to Python after a command that holds these words."""
    return [re.findall(r"python -c '(.*)'", block)[0] for block in blocks("") if holding in block]


def signed(backend: Backend) -> None:
    backend.signer().sign_envelope(unsigned(backend.address), policy_for(backend.address))


def test_the_policy_of_kms_is_what_a_signer_asks_for(kms: KmsBackend) -> None:
    signed(kms)
    [policy] = map(json.loads, blocks("json"))
    allowed = {statement["Action"].removeprefix("kms:"): statement for statement in policy["Statement"]}
    assert set(allowed) == {asked.headers["x-amz-target"].split(".")[1] for asked in kms.relay.asked}
    sent = next(asked.body for asked in kms.relay.asked if asked.headers["x-amz-target"].endswith(".Sign"))
    wanted = allowed["Sign"]["Condition"]["StringEquals"]
    assert {name.removeprefix("kms:"): value for name, value in wanted.items()}.items() <= sent.items()


def test_the_policy_of_vault_is_what_a_signer_asks_for(vault: VaultBackend) -> None:
    signed(vault)
    paths = re.findall(r'path "(.*?)" \{\s*capabilities = \["(\w+)"\]', blocks("hcl")[0])
    asked = {(a.path.removeprefix("/v1/"), "read" if a.method == "GET" else "update") for a in vault.relay.asked}
    assert asked == set(paths)


def test_the_commands_give_the_address(service: ServiceBackend) -> None:
    if isinstance(service, KmsBackend):
        [program] = commands("aws kms get-public-key")
        given = base64.b64encode(service.admin.get_public_key(KeyId=service.key_id)["PublicKey"]).decode()
    else:
        assert isinstance(service, VaultBackend)
        [program] = commands("vault read")
        given = service.transit._described().raw.decode()
    done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == service.address


def test_every_setting_of_a_signer_is_in_the_table() -> None:
    told = set(re.findall(r"^\| `(BALLAST_\w+)`", TEXT, flags=re.MULTILINE)) - {"BALLAST_SIGNER"}
    ours = {name for name in VARIABLES if name.startswith("BALLAST_SIGNER_") or name == "BALLAST_ENVIRONMENT"}
    assert told == ours
    assert "`BALLAST_SIGNER` | `local`" in TEXT
