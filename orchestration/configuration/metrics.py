"""Where the metrics of the jobs go: a file that node_exporter reads, or a push gateway. Checked at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from orchestration.configuration.values import SettingsError

METRICS_VARIABLE = "BALLAST_METRICS"
_SUFFIX = ".prom"  # node_exporter reads no other


class MetricsWay(StrEnum):
    TEXTFILE = "textfile"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class MetricsTarget:
    """`where`: absolute path of the file, or address of the gateway."""

    way: MetricsWay
    where: str

    def __str__(self) -> str:
        return f"{self.way}:{self.where}"


def metrics_target(said: str | None) -> MetricsTarget | None:
    """`textfile:/path/x.prom` or `push:http://host:9091`; None for nothing said. Raises SettingsError."""
    if not said:
        return None
    way, _, where = said.partition(":")
    if way == MetricsWay.TEXTFILE:
        path = Path(where)
        if not path.is_absolute() or path.suffix != _SUFFIX:
            raise SettingsError(f"{METRICS_VARIABLE}: textfile: needs an absolute path that ends in {_SUFFIX}")
        return MetricsTarget(MetricsWay.TEXTFILE, where)
    if way == MetricsWay.PUSH:
        parts = urlsplit(where)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise SettingsError(f"{METRICS_VARIABLE}: push: needs an http(s) address without user and password")
        return MetricsTarget(MetricsWay.PUSH, where)
    raise SettingsError(f"{METRICS_VARIABLE}: {way!r} is not {', '.join(MetricsWay)}: textfile:/path/ballast.prom")
