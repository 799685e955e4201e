"""One builder for each endpoint of the Mix server. Nothing outside this package knows a path.

Each is pure: it checks its arguments, sends nothing and returns a `Call`.
"""

from __future__ import annotations

from langchain_mix.protocol.calls import files, messages, server, sessions
from langchain_mix.protocol.calls.files import *  # noqa: F403
from langchain_mix.protocol.calls.messages import *  # noqa: F403
from langchain_mix.protocol.calls.server import *  # noqa: F403
from langchain_mix.protocol.calls.sessions import *  # noqa: F403

__all__: list[str] = []
__all__ += files.__all__
__all__ += messages.__all__
__all__ += sessions.__all__
__all__ += server.__all__
