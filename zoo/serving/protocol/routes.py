"""The routes of the Open Inference Protocol."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from zoo.registry.exports import PIXELS, PROBABILITIES, installed_version
from zoo.serving.intake.photos import Photo
from zoo.serving.models import Served
from zoo.serving.protocol.tensors import (
    HEAD_LENGTH,
    VERSION,
    InferRequest,
    Spec,
    read_request,
    write_answer,
)
from zoo.serving.refusals import BUSY, NOT_FOUND, RefusedError
from zoo.serving.service import Service

_MODEL = "/v2/models/{name}"
_OF_A_VERSION = f"{_MODEL}/versions/{{version}}"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def protocol_routes(service: Service) -> APIRouter:
    """Returns the routes below `/v2`."""
    routes = APIRouter(tags=["Open Inference Protocol"])
    # JSON takes many times its bytes once it is read, and Python reads one at a time anyway.
    reading = asyncio.Lock()

    def served_as(name: str, version: str) -> Served:
        if version != VERSION:
            message = f"model '{name}' has no version '{version}'; expected '{VERSION}'"
            raise RefusedError(NOT_FOUND, message, closes=True)
        return service.models.named(name)

    @routes.get("/v2")
    @routes.get("/v2/", include_in_schema=False)
    async def server() -> Response:
        """Names the server and what it knows beside the protocol."""
        return JSONResponse(
            {"name": "zoo", "version": installed_version("zoo") or "unknown", "extensions": ["binary_tensor_data"]}
        )

    @routes.get("/v2/health/live")
    async def live() -> Response:
        """Answers while the server does."""
        return JSONResponse({"live": True})

    @routes.get("/v2/health/ready")
    async def all_ready() -> Response:
        """Says whether all models answer: they are opened and run before the server listens."""
        faults = service.models.faults()
        return JSONResponse({"ready": not faults}, BUSY if faults else 200)

    @routes.get(_MODEL)
    @routes.get(_OF_A_VERSION)
    async def model(name: str, version: str = VERSION) -> Response:
        """Says which tensors a model takes and gives."""
        return JSONResponse(_metadata(served_as(name, version)))

    @routes.get(f"{_MODEL}/ready")
    @routes.get(f"{_OF_A_VERSION}/ready")
    async def ready(name: str, version: str = VERSION) -> Response:
        """Says whether there is such a model, and it answers."""
        served = served_as(name, version)
        fault = served.batcher.fault
        return JSONResponse({"name": served.name, "ready": not fault}, BUSY if fault else 200)

    @routes.post(f"{_MODEL}/infer", openapi_extra=_BODY)
    @routes.post(f"{_OF_A_VERSION}/infer", openapi_extra=_BODY)
    async def infer(request: Request, name: str, version: str = VERSION) -> Response:
        """Computes `probabilities` of `pixels`, or of encoded `images`."""
        served_as(name, version).batcher.check_room(closes=True)
        async with service.body_of(request) as body:
            content = await body.whole()
            served = served_as(name, version)
            spec = Spec(input_shape=served.images.shape, most=service.limits.queue)
            with served.batcher.kept_open():
                async with reading:
                    asked = await asyncio.to_thread(read_request, content, request.headers.get(HEAD_LENGTH), spec)
                rows = await service.while_wanted(request, _computed(service, served, asked))
        answer, headers = write_answer(asked, served.name, rows)
        return Response(answer, headers=headers)

    return routes


async def _computed(service: Service, served: Served, asked: InferRequest) -> list[Any]:
    if asked.pixels is not None:
        with served.batcher.places(len(asked.pixels)) as compute:
            return [*await compute(asked.pixels)]
    photos = [Photo(name=f"images[{number}]", content=content) for number, content in enumerate(asked.photos)]
    found = await service.classify(served, photos)
    for one in found:
        if isinstance(one, RefusedError):  # a tensor has no place for why a row is missing
            raise one
    return found


def _metadata(served: Served) -> dict[str, Any]:
    classes = served.answerer.classes
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": f"zoo_{served.answerer.runtime.split()[0]}",
        "inputs": [{"name": PIXELS, "datatype": "UINT8", "shape": [-1, *served.images.shape]}],
        "outputs": [{"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, len(classes)]}],
    }
