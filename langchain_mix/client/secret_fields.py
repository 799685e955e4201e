"""Fields of LangChain objects that may hold secrets.

Owns: keeping such values as secrets where pydantic checks nothing, and errors without them where it does.
Refuses to know: what the objects are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from langchain_mix.client.credentials import HIDDEN, split_url


class SecretFields(BaseModel):
    """Base of objects with the fields `server_url`, `api_key`, `url_credentials` and perhaps `headers`."""

    if not TYPE_CHECKING:  # For type checkers, the fields are the parameters.

        def __init__(self, **fields: Any) -> None:
            """Reads the fields.

            Raises:
                ValidationError: One has a wrong value, which is not in the error: it may be a key.
            """
            try:
                super().__init__(**fields)
            except ValidationError as error:
                problem = _without_inputs(error)
            else:
                return
            raise problem  # Outside of the handler, so that it does not carry the other one as its context.

        def __setattr__(self, name: str, value: Any) -> None:
            """Sets a field; what may be a secret is kept as one, as at construction."""
            for field, kept in _kept_secret({name: value}).items():
                super().__setattr__(field, kept)

        @classmethod
        def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
            """Creates an object of values that are not checked; those that may be secrets are kept as such."""
            return super().model_construct(_fields_set, **_kept_secret(values))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copies, with other values; those that may be secrets are kept as such, as at construction."""
        return super().model_copy(update=_kept_secret(update or {}), deep=deep)


def _kept_secret(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values of fields, not checked, with those as secrets that may be some.

    A user name and a password in `server_url` become `url_credentials`; those of another URL go.

    Raises:
        MixConfigurationError: The URL cannot be read.
    """
    kept = dict(values)
    for name in ("api_key", "url_credentials"):
        if isinstance(kept.get(name), str):
            kept[name] = SecretStr(kept[name])
    if isinstance(kept.get("headers"), Mapping):
        kept["headers"] = {k: SecretStr(v) if isinstance(v, str) else v for k, v in kept["headers"].items()}
    if isinstance(kept.get("server_url"), str) and kept["server_url"]:
        kept["server_url"], credentials = split_url(kept["server_url"])
        kept.setdefault("url_credentials", SecretStr(credentials) if credentials else None)
    return kept


def _without_inputs(error: ValidationError) -> ValidationError:
    """Returns an error of pydantic without the values, which it keeps for `errors()` and `json()`."""
    lines: list[InitErrorDetails] = []
    for line in error.errors(include_url=False, include_input=False):
        # Its type and words are pydantic's own, and literal there.
        kind = PydanticCustomError(line["type"], line["msg"], line.get("ctx"))  # pyright: ignore[reportArgumentType]
        lines.append({"type": kind, "loc": line["loc"], "input": HIDDEN})
    return ValidationError.from_exception_data(error.title, lines, hide_input=True)
