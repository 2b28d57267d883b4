"""Log lines of jobs, schedules and sensors: the schema of `models.contracts.log_lines`, with run, job and step.

Inside a run our loggers are Dagster's business (`managed_python_loggers` of dagster.yaml): it hangs the run onto each
line and hands it to the logger of the run, which is here. Outside of runs a handler writes it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import dagster as dg

from models.contracts.log_lines import LOGGERS, LineFormatter
from orchestration.alerts.scrub import scrubber_for
from orchestration.settings import Settings

if TYPE_CHECKING:
    from dagster import InitLoggerContext

_RUN_LOGGER = "ballast_run"  # no child of LOGGERS: its lines come from there
_SERVICE = "jobs"


def configure(settings: Settings) -> None:
    """Send lines of our loggers to stderr, once a process; those of libraries go where they went.

    While a run lasts, Dagster has a handler of its own there and hands them to `run_logger`: then ours is silent.
    """
    logger = logging.getLogger(LOGGERS)
    handler = _handler(settings)
    handler.addFilter(lambda record: logger.handlers == [handler])
    logger.handlers[:] = [handler]
    logger.setLevel(settings.log.level.upper())
    logger.propagate = False


def run_logger(settings: Settings) -> dg.LoggerDefinition:
    """What a run writes to its console: failures of steps and lines of ours, from the level of `BALLAST_LOG_LEVEL`."""

    @dg.logger(config_schema={"log_level": dg.Field(str, default_value=settings.log.level.upper(), is_required=False)})
    def console(context: InitLoggerContext) -> logging.Logger:
        logger = logging.Logger(_RUN_LOGGER, context.logger_config["log_level"].upper())
        logger.addHandler(_handler(settings))
        return logger

    return console


def _handler(settings: Settings) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_SERVICE, settings.log.format, scrubber_for(settings)))
    return handler
