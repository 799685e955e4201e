"""The operations on preferences, where official releases before 0.8 have them."""

from __future__ import annotations

from langchain_mix.client.preferences import Preferences

__all__ = ["PreferencesSDK"]

PreferencesSDK = Preferences
