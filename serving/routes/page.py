"""Pages for people who look rather than read: the newest scores at `/`, the API at `/docs`. Static; they call the API
like anyone and load nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)
_PAGES = Path(__file__).resolve().parent.parent / "page"


@router.get("/")
def scores() -> FileResponse:
    return _page("index.html")


@router.get("/docs")
def api() -> FileResponse:
    return _page("api.html")


def _page(name: str) -> FileResponse:
    return FileResponse(
        _PAGES / name,
        media_type="text/html",
        headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:"},
    )
