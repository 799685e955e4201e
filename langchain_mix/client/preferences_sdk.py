"""The operations on preferences, under the name that official releases before 0.8 give them.

Owns: that name. Refuses to know: the operations.
"""

from __future__ import annotations

from langchain_mix.client.preferences import Preferences

__all__ = ["PreferencesSDK"]

PreferencesSDK = Preferences
