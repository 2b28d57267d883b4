from __future__ import annotations

import pytest
from sqlalchemy import Engine

from orchestration.resources.database_url import DatabaseUrlError, database_name, normalise, redact, with_database


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5432/d", "postgresql+psycopg2://u:p@h:5432/d"),
        ("postgres://u@h/d", "postgresql+psycopg2://u@h/d"),
        ("postgresql+psycopg://u@h/d?sslmode=require", "postgresql+psycopg2://u@h/d?sslmode=require"),
        ("postgresql://postgres@/d?host=/run/pg", "postgresql+psycopg2://postgres@/d?host=%2Frun%2Fpg"),
        ("postgresql+psycopg2://u:p%40ss@h/d", "postgresql+psycopg2://u:p%40ss@h/d"),
    ],
)
def test_normalise(url: str, expected: str) -> None:
    assert normalise(url) == expected
    assert normalise(normalise(url)) == expected


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "hunter2", "://hunter2"])
def test_other_urls_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        normalise(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h/d", "postgresql://u@h/d?password=hunter2"])
def test_redact_hides_the_password(url: str) -> None:
    assert "hunter2" not in redact(url)
    assert "u" in redact(url)


def test_with_database_keeps_the_server() -> None:
    url = with_database("postgresql://u:p@h:6000/a?sslmode=require", "b")
    assert url == "postgresql+psycopg2://u:p@h:6000/b?sslmode=require"
    assert database_name(url) == "b"
    assert database_name("postgresql://u@h") is None


def test_engine_uses_the_one_driver(engine: Engine) -> None:
    assert engine.dialect.driver == "psycopg2"
