"""MLflow behind the few verbs that training and scoring need: runs, registered models, the champion alias.

Who is champion stands in the promotion ledger; the alias follows it, for those who look at MLflow.

The one place that says where runs and artefacts live: the store that the environment names (on one machine its
database, written directly, with artefacts in an absolute folder of the workspace; several machines would name the
server's URL instead). What a model is and whether it may serve is decided elsewhere.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from orchestration import quiet

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

EXPERIMENT = "volatility"
CHAMPION, CHALLENGER = "champion", "challenger"
EVALUATION_TAG = "evaluation_id"
FOLD_TAG = "fold_of"  # not the tag above: a run of an evaluation is found by it
BUNDLE = "bundle"  # name of the artefact and of the folder that holds it
_SERVED_BY = Path(__file__).with_name("served_model.py")  # the code that MLflow keeps beside the artefacts
# Given, because finding out takes MLflow five seconds in a fresh process for each model.
REQUIREMENTS = ("numpy", "pandas", "scipy", "numba", "scikit-learn", "lightgbm")


class BundleError(RuntimeError):
    """The files of a version are gone or are not those that were registered: it cannot speak."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a registered model. `place`, `digest`: see `ModelRegistry.placed`; empty where nobody knows."""

    name: str
    version: str
    run_id: str
    evaluation_id: str
    algorithm: str
    place: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)


