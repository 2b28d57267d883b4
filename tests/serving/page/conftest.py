"""A running API over a played market, and a real browser that looks at it."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.resources.database_url import with_database
from serving.app import create_app
from tests.serving.conftest import without_keys
from tests.serving.page.looked_at import write_everything

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
expect.set_options(timeout=15_000)  # other tests run beside this one
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@dataclass
class Site:
    """The API on loopback, and its database: what is written there comes to every page by the stream."""

    url: str
    engine: Engine


@dataclass
class Seen:
    """A page, and what it should not do: errors in its console, requests that leave the host."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(server_url: str, serving_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"ballast_page_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {serving_template} strategy file_copy"))
    url = with_database(server_url, name)
    engine = create_engine(url, poolclass=NullPool)
    app = create_app(replace(without_keys(url), poll_s=0.2))
    write_everything(engine, TestClient(app), tmp_path_factory.mktemp("chain"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended while it was starting"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Site(f"http://127.0.0.1:{port}", engine)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        with admin.connect() as connection:
            connection.execute(text(f"drop database {name} with (force)"))


def _chromium() -> str:
    named = os.environ.get("BALLAST_CHROMIUM")
    found = named or next((path for path in map(shutil.which, NAMES) if path), None)
    if not found or not Path(found).exists():
        if os.environ.get("BALLAST_CHROMIUM_REQUIRED") == "1":
            pytest.fail("Chromium is required and was not found: name it in BALLAST_CHROMIUM")
        pytest.skip("no Chromium on PATH, and BALLAST_CHROMIUM names none")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = _chromium()
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def look(site: Site, browser: Browser) -> Iterator[Callable[..., Seen]]:
    """look(path, viewport, **context) opens the page in a fresh profile and waits until everything is drawn."""
    contexts = []

    def opened(path: str = "/", viewport: dict[str, int] = DESKTOP, **about: Any) -> Seen:
        context = browser.new_context(viewport=viewport, **about)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        seen = Seen(page)
        page.on("console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(site.url) else seen.outside.append(asked.url))
        page.goto(site.url + path)
        settled(page)
        return seen

    yield opened
    for context in contexts:
        context.close()


def settled(page: Page) -> None:
    """Everything that was asked for has been drawn, or says why not."""
    page.wait_for_selector("#big-score, #hero .problem")
    expect(page.locator("[aria-busy], .loading")).to_have_count(0)  # the policy forbids to wait in scripts
