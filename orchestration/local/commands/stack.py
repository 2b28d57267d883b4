"""`ballast up` and `ballast down`: the stack of one market and the market's clock around it."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from models.contracts.clock import MarketClock
from orchestration.local import market_clock, stack
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.commands.play import deploy_once, play_once
from orchestration.local.database import Databases, server_running
from orchestration.local.environment import library_environment
from orchestration.local.prepare import prepare
from orchestration.local.progress import ConsoleProgress, Progress
from orchestration.local.report import minute
from orchestration.local.services import Service, service_table
from orchestration.local.workspace import held, is_busy, opened, running_stacks
from orchestration.settings import Settings


def register(commands: Subparsers) -> None:
    leaf(commands, "up", "start Dagster, MLflow, the API and the devnet; the market's clock runs", up)
    leaf(commands, "down", "stop all of them; the market's clock stands", down)


def addresses(services: list[Service]) -> str:
    """One line: what a person opens first."""
    pages = sorted(
        (item for item in services if item.url and item.name != "dagster-code"), key=lambda i: i.page is None
    )
    return "   ".join(f"{item.title} {item.url}" for item in pages)


def up(context: Context, options: argparse.Namespace) -> int:
    from orchestration.alerts.config import alert_config  # HTTP clients that other commands need not load

    settings, services = context.settings, service_table(context.settings)
    alert_config(settings)  # a slip in a variable shows here, not when somebody has to be told
    if stack.is_running(settings.workspace):
        return _told_up("Already up:", context, services)
    with held(settings):
        if stack.is_running(settings.workspace):  # another `make up` was faster
            return _told_up("Already up:", context, services)
        stack.refuse_taken_ports(services)  # before minutes are spent on anything else
        clock = _start(settings, services, ConsoleProgress(context.console))
    if clock.anchor is not None:
        told = f"{minute(clock.anchor)} UTC, {settings.clock_speed:g} market seconds a second"
        context.console.print(f"Market clock: {told}", highlight=False)
    return _told_up("Up:", context, services)


def _told_up(how: str, context: Context, services: list[Service]) -> int:
    context.console.print(f"{how}   {addresses(services)}", highlight=False, soft_wrap=True)
    return 0


def _start(settings: Settings, services: list[Service], progress: Progress) -> MarketClock:
    with opened(settings, keep_running=True) as databases:
        prepare(settings, databases, progress)
        make_servable(settings, databases, progress)
        progress.started("services")
        _end_dead_runs()
        environment = library_environment(settings, databases)
        stack.start(settings.workspace, services, environment, lambda item: progress.note(f"{item.title} is ready"))
        clock = market_clock.start_clock(databases.ballast, datetime.now(UTC), settings.clock_speed)
        progress.finished("services", detail=f"{len(services)} are up")
    return clock


def _end_dead_runs() -> None:
    """A schedule waits for its last run: one that a crash left "running" would keep it waiting for ever."""
    from dagster import DagsterInstance  # seconds that other commands need not pay

    from orchestration.local.dead_runs import end_dead_runs

    with DagsterInstance.get() as instance:
        end_dead_runs(instance)


def make_servable(settings: Settings, databases: Databases, progress: Progress) -> None:
    """Play the market if it never was to its end, else bring its views up to this version. Raises CommandError."""
    if not market_clock.is_played(databases.ballast):
        progress.note("this market has not been played to its end yet: once through first")
        if play_once(settings, databases, progress) != 0:
            raise CommandError("the market could not be played: see above, then `make up` again")
    elif not deploy_once(settings, databases, progress):
        raise CommandError("the views of this version could not be made: see above, then `make up` again")


def down(context: Context, options: argparse.Namespace) -> int:
    settings = context.settings
    clean = stack.is_running(settings.workspace)
    if is_busy(settings):
        raise CommandError("a `make run` or `make up` of this market is at work: wait for it or interrupt it (Ctrl-C)")
    ended = stack.stop(settings.workspace)  # raises when a process stays
    _stop_clock(settings, clean)
    others = running_stacks(settings)
    kept = f". Still up: {', '.join(others)}; `make down MARKET=...`, as it was started, stops it" if others else ""
    told = f"Down: {ended} processes ended, none is left" if ended else f"{settings.market.name} was not up"
    context.console.print(f"{told}{kept}", highlight=False)
    return 0


def _stop_clock(settings: Settings, clean: bool) -> None:
    """Also gives the embedded server back: nobody needs it once the stack is down."""
    if settings.database_url is None and not server_running(settings):
        return
    with opened(settings) as databases:
        if market_clock.has_market(databases.ballast):
            market_clock.stop_clock(databases.ballast, datetime.now(UTC), clean)
