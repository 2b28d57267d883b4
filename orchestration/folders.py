"""Folders of a workspace: what of a market is not in its databases. Paths only; nothing is created here."""

from __future__ import annotations

from pathlib import Path

from orchestration.settings import Settings


def dagster_home(settings: Settings) -> Path:
    return settings.workspace / "dagster"


def artifacts(settings: Settings) -> Path:
    return settings.workspace / "artifacts"


def logs(settings: Settings) -> Path:
    return settings.workspace / "logs"
