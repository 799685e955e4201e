"""The client of loaders and uploads: the user's own, which is never closed here, or one for each run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from langchain_mix.client import Mix
from langchain_mix.errors import MixConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Locates the server by a client of the user's (`mix`), which is never closed here, or by options as for `Mix`."""

    mix: Mix | None = None
    server_url: str | None = field(default=None, repr=False)
    api: str = "auto"
    headers: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses a client together with options of a connection."""
        if self.mix is not None and (self.server_url is not None or self.headers or self.api != "auto"):
            raise MixConfigurationError(
                "There are both a client and options of a connection.",
                hint="Pass `mix=` alone, or `server_url=`, `api=` and `headers=`.",
            )

    def _own(self) -> Mix:
        return Mix(server_url=self.server_url, api=self.api, headers=self.headers)

    def opened(self) -> AbstractContextManager[Mix]:
        """Returns the client, for as long as a `with` block runs."""
        return self._own() if self.mix is None else nullcontext(self.mix)

    def opened_async(self) -> AbstractAsyncContextManager[Mix]:
        """Does what `opened` does, for `async with`."""
        return self._own() if self.mix is None else nullcontext(self.mix)
