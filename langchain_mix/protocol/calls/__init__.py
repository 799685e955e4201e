"""One builder for each endpoint of the Mix server. Nothing outside this package knows a path.

Owns: nothing; it gathers the builders. Each is pure: it checks its arguments, sends nothing and returns a `Call`.
"""

from __future__ import annotations

from langchain_mix.protocol.calls.auth import (
    delete_credentials,
    get_auth_status,
    get_oauth_health,
    handle_oauth_callback,
    refresh_oauth_tokens,
    start_oauth_flow,
    store_api_key,
    validate_preferred_provider,
)
from langchain_mix.protocol.calls.files import (
    delete_file,
    download_changed,
    download_file,
    get_screenshot,
    list_files,
    read_file,
    upload_file,
)
from langchain_mix.protocol.calls.messages import (
    event_stream,
    list_messages,
    message_history,
    probe_stream_write,
    send_message,
    write_stream_message,
)
from langchain_mix.protocol.calls.permissions import (
    deny_permission,
    grant_permission,
    respond_to_notification,
)
from langchain_mix.protocol.calls.preferences import (
    get_available_providers,
    get_preferences,
    reset_preferences,
    update_preferences,
)
from langchain_mix.protocol.calls.sessions import (
    PROMPT_LIMITS,
    cancel_session,
    create_session,
    delete_session,
    export_session,
    fork_session,
    get_session,
    list_sessions,
    rewind_session,
    update_session_callbacks,
)
from langchain_mix.protocol.calls.system import (
    get_command,
    get_health,
    get_system_info,
    get_tool_credentials_status,
    get_tools_status,
    list_commands,
    list_llm_tools,
    list_mcp_servers,
)

__all__ = [
    "PROMPT_LIMITS",
    "cancel_session",
    "create_session",
    "delete_credentials",
    "delete_file",
    "delete_session",
    "deny_permission",
    "download_changed",
    "download_file",
    "event_stream",
    "export_session",
    "fork_session",
    "get_auth_status",
    "get_available_providers",
    "get_command",
    "get_health",
    "get_oauth_health",
    "get_preferences",
    "get_screenshot",
    "get_session",
    "get_system_info",
    "get_tool_credentials_status",
    "get_tools_status",
    "grant_permission",
    "handle_oauth_callback",
    "list_commands",
    "list_files",
    "list_llm_tools",
    "list_mcp_servers",
    "list_messages",
    "list_sessions",
    "message_history",
    "probe_stream_write",
    "read_file",
    "refresh_oauth_tokens",
    "reset_preferences",
    "respond_to_notification",
    "rewind_session",
    "send_message",
    "start_oauth_flow",
    "store_api_key",
    "update_preferences",
    "update_session_callbacks",
    "upload_file",
    "validate_preferred_provider",
    "write_stream_message",
]
