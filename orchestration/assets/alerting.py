"""Telling people beyond this machine. What is wrong is judged by the schedule (`orchestration.schedules`)."""

from datetime import UTC, datetime

import dagster as dg

from models.contracts import jobs as names
from orchestration.resources.workspace import Workspace


@dg.op(name="tell")
def tell(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Send what waits to each channel. One that fails is tried again by the next run; the alert stays stored."""
    from orchestration.alerts.config import alert_config
    from orchestration.alerts.delivery import deliver

    config = alert_config(workspace.settings)
    for told in deliver(workspace.warehouse, config, workspace.settings.market.name, lambda: datetime.now(UTC)):
        context.log.info(f"{told.channel}: {told.messages} messages about {told.events} alerts")
        if told.error is not None:
            context.log.warning(f"{told.channel}: {told.error}; tried again by the next run")


@dg.job(name=names.ALERTS, executor_def=dg.in_process_executor)
def alerts() -> None:
    """Messages about alerts, to the channels of BALLAST_ALERT_CHANNELS."""
    tell()
