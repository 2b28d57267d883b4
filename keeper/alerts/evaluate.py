"""One look at all facts: every rule asked, and a note of what could not be judged. Pure."""

from __future__ import annotations

from keeper.alerts import system_rules
from keeper.alerts.alert import Alert, AlertName, Report, key_of
from keeper.alerts.facts import AlertLimits, Facts, Now
from keeper.alerts.vault_rules import DANGERS, VAULT_RULES, guards_have_spoken


def evaluate(facts: Facts, now: Now, limits: AlertLimits | None = None) -> Report:
    """Every alert that holds at `now`. A group of facts that is None is not judged, so nothing of it is over.

    `RUN_FAILED` is not among them: it comes with the end of a run.
    """
    bounds = limits or AlertLimits()
    alerts: list[Alert] = list(system_rules.unread(facts.unread, now))
    looked: set[str] = {AlertName.CHECK_FAILED}
    unknown: set[str] = set()
    if facts.vaults is not None:
        for rule, names in VAULT_RULES.items():
            looked |= names
            alerts += [alert for vault in facts.vaults for alert in rule(vault, now, bounds)]
        mute = [vault.id for vault in facts.vaults if not guards_have_spoken(vault)]
        unknown |= {key_of(name, vault) for vault in mute for name in DANGERS.values()}
    if facts.switches is not None:
        looked |= {AlertName.KEEPER_HALTED, AlertName.PAUSE_FORGOTTEN}
        alerts += system_rules.switches(facts.switches, now, bounds)
    if facts.log is not None:
        looked.add(AlertName.EVENT_LOG_BROKEN)
        alerts += system_rules.event_log(facts.log, now)
    if facts.jobs is not None:
        looked.add(AlertName.JOB_LATE)
        alerts += system_rules.jobs(facts.jobs, now, bounds)
    if facts.datasets is not None:
        looked.add(AlertName.STALE_DATA)
        alerts += system_rules.datasets(facts.datasets, now)
    if facts.channels is not None:
        looked.add(AlertName.CHANNEL_FAILING)
        alerts += system_rules.channels(facts.channels, now, bounds)
    return Report(tuple(alerts), frozenset(looked), frozenset(unknown))
