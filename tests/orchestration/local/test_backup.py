"""`ballast backup` and `ballast restore`: a market back and forth, what is refused, and a keeper that forgot something.

The keeper's tests run against a network that does not forget: what it was sent is counted at its node.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from keeper.intent import IntentState
from keeper.store import KeeperStore
from orchestration.local import cli
from orchestration.local.backup import postgres_tools, swap
from orchestration.local.backup.restoring import PLACES
from orchestration.local.database import Databases, workspace_databases
from orchestration.resources.database_url import database_name
from orchestration.settings import current_settings
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture
from tests.orchestration.local.test_keeper_network import Site, site  # noqa: F401 - a fixture

S = IntentState
Put = Callable[..., None]
NAMES_A_PLACE = ("artifact_location", "artifact_uri", "storage_location")
MODEL = b"weights of a model"


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


@dataclass
class Market:
    """A market with three databases and a model file. `backup` and `restore` are the commands: (exit code, words)."""

    databases: Databases
    server_url: str
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def told(self, *words: str) -> tuple[int, str]:
        code = cli.main(list(words))
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    def backup(self, name: str = "one.tar") -> Path:
        code, said = self.told("backup", str(self.folder / name))
        assert code == 0, said
        return self.folder / name

    def wipe(self) -> None:
        for url in (self.databases.ballast, self.databases.dagster, self.databases.mlflow):
            execute(self.server_url, f"drop database if exists {database_name(url)} with (force)")
        shutil.rmtree(self.workspace)

    @property
    def workspace(self) -> Path:
        return current_settings().workspace

    @property
    def model(self) -> Path:
        return self.workspace / "artifacts" / "1" / "model.json"

    def contents(self) -> dict[str, list[tuple[object, ...]]]:
        """What scores, decisions and the keeper's log say, and the databases that there are."""
        prefix = str(database_name(self.databases.ballast)).removesuffix("_simulated")
        return {
            "scores": rows(
                self.databases.ballast, "select vault_id, as_of, score, weights from risk.target_allocations"
            ),
            "decisions": rows(self.databases.ballast, "select id, verdict, reasons from keeper.decisions order by id"),
            "attempts": rows(self.databases.ballast, "select tx_hash, state from keeper.attempts order by tx_hash"),
            "runs": rows(self.databases.dagster, "select run_id from runs"),
            "databases": rows(
                self.server_url, f"select datname from pg_database where datname like '{prefix}%' order by 1"
            ),
        }


@pytest.fixture
def market(
    site: Site,  # noqa: F811
    server_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Market]:
    made = Market(workspace_databases(current_settings()), server_url, tmp_path, capsys)
    for url in (made.databases.dagster, made.databases.mlflow):
        execute(server_url, f"create database {database_name(url)}")
        execute(url, "create table alembic_version (version_num text)", "insert into alembic_version values ('1')")
    execute(made.databases.dagster, "create table runs (run_id text)", "insert into runs values ('r1')")
    places = [f"create table if not exists {table} (id int)" for table, _ in PLACES]
    places += [f"alter table {table} add {column} text" for table, column in PLACES]
    execute(made.databases.mlflow, *places)
    made.model.parent.mkdir(parents=True)
    made.model.write_bytes(MODEL)
    (made.workspace / "keys").mkdir()
    (made.workspace / "keys" / "devnet.seed").write_text("a key")
    site.set("BALLAST_KEEPER_RPC_URLS", site.serve())
    yield made
    for url in (made.databases.dagster, made.databases.mlflow):
        execute(server_url, f"drop database if exists {database_name(url)} with (force)")


