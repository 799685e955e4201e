"""The REST payloads of a Mix server as pydantic models; one module for each subject.

Field names are snake_case, the wire's own names are aliases. Enums are the values that Mix documents for its choices,
for users to pass in; what a server sends back is an open world, so that payload fields are plain `str` and compare
equal.
"""

# ruff: noqa: F403, F405

from __future__ import annotations

from langchain_mix.protocol.models.base import *
from langchain_mix.protocol.models.messages import *
from langchain_mix.protocol.models.server import *
from langchain_mix.protocol.models.sessions import *

# Listed here and not by module: mypy follows `__all__ += other.__all__`, as `client.models` has it, one step only.
__all__ = [
    "COMPLETE",
    "PROCESSING",
    "AvailableProviders",
    "BackendMessage",
    "BrowserMode",
    "Callback",
    "CallbackResultData",
    "CallbackType",
    "CancelSessionProcessingResponse",
    "DeleteCredentialsResponse",
    "DenyPermissionResponse",
    "ExportMessage",
    "ExportSession",
    "ExportToolCall",
    "FileInfo",
    "GetAuthStatusProviders",
    "GetAuthStatusResponse",
    "GetAvailableProvidersResponse",
    "GetCommandResponse",
    "GetOAuthHealthProviders",
    "GetOAuthHealthResponse",
    "GetPreferencesResponse",
    "GetSystemInfoResponse",
    "GetToolCredentialsStatusCategories",
    "GetToolCredentialsStatusResponse",
    "GetToolCredentialsStatusTool",
    "GetToolsStatusCategories",
    "GetToolsStatusResponse",
    "GetToolsStatusTool",
    "GrantPermissionResponse",
    "HandleOAuthCallbackResponse",
    "HealthCheckResponse",
    "ListCommandsResponse",
    "ListLLMToolsResponse",
    "ListLLMToolsTool",
    "ListMcpServersResponse",
    "ListMcpServersTool",
    "Payload",
    "PromptMode",
    "Provider",
    "ReasoningEffort",
    "RefreshOAuthTokensResponse",
    "ResetPreferencesResponse",
    "RespondToNotificationType",
    "SendMessageResponse",
    "SessionData",
    "SessionType",
    "SnakePayload",
    "StartOAuthFlowResponse",
    "StoreAPIKeyResponse",
    "StreamMessageResponse",
    "SubagentType",
    "ThinkingLevel",
    "ToolCallData",
    "UpdatePreferencesResponse",
    "UserPreferencesResponse",
    "ValidatePreferredProviderResponse",
]
