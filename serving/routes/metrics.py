"""`/metrics`: what Prometheus reads. No document for people: names are in docs/observability.md."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from models.access.keys import Scope
from serving.access.scopes import needs
from serving.metrics import Exposition

router = APIRouter(include_in_schema=False, dependencies=[needs(Scope.READ)])


@router.get("/metrics")
def metrics(request: Request) -> Response:
    exposition = request.app.state.exposition
    assert isinstance(exposition, Exposition)
    return Response(exposition.page(), media_type=exposition.content_type)
