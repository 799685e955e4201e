"""Ages as people write them.

Owns: `30d`, `12h` and their like. Refuses to know: what is that old.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from langchain_mix.errors import MixInputError

_AGE: Final = re.compile(r"([0-9]+)\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_age(text: str) -> timedelta:
    """Reads an age.

    Args:
        text: A whole number and a unit: `s`, `m` for minutes, `h`, `d` or `w`.

    Returns:
        The age.

    Raises:
        MixInputError: It is none, or longer than Python can tell.
    """
    found = _AGE.fullmatch(text.strip().lower())
    try:
        if found is not None:
            return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise MixInputError(f"{text!r} is longer than time can be told.", hint="Write a shorter one.") from None
    raise MixInputError(f"{text!r} is no age.", hint="Write a number and s, m, h, d or w, such as 30d.")
