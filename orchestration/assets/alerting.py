"""Telling people and programs beyond this machine. The schedule judges what is wrong (`orchestration.schedules`)."""

from datetime import UTC, datetime

import dagster as dg

from models.contracts import jobs as names
from orchestration.resources.workspace import Workspace


@dg.op(name="tell")
def tell(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Send what waits to each channel and each webhook. One that fails is tried again by the next run; what it was to
    be told stays stored."""
    from orchestration.alerts.config import alert_config
    from orchestration.alerts.delivery import deliver
    from orchestration.webhooks import delivery as webhooks

    config, tables = alert_config(workspace.settings), workspace.warehouse
    people = deliver(tables, config, workspace.settings.market.name, _wall)
    for told in [*people, *webhooks.deliver(tables, workspace.settings, _wall)]:
        context.log.info(f"{told.channel}: {told.messages} messages about {told.events} events")
        if told.error is not None:
            context.log.warning(f"{told.channel}: {told.error}; tried again by the next run")


def _wall() -> datetime:
    return datetime.now(UTC)


@dg.job(name=names.ALERTS, executor_def=dg.in_process_executor)
def alerts() -> None:
    """Messages about alerts, to the channels of BALLAST_ALERT_CHANNELS, and about events, to webhooks."""
    tell()
