"""Where steps run: in the process of their run, but for a training on Kubernetes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import dagster as dg
import pytest

from models.contracts import jobs as names
from orchestration.jobs import asset_jobs
from orchestration.settings import SettingsError, load_settings


@dg.executor(name="in_pods")
def in_pods(context: dg.InitExecutorContext) -> dg.Executor:
    raise AssertionError("nothing is run here")


def executors(steps: str) -> dict[str, object]:
    nothing = dg.AssetSelection.groups("none")
    return {job.name: job.executor_def for job in asset_jobs(nothing, nothing, steps)}


def test_one_process_is_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    found = executors(load_settings({}).steps)
    assert names.TRAINING in found
    assert set(found.values()) == {dg.in_process_executor}
    monkeypatch.setitem(sys.modules, "dagster_k8s", SimpleNamespace(k8s_job_executor=in_pods))
    found = executors(load_settings({"BALLAST_STEPS": "pods"}).steps)
    assert {name for name, executor in found.items() if executor is in_pods} == {names.TRAINING}


def test_anything_else_is_a_slip() -> None:
    with pytest.raises(SettingsError, match="BALLAST_STEPS: 'pod' is not one of process, pods"):
        load_settings({"BALLAST_STEPS": "pod"})
