"""What a caller sends: the bodies of the routes, validated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import bentoml
from assay.serving.limits import Limits
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

LIMITS = Limits.from_environment()
"""Those of this process, read once."""

MAX_ID = 512
"""Characters of an item's id."""

Context = Annotated[
    str,
    StringConstraints(max_length=LIMITS.characters),
    Field(description="A query, a history as text, a placement. May be empty, as it may be in the samples."),
]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is blank")
    return text


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LIMITS.characters),
    # `ingest` drops rows whose item is blank: no ranker has learnt what they are worth.
    AfterValidator(_not_blank),
    Field(description="Text that is not blank."),
]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID), Field(coerce_numbers_to_str=True)]
ShortId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S")]
"""Of queries, events, users and sessions, as UBI bounds them."""
_many = Field(min_length=1, max_length=LIMITS.items)

_strict = ConfigDict(
    extra="forbid",  # A misspelt field is told, not ignored.
    hide_input_in_errors=True,  # Errors are logged, and logs hold no user text.
    frozen=True,
)


class Candidate(BaseModel):
    """One item that may be shown."""

    model_config = _strict
    id: ItemId
    text: Text


class Pair(BaseModel):
    """One row to be scored."""

    model_config = _strict
    context: Context
    text: Text


class RankRequest(bentoml.IODescriptor):
    """Body of `/rank`: one list."""

    model_config = _strict
    context: Context
    candidates: Annotated[list[Candidate], _many]
    top_k: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="How many to give back; all if left out."
    )
    diversity: Annotated[float, Field(ge=0, le=1, strict=True)] = Field(
        default=0.0, description="0 orders by score alone; towards 1, items unlike those before them."
    )
    query_id: ShortId | None = Field(
        default=None,
        description="Of the list, where the caller makes it (UUIDv7); sent again, it gives the same list.",
    )
    user_id: ShortId | None = Field(
        default=None, description="Whose list it is: its key to a version, and pseudonymised in the log."
    )
    session_id: ShortId | None = Field(default=None, description="For the log of what was served.")

    @field_validator("candidates")
    @classmethod
    def _ids_are_distinct(cls, candidates: list[Candidate]) -> list[Candidate]:
        # Two items with one id cannot be told apart in the answer, nor their tie be broken.
        if len({candidate.id for candidate in candidates}) < len(candidates):
            raise ValueError("two candidates have the same id")
        return candidates


class ScoreRequest(bentoml.IODescriptor):
    """Body of `/score`."""

    model_config = _strict
    pairs: Annotated[list[Pair], _many]


class EmbedRequest(bentoml.IODescriptor):
    """Body of `/embed`."""

    model_config = _strict
    texts: Annotated[list[Text], _many]


class InfoRequest(bentoml.IODescriptor):
    """Body of `/info`: empty."""

    model_config = _strict


class RerankRequest(bentoml.IODescriptor):
    """Body of `/v1/rerank`, as clients of Cohere and Jina send it; fields that are not here are ignored."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)
    query: Context
    documents: Annotated[list[Annotated[str, StringConstraints(max_length=LIMITS.characters)]], _many] = (
        Field(description="Texts, or objects with a text.")
    )
    top_n: Annotated[int, Field(ge=1)] | None = Field(default=None, description="How many to give back.")
    return_documents: bool = Field(default=False, description="Whether results hold their texts.")
    model: str | None = Field(default=None, max_length=MAX_ID, description="Given back; there is one model.")

    @model_validator(mode="before")
    @classmethod
    def _texts_of_objects(cls, body: Any) -> Any:
        if isinstance(body, dict) and isinstance(body.get("documents"), list):
            texts = [
                document["text"] if isinstance(document, dict) and "text" in document else document
                for document in body["documents"]
            ]
            return {**body, "documents": texts}
        return body


class FeedbackEvent(BaseModel):
    """What was done with an item that was shown."""

    model_config = _strict
    action: Literal["impression", "view", "click", "add_to_cart", "purchase", "like"]
    item_id: ItemId
    query_id: ShortId | None = Field(
        default=None, description="Of the `/rank` answer that showed the item: joins the event to its list."
    )
    event_id: ShortId | None = Field(
        default=None, description="Makes an event that is sent again one; made of its content if left out."
    )
    position: Annotated[int, Field(ge=1, le=32_767, strict=True)] | None = Field(
        default=None, description="Place in the list as it was shown, the first is 1."
    )
    timestamp: AwareDatetime | None = Field(
        default=None, description="ISO 8601 with its offset from UTC; now if left out."
    )
    user_id: ShortId | None = None
    session_id: ShortId | None = None


class FeedbackRequest(bentoml.IODescriptor):
    """Body of `/feedback`."""

    model_config = _strict
    events: Annotated[list[FeedbackEvent], _many]
