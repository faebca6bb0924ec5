"""What the routes answer, as data: the schema that OpenAPI shows."""

from pydantic import BaseModel, Field


class Fault(BaseModel):
    """Why a request was not carried out."""

    error: str = Field(description="Place, what was found, what is expected.")


class Prediction(BaseModel):
    """What the model sees in one photo, or why it sees nothing."""

    name: str = Field(description="The file's name, as it was sent.")
    label: str | None = Field(None, description="The likeliest class.")
    probability: float | None = Field(None, description="Its probability.")
    probabilities: dict[str, float] | None = Field(None, description="By class, the likeliest first with ?top.")
    unknown: bool | None = Field(None, description="Whether the probability is below unknown_below, where that is set.")
    error: str | None = Field(None, description="Why the photo cannot be read; the other keys are missing then.")


class Predictions(BaseModel):
    """What the model sees in the photos of a request, in their order."""

    model: str
    runtime: str = Field(description="What computed, with its version.")
    weights: str = Field(description="The SHA-256 of the model's weights.")
    unknown_below: float | None = Field(description="The probability that a class has to have; null where none is set.")
    predictions: list[Prediction]


class Explanation(BaseModel):
    """Where a photo speaks for a class."""

    model: str
    label: str = Field(description="The class that is asked about, by default the likeliest.")
    probability: float
    heat: list[list[float]] = Field(
        description="How far the probability falls where a part of the photo is covered, from the upper left."
    )
    seen: str = Field(description="The photo as the model sees it, cut and scaled: a PNG as a data: address.")


class ModelCard(BaseModel):
    """A model that answers."""

    name: str
    classes: list[str]
    input_shape: list[int] = Field(description="Height, width and channels.")
    runtime: str
    weights: str
    since: float = Field(description="When it took its place, in seconds since 1970.")


class ModelList(BaseModel):
    """The models that answer, and what a photo may be."""

    models: list[ModelCard]
    unknown_below: float | None
    max_bytes: int
    max_pixels: int


class Health(BaseModel):
    """Whether the server answers."""

    status: str = Field(description="`ok` or `failing`.")
    faults: list[str] | None = Field(None, description="Why models are stuck; /v2/models/NAME/ready says which.")
