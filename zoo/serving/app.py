"""The routes of the server, but for the Open Inference Protocol and the page."""

import asyncio
import base64
import contextlib
import io
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from zoo.errors import did_you_mean, in_one_line, printable, shown
from zoo.inference.occlusion import covered, heat_of
from zoo.registry.exports import installed_version
from zoo.serving import replies
from zoo.serving.access import PRIVATE, AccessMiddleware, refused_answer
from zoo.serving.intake.bodies import HeldBytes
from zoo.serving.intake.decoding import Decoder
from zoo.serving.intake.photos import Photo
from zoo.serving.metrics import GONE, CountingMiddleware, Metrics
from zoo.serving.models import Models, Opened, Served, Source
from zoo.serving.page import page_routes
from zoo.serving.protocol.routes import protocol_routes
from zoo.serving.refusals import BAD_REQUEST, BUSY, FAILED, NOT_ALLOWED, NOT_FOUND, RefusedError
from zoo.serving.service import Service
from zoo.serving.settings import Access, Limits

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILES}}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": replies.Fault} for status in (400, 401, 404, 408, 413, 415, 422, 503)
}
ModelName = Annotated[str, Query(description="Which model; by default the first.", max_length=100)]


def make_app(
    sources: Sequence[Source],
    opened: Sequence[Opened],
    *,
    limits: Limits,
    access: Access,
    unknown_below: float | None = None,
    report: Callable[[str], object] = print,
) -> FastAPI:
    """Makes the application that a server runs.

    Args:
        sources: Where models are opened from at a reload.
        opened: The same, open.
        limits: What may be taken.
        access: Who may ask.
        unknown_below: Below which probability the answer is "unknown".
        report: Told in a line what nobody foresaw.

    Returns:
        The application; `app.state.service` holds its parts.
    """
    metrics = Metrics()
    service = Service(
        models=Models(sources, limits, metrics),
        limits=limits,
        metrics=metrics,
        held=HeldBytes(limits.held_bytes),
        decoder=Decoder(max_pixels=limits.max_pixels),
        unknown_below=unknown_below,
    )
    metrics.held.set_function(lambda: service.held.held)

    @contextlib.asynccontextmanager
    async def living(_app: FastAPI) -> AsyncGenerator[None]:
        service.models.start(opened)
        yield
        await service.models.close()
        service.decoder.close()

    app = FastAPI(
        title="zoo serve",
        version=installed_version("zoo") or "unknown",
        description="Photos in, classes and probabilities out.",
        lifespan=living,
        # Their scripts would come from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    for routes in (photo_routes(service), state_routes(service), protocol_routes(service), page_routes()):
        app.include_router(routes)
    _explain_faults(app, limits, report)
    app.add_middleware(AccessMiddleware, access=access, limits=limits)
    app.add_middleware(CountingMiddleware, metrics=metrics)
    return app


def _explain_faults(app: FastAPI, limits: Limits, report: Callable[[str], object]) -> None:
    """Lets every fault be a document with `error`."""

    async def refused(request: Request, fault: Any) -> Response:
        return await refused_answer(fault, request.scope, limits)

    async def not_found(request: Request, fault: Any) -> Response:
        message, path = str(fault.detail), printable(request.url.path)
        if fault.status_code == NOT_FOUND:
            message = f"there is nothing at {path}; /openapi.json lists what there is, and / is a page"
        elif fault.status_code == NOT_ALLOWED:
            message = f"{path} takes no {request.method}; expected {(fault.headers or {}).get('Allow', 'another')}"
        return JSONResponse({"error": message}, fault.status_code, fault.headers)

    async def not_valid(_request: Request, fault: Any) -> Response:
        found = fault.errors()[0]
        message = f"{found['loc'][-1]} is {shown(found.get('input'))}: {found['msg']}"
        return JSONResponse({"error": message}, BAD_REQUEST)

    async def unforeseen(request: Request, fault: Exception) -> Response:
        report(f"{request.url.path}: {in_one_line(fault)}")
        return JSONResponse({"error": "the server failed; its log says why"}, FAILED, PRIVATE)

    async def gone(_request: Request, _fault: Any) -> Response:
        return Response(status_code=GONE)  # which nobody reads any more

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(HTTPException, not_found)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(Exception, unforeseen)


def photo_routes(service: Service) -> APIRouter:
    """Returns the routes that take photos."""
    routes = APIRouter(tags=["photos"])

    @routes.post("/predict", response_model=replies.Predictions, responses=_FAULTS, openapi_extra=_BODY)
    async def predict(
        request: Request,
        model: ModelName = "",
        top: Annotated[int | None, Query(ge=1, description="Name the likeliest classes only.")] = None,
    ) -> Response:
        """Classifies photos: the files of a form, or the body itself.

        A photo that cannot be read stops none of the others. Where none can be read, the status is that of the first.
        """
        service.models.named(model).batcher.check_room(closes=True)
        async with service.body_of(request) as body:
            photos = await service.photos_of(request, body)
            served = service.models.named(model)
            with served.batcher.kept_open():
                found = await service.while_wanted(request, service.classify(served, photos))
        failed = [one for one in found if isinstance(one, RefusedError)]
        document = {
            **_named(served),
            "unknown_below": service.unknown_below,
            "predictions": [
                _prediction(photo, one, served, top, service.unknown_below)
                for photo, one in zip(photos, found, strict=True)
            ],
        }
        return JSONResponse(document, failed[0].status if len(failed) == len(found) else 200)

    @routes.post("/explain", response_model=replies.Explanation, responses=_FAULTS, openapi_extra=_BODY)
    async def explain(
        request: Request,
        model: ModelName = "",
        label: Annotated[str, Query(description="Which class; by default the likeliest.", max_length=1000)] = "",
    ) -> Response:
        """Says where a photo speaks for a class: how far its probability falls where a part is covered."""
        service.models.named(model).batcher.check_room(closes=True)
        async with service.body_of(request) as body:
            photos = await service.photos_of(request, body, most=1)
            served = service.models.named(model)
            with served.batcher.kept_open():
                explaining = _explanation(service, served, photos[0], label)
                return JSONResponse(await service.while_wanted(request, explaining))

    return routes


async def _explanation(service: Service, served: Served, photo: Photo, label: str) -> dict[str, Any]:
    pixels = await service.decoder.decode(photo, served.images)
    if isinstance(pixels, RefusedError):
        raise pixels
    classes = served.answerer.classes
    if label and label not in classes:
        raise RefusedError(
            BAD_REQUEST,
            f"label is {shown(label)}; expected one of the model's {len(classes):,} classes, which /models lists."
            f"{did_you_mean(label, classes)}",
        )
    rows = np.concatenate([pixels[np.newaxis], covered(pixels)])
    with served.batcher.places(len(rows)) as compute:
        found = await compute(rows)
    number = classes.index(label) if label else int(found[0].argmax())
    seen = await asyncio.to_thread(_as_png, pixels)
    return {
        "model": served.name,
        "label": classes[number],
        "probability": float(found[0, number]),
        "heat": heat_of(found[0, number] - found[1:, number]).tolist(),
        "seen": f"data:image/png;base64,{base64.b64encode(seen).decode()}",
    }


def _as_png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG")
    return out.getvalue()


def _named(served: Served) -> dict[str, Any]:
    return {"model": served.name, "runtime": served.answerer.runtime, "weights": served.answerer.weights}


def _prediction(
    photo: Photo, found: "np.ndarray | RefusedError", served: Served, top: int | None, unknown_below: float | None
) -> dict[str, Any]:
    if isinstance(found, RefusedError):
        return {"name": photo.name, "error": str(found)}
    classes = served.answerer.classes
    best = int(found.argmax())
    # Sorted where only some are named; else in the order of the classes, as `zoo predict --json` has them.
    order = range(len(classes)) if top is None else np.argsort(-found, kind="stable")[:top]
    document: dict[str, Any] = {
        "name": photo.name,
        "label": classes[best],
        "probability": float(found[best]),
        "probabilities": {classes[number]: float(found[number]) for number in order},
    }
    return document if unknown_below is None else {**document, "unknown": bool(found[best] < unknown_below)}


def state_routes(service: Service) -> APIRouter:
    """Returns the routes that tell of the server, and the one that reloads it."""
    routes = APIRouter(tags=["server"])

    @routes.get("/healthz", response_model=replies.Health, responses={BUSY: {"model": replies.Health}})
    async def health() -> Response:
        """Answers while the server does; with 503 where one of its models computes no more."""
        faults = service.models.faults()
        if not faults:
            return JSONResponse({"status": "ok"})
        # Without the models' names: who asks has shown no token.
        return JSONResponse({"status": "failing", "faults": [*faults.values()]}, BUSY)

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts for Prometheus."""
        for served in service.models.all():
            service.metrics.in_hand.labels(served.name).set(served.batcher.in_hand)
        content, kind = service.metrics.exposed()
        return Response(content, headers={"Content-Type": kind})

    @routes.get("/models", response_model=replies.ModelList)
    async def models() -> Response:
        """Lists the models, and what a photo may be."""
        return JSONResponse(
            {
                "models": [_card(served) for served in service.models.all()],
                "unknown_below": service.unknown_below,
                "max_bytes": service.limits.max_bytes,
                "max_pixels": service.limits.max_pixels,
            }
        )

    @routes.post("/reload", response_model=replies.ModelList, responses=_FAULTS)
    async def reload() -> Response:
        """Opens all models anew, and lets them take over without losing a request; needs the token."""
        await service.models.reload()
        return await models()

    return routes


def _card(served: Served) -> dict[str, Any]:
    return {
        "name": served.name,
        "classes": list(served.answerer.classes),
        "input_shape": list(served.images.shape),
        "runtime": served.answerer.runtime,
        "weights": served.answerer.weights,
        "since": served.since,
    }
