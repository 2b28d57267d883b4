"""Environment of the processes we start: where each library finds its store, and how many threads it may use.

Pure: addresses come in, variables go out. Dagster, MLflow and dbt read nothing but the environment.
"""

from __future__ import annotations

from sqlalchemy import make_url

from orchestration.folders import artifacts, dagster_home
from orchestration.local.database import Databases
from orchestration.settings import Settings, as_environment


def library_environment(settings: Settings, urls: Databases) -> dict[str, str]:
    """Variables for this process and its children, on top of the inherited ones.

    MLflow clients write straight to its database and to an absolute folder: training then needs no server, and the
    server is only the window on the same store (one machine; several would speak HTTP to it instead).
    """
    threads = str(settings.threads)
    return {
        **as_environment(settings),
        "DAGSTER_HOME": str(dagster_home(settings)),
        "BALLAST_DAGSTER_URL": urls.dagster,
        "BALLAST_WAREHOUSE_URL": urls.ballast,
        "BALLAST_SERVING_DATABASE_URL": urls.ballast,
        # Materialisations of a backfill are stored in one statement instead of one each: 1 ms against 10.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "MLFLOW_TRACKING_URI": urls.mlflow,
        "MLFLOW_REGISTRY_URI": urls.mlflow,
        "MLFLOW_BACKEND_STORE_URI": urls.mlflow,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": str(artifacts(settings)),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(artifacts(settings)),
        # Each process holds a handful of connections: the budget stands in orchestration.local.database.
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "2",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "3",
        # Its job runner is nine processes of 235 MB for features that are not used here (measured, 3.17.2).
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        **dbt_connection(urls.ballast),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        # Several numerical libraries each take every core otherwise.
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
        "NUMBA_CACHE_DIR": str(settings.state_root / "numba"),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }


def dbt_connection(url: str) -> dict[str, str]:
    """The address in the parts that `dbt_project/profiles.yml` reads. A socket folder stands in the query."""
    parsed = make_url(url)
    host = parsed.query.get("host", parsed.host)
    return {
        "BALLAST_PG_HOST": str(host or "localhost"),
        "BALLAST_PG_PORT": str(parsed.port or 5432),
        "BALLAST_PG_USER": parsed.username or "",
        "BALLAST_PG_PASSWORD": str(parsed.password or ""),
        "BALLAST_PG_DBNAME": parsed.database or "",
    }
