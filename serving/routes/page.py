"""The page at `/`: the newest scores for people who look rather than read. Static; it calls the API like anyone."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)
_PAGE = Path(__file__).resolve().parent.parent / "page" / "index.html"


@router.get("/")
def page() -> FileResponse:
    return FileResponse(
        _PAGE,
        media_type="text/html",
        headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:"},
    )
