"""Dashboards and alert rules keep up with the code: every metric and label they name exists, every expression is one,
and what Grafana and Prometheus need of a file stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
import yaml

from keeper.alerts.alert import RUNBOOK
from keeper.intent import TERMINAL
from models.contracts.log_lines import LOG_VARIABLES
from models.contracts.metrics import API_METRICS, JOB_METRICS, MetricKind
from orchestration.configuration.metrics import METRICS_VARIABLE
from tests.architecture.tree import ROOT

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "ballast.rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
PAGE = ROOT / "docs" / "observability.md"
# Of Prometheus and of its client: the process of the API.
FOREIGN = {"up": (), "process_resident_memory_bytes": (), "process_cpu_seconds_total": ()}
SCRAPER = {"job", "instance", "market"}  # labels of every series: of the scrape, and of a push


def series() -> dict[str, set[str]]:
    """Every series that is exposed, with its labels."""
    found = {name: set(labels) for name, labels in FOREIGN.items()}
    for metric in (*API_METRICS, *JOB_METRICS):
        found[metric.name] = set(metric.labels)
        if metric.kind is MetricKind.HISTOGRAM:
            del found[metric.name]
            found |= {f"{metric.name}_{part}": set(metric.labels) for part in ("sum", "count")}
            found[f"{metric.name}_bucket"] = {*metric.labels, "le"}
    return found


SERIES = series()


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [(path.stem, panel) for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


def expressions() -> list[tuple[str, str]]:
    found = [(rule["alert"], rule["expr"]) for rule in rules()]
    return found + [(f"{board}: {p['title']}", t["expr"]) for board, p in panels() for t in p["targets"]]


def parts_of(node: Any) -> Iterator[Any]:
    """A parsed expression and everything below it."""
    yield node
    below = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "param", "vector_selector")]
    for child in (*below, *(getattr(node, "args", None) or ())):
        if child is not None and not isinstance(child, str):
            yield from parts_of(child)


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Names of series in an expression, each with the labels that are matched."""
    vectors = [node for node in parts_of(promql.parse(expression)) if isinstance(node, promql.VectorSelector)]
    return [(vector.name, {matcher.name for matcher in vector.matchers.matchers}) for vector in vectors]


def grouped(expression: str) -> set[str]:
    """Labels that an expression groups or joins by."""
    return {
        label.strip()
        for labels in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expression)
        for label in labels.split(",")
    }


def test_there_is_something_to_test() -> None:
    assert len(DASHBOARDS) == 3
    assert len(rules()) > 10
    assert len(expressions()) > 40


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_an_expression_names_what_exists(where: str, expression: str) -> None:
    found = selectors(expression)
    assert found, "it looks at no series"
    for name, labels in found:
        assert name in SERIES, name
        assert labels <= SERIES[name] | SCRAPER, name
    known = set.union(*(SERIES[name] for name, _ in found)) | SCRAPER
    assert grouped(expression) <= known


@pytest.mark.parametrize("wrong", ["sum(", "rate(x[5q])", "x > on y", 'x{a="b}'])
def test_the_parser_refuses_what_is_none(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        promql.parse(wrong)


def test_every_metric_is_looked_at() -> None:
    shown = {name for _, expression in expressions() for name, _ in selectors(expression)}
    unseen = {metric.name for metric in (*API_METRICS, *JOB_METRICS)} - {re.sub("_bucket$", "", n) for n in shown}
    # What carries names and moments for whoever asks by hand; no panel is about them.
    assert unseen == {"ballast_market_info", "ballast_job_success_timestamp_seconds"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_whole(rule: dict[str, Any]) -> None:
    assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[a-z_]+", rule["alert"])
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical", "{{ $labels.severity }}")
    assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{rule['alert']}"
    assert rule["annotations"]["summary"]
    known = set.union(*(SERIES[name] for name, _ in selectors(rule["expr"]))) | SCRAPER
    used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule)))
    assert used <= known


def test_names_of_rules_are_unique() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_has_what_grafana_needs(path: Any) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == path.stem
    assert len(board["uid"]) <= 40
    assert board["title"]
    assert isinstance(board["schemaVersion"], int)
    assert "id" not in board, "a file that is provisioned must not carry the number of another installation"
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["type"] in ("timeseries", "stat", "table")
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0
        for holder in (panel, *panel["targets"]):
            assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap(path: Any) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        p = panel["gridPos"]
        cells = {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_states_in_panels_are_those_of_an_intent() -> None:
    texts = {t["expr"] for _, p in panels() for t in p["targets"] if "state=~" in t["expr"] or "state!~" in t["expr"]}
    assert len(texts) == 2
    for text in texts:
        (told,) = re.findall(r'state[!=]~"([^"]*)"', text)
        assert set(told.split("|")) == {state.value for state in TERMINAL}


def test_the_scrape_is_the_one_that_rules_and_panels_name() -> None:
    scrapes = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert scrapes["rule_files"] == [RULES.name]
    jobs = {scrape["job_name"] for scrape in scrapes["scrape_configs"]}
    named = {job for _, expression in expressions() for job in re.findall(r'\bjob="([^"]*)"', expression)}
    assert named == {"ballast-api"}
    assert named <= jobs


def test_the_page_tells_every_metric_and_setting() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(ballast_[a-z_]+)` \| (.*?) \|", page, flags=re.M))
    assert rows.keys() == {metric.name for metric in (*API_METRICS, *JOB_METRICS)}
    for metric in (*API_METRICS, *JOB_METRICS):
        assert rows[metric.name] == (", ".join(f"`{label}`" for label in metric.labels) or "-")
    assert [name for name in (*LOG_VARIABLES, METRICS_VARIABLE) if f"`{name}`" not in page] == []
