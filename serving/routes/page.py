"""Pages for people who look rather than read: risk now at `/`, the API at `/docs`. Static; they call the API like
anyone and load nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from serving.access.scopes import open_to_all
from serving.headers import page_policy

# They hold no data: what they show they ask the API for.
router = APIRouter(include_in_schema=False, dependencies=[open_to_all()])
_PAGES = Path(__file__).resolve().parent.parent / "page"
_POLICIES = {path.name: page_policy(path.read_text(encoding="utf-8")) for path in _PAGES.glob("*.html")}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Only what stood there when the process began can be asked for: no path of a request is ever looked up on the disk.
_FILES = {path.relative_to(_PAGES).as_posix(): path for path in sorted(_PAGES.rglob("*")) if path.suffix in _TYPES}


@router.get("/")
def risk_now() -> FileResponse:
    return _page("index.html")


@router.get("/docs")
def api() -> FileResponse:
    return _page("api.html")


@router.get("/page/{name:path}")
def part(name: str) -> FileResponse:
    """A script, a style sheet or a picture of the pages."""
    path = _FILES.get(name)
    if path is None:
        raise HTTPException(404)
    # A vendored file has its version in its path; ours are asked for again, so that pages never mix two versions.
    lasting = "public, max-age=31536000, immutable" if name.startswith("vendor/") else "no-cache"
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": lasting})


def _page(name: str) -> FileResponse:
    return FileResponse(
        _PAGES / name,
        media_type="text/html",
        headers={"Content-Security-Policy": _POLICIES[name], "Cache-Control": "no-cache"},
    )