def test_a_wiped_market_comes_back(market: Market, site: Site) -> None:  # noqa: F811
    assert site.told("once")[0] == 0
    before = market.contents()
    assert len(before["attempts"]) == 1
    code, said = market.told("backup", str(market.folder))
    assert (code, "keys of the development network" in said) == (0, True), said
    (made,) = market.folder.glob("ballast-simulated-*.tar")
    assert made.stat().st_mode & 0o777 == 0o600
    market.wipe()
    code, said = market.told("restore", str(made))
    assert (code, "The keeper is halted" in said) == (0, True), said
    assert market.contents() == before
    assert market.model.read_bytes() == MODEL
    assert not (market.workspace / "keys").exists(), "keys are in no backup"
    assert "halt (restored from a backup of" in site.told("status")[1], "and the log holds"

    assert "refuse (kill_switch_halt)" in site.told("once")[1]
    code, said = site.told("resume", "restored")
    assert (code, "remembered 7001, chain 7001" in said) == (0, True), said
    assert site.told("resume", "again")[1] == "mixed: run (again)\n", "compared once, not each time"
    assert site.told("once")[0] == 0
    assert (site.sent, site.ledger.accounts[site.key.public_key][0]) == (1, 7_001)


def test_a_backup_older_than_the_chain_moves_nothing_again(market: Market, site: Site) -> None:  # noqa: F811
    site.set("BALLAST_KEEPER_PHASE", "shadow")
    site.told("once")  # a decision that saw the chain, before anything was sent
    site.set("BALLAST_KEEPER_PHASE", "")
    old = market.backup()
    execute(
        market.databases.ballast,
        "update ops.market set clock_anchor = clock_anchor + interval '1 minute'",
        "insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score, "
        "model_version, policy_version, reasons, data_mode, share_imputed, degraded) select vault_id, "
        "as_of + interval '1 minute', issued_at + interval '1 minute', valid_until, state, weights, score, "
        "model_version, policy_version, reasons, data_mode, share_imputed, degraded from risk.target_allocations",
    )
    assert "intent confirmed" in site.told("once")[1]
    assert site.sent == 1
    assert market.told("restore", str(old), "--replace")[0] == 0
    assert market.contents()["attempts"] == [], "it forgot the move"

    assert "refuse (kill_switch_halt)" in site.told("once")[1]
    for words in (("resume", "go on"), ("reduce-only", "go on")):
        code, said = site.told(*words)
        assert code == cli.EXPECTED_FAILURE
        assert "1 transactions" in said
        assert "7001 to 7001, are on the chain and not in the restored memory" in said
    code, said = site.told("resume", "seen", "--evidence", "hash 12ab, ledger 77: our move")
    assert (code, "run (seen)" in said) == (0, True), said
    assert "hold" in site.told("once")[1], "the vault is where the score wants it"
    assert site.sent == 1
    told = rows(
        market.databases.ballast, "select body ->> 'evidence' from keeper.events where kind = 'restore_compared'"
    )
    assert told == [("hash 12ab, ledger 77: our move",)]


