"""The page on which one drops a photo, or takes one; it loads nothing from elsewhere."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse


def page_routes() -> APIRouter:
    """Returns the page's route."""
    routes = APIRouter(tags=["page"])

    @routes.get("/", response_class=HTMLResponse)
    async def page() -> HTMLResponse:
        """The page on which one drops a photo, or takes one."""
        text, policy = rendered()
        return HTMLResponse(text, headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})

    return routes


@cache
def rendered() -> tuple[str, str]:
    """Returns the page, and the policy that lets only its own style and script run."""
    style, script = _own("page.css"), _own("page.js")
    text = _own("page.html").replace("<!-- style -->", f"<style>{style}</style>")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.replace("<!-- script -->", f"<script>{script}</script>"), policy


def _own(name: str) -> str:
    """Reads a file of this folder, as a browser reads it whatever ends its lines."""
    return files("zoo.serving.page").joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
