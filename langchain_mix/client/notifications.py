"""The answers to notifications, where the official client has them."""

from __future__ import annotations

from langchain_mix.client.permissions import Notifications

__all__ = ["Notifications"]