class ModelRegistry(dg.ConfigurableResource[None]):
    """Runs and models of this market's workspace."""

    tracking_uri: str = Field(description="MLflow store or server; from the environment, never shown.")
    artifact_root: str = Field(description="Absolute folder of artefacts; unused when the store is a server.")

    @classmethod
    def of(cls, artifact_root: Path) -> ModelRegistry:
        """The registry that the environment names."""
        return cls(tracking_uri=dg.EnvVar("MLFLOW_TRACKING_URI"), artifact_root=str(artifact_root))

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        with quiet.libraries():
            import mlflow

            mlflow.set_tracking_uri(self.tracking_uri)
            mlflow.set_registry_uri(self.tracking_uri)
            yield mlflow.MlflowClient()

    def _experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        # A plain folder given to a server would be written on the client's disk (mlflow#14561).
        root = None if self.tracking_uri.startswith("http") else (Path(self.artifact_root) / EXPERIMENT).as_uri()
        return str(client.create_experiment(EXPERIMENT, artifact_location=root))

    def open_run(self, name: str, evaluation: str, tags: Mapping[str, str]) -> str:
        """Run of an evaluation: the one that a killed process left behind, or a new one. Returns its id."""
        with self._client() as client:
            experiment = self._experiment(client)
            found = client.search_runs([experiment], f"tags.{EVALUATION_TAG} = '{evaluation}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            created = client.create_run(experiment, run_name=name, tags={**tags, EVALUATION_TAG: evaluation})
            return str(created.info.run_id)

    def has_run(self, evaluation: str) -> bool:
        """Whether an evaluation was logged to its end."""
        with self._client() as client:
            wanted = f"tags.{EVALUATION_TAG} = '{evaluation}' and attributes.status = 'FINISHED'"
            return bool(client.search_runs([self._experiment(client)], wanted, max_results=1))

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        figures: Mapping[str, Figure],
        tables: Mapping[str, pd.DataFrame],
    ) -> None:
        """Write what an evaluation found and end its run. Repeating it writes the same again."""
        import mlflow

        with self._client() as client:
            _log_numbers(client, run_id, params, metrics)
            for path, figure in figures.items():
                client.log_figure(run_id, figure, path)
            for path, table in tables.items():
                client.log_text(run_id, table.to_csv(index=False), path)
            client.set_terminated(run_id, mlflow.entities.RunStatus.to_string(mlflow.entities.RunStatus.FINISHED))

    def log_folds(self, run_id: str, evaluation: str, folds: Mapping[str, Mapping[str, float]]) -> None:
        """A run below that of an evaluation for each fold, by its name. Repeating it writes the same again."""
        import mlflow

        with self._client() as client:
            experiment = self._experiment(client)
            below = f"tags.{mlflow.utils.mlflow_tags.MLFLOW_PARENT_RUN_ID} = '{run_id}'"
            known = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment], below)}
            tags = {mlflow.utils.mlflow_tags.MLFLOW_PARENT_RUN_ID: run_id, FOLD_TAG: evaluation}
            for name, metrics in folds.items():
                fold = known.get(name) or client.create_run(experiment, run_name=name, tags=tags).info.run_id
                _log_numbers(client, fold, {}, metrics)
                client.set_terminated(fold)

    def add(self, run_id: str, figures: Mapping[str, Figure], texts: Mapping[str, str]) -> None:
        """More pictures and texts of a run, by path."""
        with self._client() as client:
            for path, figure in figures.items():
                client.log_figure(run_id, figure, path)
            for path, content in texts.items():
                client.log_text(run_id, content, path)

    def register(
        self,
        run_id: str,
        name: str,
        bundle: Path,
        example: pd.DataFrame,
        answer: pd.DataFrame,
        evaluation: str,
        algorithm: str,
    ) -> Version:
        """Keep a fitted bundle as a version of `name`, marked as challenger. The version of the same evaluation and
        algorithm is found again instead of being made twice. `example`, `answer`: at least two rows in and out."""
        import mlflow

        with self._client() as client:
            for old in client.search_model_versions(f"name = '{name}'"):
                if (old.tags.get(EVALUATION_TAG), old.tags.get("algorithm")) == (evaluation, algorithm):
                    return _version(old)
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(_SERVED_BY),
                    artifacts={BUNDLE: str(bundle)},
                    signature=mlflow.models.infer_signature(example, answer),
                    input_example=example,
                    pip_requirements=list(REQUIREMENTS),
                )
            made = mlflow.register_model(
                logged.model_uri, name, tags={EVALUATION_TAG: evaluation, "algorithm": algorithm}
            )
            client.set_registered_model_alias(name, CHALLENGER, made.version)
            return _version(client.get_model_version(name, made.version))

    def version(self, name: str, version: str) -> Version | None:
        """One version of a model; None if there is none."""
        with self._client() as client:
            for found in client.search_model_versions(f"name = '{name}'"):
                if str(found.version) == version:
                    return _version(found)
        return None

    def champion(self, name: str) -> Version | None:
        """The version that carries the champion alias, None before the first promotion."""
        return self.champions().get(name)

    def champions(self) -> dict[str, Version]:
        """All versions that carry the champion alias, by model name."""
        with self._client() as client:
            found: dict[str, Version] = {}
            for model in client.search_registered_models():
                if CHAMPION in (model.aliases or {}):
                    found[model.name] = _version(client.get_model_version(model.name, model.aliases[CHAMPION]))
            return found

    def promote(self, version: Version) -> None:
        """Set the champion alias. The ledger has spoken before."""
        with self._client() as client:
            client.set_registered_model_alias(version.name, CHAMPION, version.version)

    def placed(self, version: Version) -> Version:
        """The version with the place of its bundle, below the folder of artefacts, and the hash of its files: with
        both, reading it needs no MLflow. Without a place where artefacts are on a server."""
        folder = self._looked_up(version)
        root = Path(self.artifact_root)
        place = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else ""
        return replace(version, place=place, digest=files_hash(folder))

    def bundle(self, version: Version) -> Path:
        """Local folder of a version's bundle. Raises BundleError when it is not there, or not as it was registered."""
        known = Path(self.artifact_root) / version.place
        folder = known if version.place and known.is_dir() else self._looked_up(version)
        if version.digest and files_hash(folder) != version.digest:
            raise BundleError(f"the files of {version.name} version {version.version} have changed since its promotion")
        return folder

    def part(self, version: Version, part: str, digest: str) -> Path:
        """A folder inside a version's bundle, whatever has become of the rest. `digest`: hash of its files.

        Raises BundleError when it is not there, or not as it was registered.
        """
        known = Path(self.artifact_root) / version.place
        folder = (known if version.place and known.is_dir() else self._looked_up(version)) / part
        if not folder.is_dir() or files_hash(folder) != digest:
            raise BundleError(f"{part} of {version.name} version {version.version} is gone or has changed")
        return folder

    def _looked_up(self, version: Version) -> Path:
        """Where MLflow has the bundle; asking it takes three seconds in a fresh process."""
        import mlflow

        with self._client():
            uri = f"models:/{version.name}/{version.version}"
            try:
                return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri)) / "artifacts" / BUNDLE
            except (mlflow.exceptions.MlflowException, OSError) as error:
                raise BundleError(f"the files of {version.name} version {version.version} cannot be read") from error


def outages() -> tuple[type[Exception], ...]:
    """What a call raises when the store or the files of MLflow cannot be reached."""
    import mlflow

    return (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError)


def files_hash(folder: Path) -> str:
    """Hash of all files below a folder, by path and content (16 hex digits)."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _log_numbers(client: MlflowClient, run_id: str, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """One request for all of them; a parameter that is there already stays as it is."""
    from mlflow.entities import Metric, Param

    known, now_ms = client.get_run(run_id).data.params, int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(key, number, now_ms, 0) for key, number in metrics.items()],
        params=[Param(key, str(value)) for key, value in params.items() if key not in known],
    )


def _version(found: Any) -> Version:
    return Version(
        found.name,
        str(found.version),
        str(found.run_id),
        found.tags.get(EVALUATION_TAG, ""),
        found.tags.get("algorithm", ""),
    )
