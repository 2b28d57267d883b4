"""The devnet as a process of its own: the keeper's path over HTTP, and a kill in the middle of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from keeper.devnet.admin import DevnetAdmin, DevnetUnavailable, connect
from keeper.gateway import Ok
from keeper.intent import IntentState
from keeper.keeper import Keeper
from keeper.limits import KeeperLimits
from keeper.store import KeeperStore
from tests.keeper.world import MARKET_NOW, PRICES, a_row, a_vault


@contextmanager
def devnet(state: Path, kill: bool = False) -> Iterator[str]:
    """A running process on a free port; leaves by SIGTERM, or SIGKILL."""
    command = [sys.executable, "-m", "keeper.devnet", "--port", "0", "--state", str(state), "--ledger-close-s", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("devnet: http://127.0.0.1:")
        yield line.split()[1].rstrip(",")
    finally:
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()
    assert code == (-signal.SIGKILL if kill else 0)


def test_the_keeper_acts_over_http_and_a_killed_devnet_goes_on(engine: Engine, tmp_path: Path) -> None:
    state, key = tmp_path / "chain.json", tmp_path / "dev.key"
    store = KeeperStore(engine)
    with devnet(state, kill=True) as url:
        first = connect(a_vault(), url, key)
        first.admin.set_prices(PRICES)
        config = replace(first.config, limits=KeeperLimits(poll_s=0.05))
        outcome = Keeper(config, store, first.gateway, first.signer).tick(a_row(config.vault), MARKET_NOW)
        assert outcome.intent_state is IntentState.CONFIRMED
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert json.load(answer)["result"]["status"] == "healthy"
        seen = first.gateway.clock()
        held = first.gateway.vault(str(config.vault.contract))
        first.close()
    with pytest.raises(DevnetUnavailable, match="is it running"):
        DevnetAdmin(url).fund(first.signer.address)
    with devnet(state) as url:
        again = connect(a_vault(), url, key)
        assert again.config.vault == config.vault
        now, vault = again.gateway.clock(), again.gateway.vault(str(config.vault.contract))
        assert isinstance(now, Ok)
        assert isinstance(seen, Ok)
        assert isinstance(vault, Ok)
        assert isinstance(held, Ok)
        assert now.value.ledger > seen.value.ledger
        assert now.value.close_time_s > seen.value.close_time_s
        assert vault.value.funds == held.value.funds
        assert outcome.tx_hash is not None
        look = again.gateway.transaction(outcome.tx_hash)
        assert isinstance(look, Ok)
        assert look.value.status == "SUCCESS"
        again.close()


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [("abc", b"{}", 413), ("-1", b"{}", 413), ("1000001", b"{}", 413), ("100000", b"[" * 100_000, 200)],
)
def test_requests_that_are_none_are_answered(tmp_path: Path, length: str, body: bytes, status: int) -> None:
    with devnet(tmp_path / "chain.json") as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", length)
        connection.endheaders(body)
        answer = connection.getresponse()
        assert answer.status == status
        assert "error" in json.load(answer)
        connection.close()


def test_a_taken_port_and_a_foreign_file_are_said_clearly(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.json"
    foreign.write_text("[]")
    command = [sys.executable, "-m", "keeper.devnet", "--state", str(foreign), "--port"]
    done = subprocess.run([*command, "0"], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.returncode, "move it away" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    with devnet(tmp_path / "chain.json") as url:
        port = url.rsplit(":", 1)[1]
        done = subprocess.run([*command, port], capture_output=True, text=True, check=False)
        assert (done.returncode, "cannot start" in done.stderr) == (1, True)
    assert foreign.read_text() == "[]"
