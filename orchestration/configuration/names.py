"""Every variable there is, so that a slip of the pen is an error and not a default."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from models.contracts.log_lines import LOG_VARIABLES
from orchestration.configuration.values import SettingsError

# Provider keys: NAME holds the key itself, NAME_FILE the path of a file that holds it (a mounted secret).
SECRET_VARIABLES = ("FIXER_API_KEY", "OPENEXCHANGERATES_APP_ID", "OPEN_ER_API_KEY", "TWELVEDATA_API_KEY")
# Keys of the channels of alerts, in the same two ways. The address of a webhook is a key.
ALERT_SECRET_VARIABLES = (
    "ALERT_WEBHOOK_URL", "ALERT_SLACK_URL", "ALERT_DISCORD_URL", "ALERT_TELEGRAM_TOKEN", "ALERT_SMTP_PASSWORD",
)  # fmt: skip
# Keys that sign what webhooks are sent, in the same two ways: the prefix and the name of the key.
WEBHOOK_KEY_PREFIX = "WEBHOOK_KEY_"
# Read by `orchestration.alerts.config`, which says what they mean.
ALERT_OPTIONS = tuple(
    f"BALLAST_ALERT_{name}"
    for name in ("CHANNELS", "MIN_SEVERITY", "MAX_PER_HOUR", "SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER",
                 "SMTP_FROM", "SMTP_TO", "TELEGRAM_CHAT", "TELEGRAM_URL")
)  # fmt: skip

# What users may set, and what our processes and tests tell each other; any other BALLAST_ name is a slip of the pen.
_NAMED = tuple(
    f"BALLAST_{name}"
    for name in (
        *("MARKET", "STATE", "UNIVERSE", "SEED", "CLOCK_SPEED", "HOST", "THREADS", "RAY_ADDRESS", "ARCHIVE", "STEPS"),
        *("DAGSTER_PORT", "MLFLOW_PORT", "API_PORT", "DEVNET_PORT", "CODE_PORT", "DEVNET_LEDGER_CLOSE_S"),
        *("CODE_HOST", "DEVNET_HOST", "WEBHOOK_PRIVATE", "METRICS"),
        *("KEEPER_PHASE", "KEEPER_NETWORK_PASSPHRASE", "KEEPER_RPC_URLS", "KEEPER_RPC_URLS_FILE", "KEEPER_ACCOUNT"),
        *("KEEPER_VAULT_CONTRACT", "KEEPER_CODE_HASH", "KEEPER_TOKENS", "KEEPER_KNOWN_CONTRACTS"),
        *("KEEPER_MAX_ACTION_USD", "KEEPER_MAX_DAY_USD"),
        *("ENVIRONMENT", "SIGNER", "SIGNER_ADDRESS", "SIGNER_KEY", "SIGNER_REGION", "SIGNER_ENDPOINT", "SIGNER_MOUNT"),
        *("SIGNER_KEY_VERSION", "SIGNER_NAMESPACE"),
    )
)
VARIABLES = ALERT_OPTIONS + LOG_VARIABLES + _NAMED
INTERNAL_VARIABLES = tuple(
    f"BALLAST_{name}"
    for name in ("DAGSTER_URL", "WAREHOUSE_URL", "STACK", "TEST_DATABASE_URL", "REAL_DATA", "REAL_DATA_REQUIRED",
                 "CHROMIUM", "CHROMIUM_REQUIRED",
                 "UPDATE_GOLDEN")
)  # fmt: skip
PROVIDER_URL_PREFIX = "BALLAST_PROVIDER_URL_"
FAMILIES = (PROVIDER_URL_PREFIX, "BALLAST_PG_", "BALLAST_SERVING_")


def webhook_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the keys of webhooks that are set."""
    return tuple(sorted({name.removesuffix("_FILE") for name in env if name.startswith(WEBHOOK_KEY_PREFIX)}))


def is_known(name: str) -> bool:
    return name in VARIABLES or name in INTERNAL_VARIABLES or name.startswith(FAMILIES)


def refuse_unknown(env: Mapping[str, str]) -> None:
    """Raise SettingsError for the first BALLAST_ name that nobody reads."""
    for name in env:
        if name.startswith("BALLAST_") and not is_known(name):
            near = difflib.get_close_matches(name, VARIABLES, 1, cutoff=0.8)  # they all begin alike
            raise SettingsError(f"{name}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))