def test_another_user_of_another_server_takes_over(market: Market, site: Site) -> None:  # noqa: F811
    """From the embedded server to one of one's own: nobody there is called like the owner here."""
    rights = (
        "select n.nspname, a.privilege_type, a.grantee::regrole::text from pg_default_acl d join pg_namespace n on "
        "n.oid = d.defaclnamespace cross join lateral aclexplode(d.defaclacl) a order by 1, 2, 3"
    )
    before, rights_before = market.contents(), rows(market.databases.ballast, rights)
    assert rights_before
    made, old = market.backup(), market.databases
    market.wipe()
    user = f"mover_{market.folder.name[-20:].lower().replace('-', '_')}"
    execute(market.server_url, f"create role {user} login createdb", f"grant ballast_writer, ballast_reader, "
            f"ballast_keeper, ballast_requester, ballast_gatekeeper to {user}")  # fmt: skip
    try:
        url = make_url(market.server_url).set(username=user, database="moved")
        site.set("DATABASE_URL", url.render_as_string(hide_password=False))
        code, said = market.told("restore", str(made))
        assert code == 0, said
        market.databases = workspace_databases(current_settings())
        after = market.contents()
        assert {k: v for k, v in after.items() if k != "databases"} == {
            k: v for k, v in before.items() if k != "databases"
        }
        assert rows(market.databases.ballast, rights) == rights_before
        owners = "select distinct tableowner from pg_tables where schemaname = 'keeper'"
        assert rows(market.databases.ballast, owners) == [(user,)]
    finally:
        market.wipe()
        execute(market.server_url, f"drop role {user}", f"create database {database_name(old.ballast)}")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("dies_before", "state", "resumes"),
    [
        (S.SIGNED, S.CANCELLED, False),  # an unsigned envelope: later signed and sent, which only the chain remembers
        (S.SUBMITTED, S.CONFIRMED, True),  # signed bytes: sent once, and found by their hash
    ],
)
def test_what_was_undecided_at_the_backup_is_never_sent_again(
    market: Market,
    site: Site,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    dies_before: S,
    state: S,
    resumes: bool,
) -> None:
    move = KeeperStore.move

    def killed(store: KeeperStore, intent: object, to: S, *rest: object, **more: object) -> object:
        if to is dies_before:
            raise Killed
        return move(store, intent, to, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(KeeperStore, "move", killed)
    with pytest.raises(Killed):
        site.told("once")
    monkeypatch.setattr(KeeperStore, "move", move)
    old = market.backup()
    (intent,) = site.store.open_intents_of("mixed")
    assert site.told("reconcile")[0] == 0  # the life that the backup does not know of
    assert site.store.intent(intent.id).state is S.CONFIRMED
    assert market.told("restore", str(old), "--replace")[0] == 0

    code, said = site.told("resume", "restored")
    assert (code == 0) is resumes, said
    assert site.store.intent(intent.id).state is state
    site.told("once")
    assert site.ledger.accounts[site.key.public_key][0] == 7_001, "one transaction, then and now"
    assert site.sent == 1


def flipped(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(MODEL)
    path.write_bytes(data[:at] + b"W" + data[at + 1 :])


def rewritten(path: Path, change: Callable[[dict[str, object]], None], extra: str | None = None) -> None:
    """The same members with another manifest, and one more member."""
    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            if member.name == "manifest.json":
                manifest = json.loads(data)
                change(manifest)
                data = json.dumps(manifest).encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        if extra is not None:
            tar.addfile(tarfile.TarInfo(extra))


def newer(manifest: dict[str, object]) -> None:
    manifest["dumps"]["ballast"]["revision"] = "9999"  # type: ignore[index]


def grabbing(manifest: dict[str, object]) -> None:
    manifest["dumps"]["mlflow"]["defaults"] = [["raw", "ALL; drop table x", "ballast_reader"]]  # type: ignore[index]


def fewer(manifest: dict[str, object]) -> None:
    manifest["dumps"]["dagster"]["tables"]["public.runs"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (flipped, "is damaged: workspace/artifacts/1/model.json is not what its manifest says"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "is damaged or no backup"),
        (lambda path: path.write_text("no tar"), "is damaged or no backup"),
        (lambda path: rewritten(path, newer), "the backup has schema 9999, this version knows schemas up to"),
        (lambda path: rewritten(path, fewer), "database dagster lacks rows after the restore, first in public.runs"),
        (lambda path: rewritten(path, lambda m: m.update(market="live")), "the backup is of market live"),
        (lambda path: rewritten(path, lambda m: m.update(format=2)), "the backup has format 2"),
        (lambda path: rewritten(path, lambda m: m.update(server=990000)), "the backup is of PostgreSQL 99"),
        (lambda path: rewritten(path, lambda m: m.update(roles=["postgres"])), "names the role 'postgres'"),
        (lambda path: rewritten(path, grabbing), "gives rights to 'ballast_reader' that none of ours gives"),
        (lambda path: rewritten(path, lambda m: m.update(last_event="0")), "the keeper's log ends elsewhere"),
        (lambda path: rewritten(path, lambda m: None, "../../evil"), "which no backup of ours holds"),
        (lambda path: path.unlink(), "is not a file"),
    ],
)  # fmt: skip
def test_a_bad_backup_changes_nothing(market: Market, harm: Callable[[Path], None], told: str) -> None:
    made = market.backup()
    before = market.contents()
    harm(made)
    code, said = market.told("restore", str(made), "--replace")
    assert (code, told in said) == (cli.EXPECTED_FAILURE, True), said
    assert market.contents() == before
    assert market.model.read_bytes() == MODEL
    assert not (market.workspace / "restore.new").exists()


def test_what_is_there_is_not_replaced_by_accident(market: Market) -> None:
    made = market.backup()
    before = market.contents()
    code, said = market.told("restore", str(made))
    assert (code, "is not empty: add --replace" in said) == (cli.EXPECTED_FAILURE, True), said
    with create_engine(market.databases.dagster, poolclass=NullPool).connect():
        code, said = market.told("restore", str(made), "--replace")
    assert (code, "is in use: stop everything that uses it" in said) == (cli.EXPECTED_FAILURE, True), said
    assert market.contents() == before
    assert "exists already" in market.told("backup", str(made))[1]
    assert market.model.read_bytes() == MODEL


def test_a_failure_at_the_last_step_takes_everything_back(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    made = market.backup()
    before = market.contents()
    market.model.write_bytes(b"newer")
    (market.workspace / "evaluations").mkdir()
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path.name == "evaluations":
            raise OSError(28, "No space left on device", str(path))
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        code, said = market.told("restore", str(made), "--replace")
    assert (code, "No space left on device" in said) == (cli.EXPECTED_FAILURE, True), said
    assert market.contents() == before
    assert market.model.read_bytes() == b"newer"


def test_the_chain_of_a_running_devnet_is_not_set_back(market: Market) -> None:
    chain = market.workspace / "devnet.json"
    chain.write_text("then")
    made = market.backup()
    chain.write_text("now")
    assert market.told("restore", str(made), "--replace")[0] == 0
    assert chain.read_text() == "now"
    market.wipe()
    assert market.told("restore", str(made))[0] == 0
    assert chain.read_text() == "then"


def test_models_are_found_in_another_folder(market: Market, site: Site) -> None:  # noqa: F811
    root = market.workspace / "artifacts"
    execute(market.databases.mlflow, f"insert into experiments (id, artifact_location) values (77, 'file://{root}/77')")
    made = market.backup()
    market.wipe()
    site.set("BALLAST_STATE", str(market.folder / "moved"))
    assert market.told("restore", str(made))[0] == 0
    found = rows(market.databases.mlflow, "select artifact_location from experiments where id = 77")
    assert found == [(f"file://{market.folder}/moved/simulated/artifacts/77",)]


def test_places_of_files_are_where_mlflow_keeps_them() -> None:
    from mlflow.store.model_registry.dbmodels import models as registry
    from mlflow.store.tracking.dbmodels import models as tracking

    tables = {**tracking.Base.metadata.tables, **registry.Base.metadata.tables}
    named = {(t, c.name) for t, table in tables.items() for c in table.columns if c.name in NAMES_A_PLACE}
    assert named | {("model_versions", "source")} == set(PLACES)


def test_a_password_is_never_on_a_command_line(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\n')
    program.chmod(0o755)
    for url in ("postgresql+psycopg2://u:pa%40ss@host:5433/db?sslmode=require",
                "postgresql+psycopg2://u@host:5433/db?password=pa%40ss&sslmode=require"):  # fmt: skip
        postgres_tools.dump(str(program), url, "1-1", tmp_path / "out")
        assert (tmp_path / "arguments").read_text().split()[-1] == "postgresql://u@host:5433/db?sslmode=require"
        assert "%40" not in (tmp_path / "arguments").read_text()
        assert "pa@ss" not in (tmp_path / "arguments").read_text()
        assert (tmp_path / "password").read_text() == "pa@ss\n"


def test_a_name_that_gets_too_long_is_said_before_anything_happens() -> None:
    long = "postgresql://u@h/" + "x" * 55
    with pytest.raises(swap.BackupError, match="longer than 63 bytes"):
        swap.names(Databases(long, long, long), swap.RESTORING)
