"""Models, literals and typed dictionaries that only the official client names.

Owns: these names, which its releases 0.5.7 to 0.8.1 export from `models`: operations here take plain arguments, and
read replies into open models. Refuses to know: the models that are used here (`langchain_mix.protocol.models`).

A `…TypedDict` is derived from the model of that name: the same keys, each of which may be left out if the model can do
without. Type checkers take it for a dictionary.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict, cast

from pydantic import BaseModel, Field

from langchain_mix.client.files import File
from langchain_mix.errors import RESTError
from langchain_mix.protocol import events, models
from langchain_mix.protocol.models import (
    BrowserMode,
    Callback,
    ExportSession,
    GetAuthStatusProviders,
    GetToolsStatusCategories,
    PromptMode,
    Provider,
    RespondToNotificationType,
    SessionType,
    ThinkingLevel,
    UserPreferencesResponse,
)
from langchain_mix.protocol.models.base import Payload, SnakePayload

__all__ = [
    "AvailableProvidersTypedDict",
    "BackendMessageTypedDict",
    "CallbackResultDataCallbackType",
    "CallbackResultDataTypedDict",
    "CallbackTypedDict",
    "CancelSessionProcessingRequest",
    "CancelSessionProcessingRequestTypedDict",
    "CancelSessionProcessingResponseTypedDict",
    "Categories",
    "CategoriesTypedDict",
    "CreateSessionBrowserMode",
    "CreateSessionRequest",
    "CreateSessionRequestTypedDict",
    "CreateSessionSessionType",
    "DeleteCredentialsRequest",
    "DeleteCredentialsRequestTypedDict",
    "DeleteCredentialsResponseTypedDict",
    "DeleteSessionFileRequest",
    "DeleteSessionFileRequestTypedDict",
    "DeleteSessionRequest",
    "DeleteSessionRequestTypedDict",
    "DenyPermissionRequest",
    "DenyPermissionRequestTypedDict",
    "DenyPermissionResponseTypedDict",
    "EventName",
    "ExportMessageTypedDict",
    "ExportSessionRequest",
    "ExportSessionRequestTypedDict",
    "ExportSessionResponse",
    "ExportSessionResponseTypedDict",
    "ExportSessionTypedDict",
    "ExportToolCallTypedDict",
    "FileInfoTypedDict",
    "FileTypedDict",
    "ForkSessionRequest",
    "ForkSessionRequestBody",
    "ForkSessionRequestBodyTypedDict",
    "ForkSessionRequestTypedDict",
    "GetAuthStatusAuthMethod",
    "GetAuthStatusProvidersTypedDict",
    "GetAuthStatusResponseTypedDict",
    "GetAvailableProvidersResponseTypedDict",
    "GetCommandRequest",
    "GetCommandRequestTypedDict",
    "GetCommandResponseTypedDict",
    "GetMessageHistoryRequest",
    "GetMessageHistoryRequestTypedDict",
    "GetOAuthHealthProvidersTypedDict",
    "GetOAuthHealthResponseTypedDict",
    "GetPreferencesPreferences",
    "GetPreferencesPreferencesTypedDict",
    "GetPreferencesResponseTypedDict",
    "GetSessionFileRequest",
    "GetSessionFileRequestTypedDict",
    "GetSessionMessagesRequest",
    "GetSessionMessagesRequestTypedDict",
    "GetSessionRequest",
    "GetSessionRequestTypedDict",
    "GetSystemInfoResponseTypedDict",
    "GetToolCredentialsStatusCategoriesTypedDict",
    "GetToolCredentialsStatusResponseTypedDict",
    "GetToolCredentialsStatusToolTypedDict",
    "GetToolsStatusCategoriesTypedDict",
    "GetToolsStatusResponseTypedDict",
    "GetToolsStatusToolTypedDict",
    "GrantPermissionRequest",
    "GrantPermissionRequestTypedDict",
    "GrantPermissionResponseTypedDict",
    "HandleOAuthCallbackRequest",
    "HandleOAuthCallbackRequestTypedDict",
    "HandleOAuthCallbackResponseTypedDict",
    "HealthCheckResponseTypedDict",
    "InputJSON",
    "InputJSONTypedDict",
    "ListCommandsResponseTypedDict",
    "ListLLMToolsResponseTypedDict",
    "ListLLMToolsToolTypedDict",
    "ListMcpServersResponseTypedDict",
    "ListMcpServersToolTypedDict",
    "ListSessionFilesRequest",
    "ListSessionFilesRequestTypedDict",
    "ListSessionsRequest",
    "ListSessionsRequestTypedDict",
    "NotificationType",
    "Parameters",
    "ParametersTypedDict",
    "Params",
    "ParamsTypedDict",
    "Providers",
    "ProvidersStatus",
    "ProvidersTypedDict",
    "RESTError",
    "RESTErrorType",
    "RESTErrorTypedDict",
    "RefreshOAuthTokensResponseTypedDict",
    "ResetPreferencesResponseTypedDict",
    "RespondToNotificationRequest",
    "RespondToNotificationRequestBody",
    "RespondToNotificationRequestBodyTypedDict",
    "RespondToNotificationRequestTypedDict",
    "ResponseType",
    "RewindSessionRequest",
    "RewindSessionRequestBody",
    "RewindSessionRequestBodyTypedDict",
    "RewindSessionRequestTypedDict",
    "SSECompleteEventDataTypedDict",
    "SSECompleteEventEvent",
    "SSECompleteEventTypedDict",
    "SSEConnectedEventDataTypedDict",
    "SSEConnectedEventEvent",
    "SSEConnectedEventTypedDict",
    "SSEContentEventDataTypedDict",
    "SSEContentEventEvent",
    "SSEContentEventTypedDict",
    "SSEErrorEventDataTypedDict",
    "SSEErrorEventEvent",
    "SSEErrorEventTypedDict",
    "SSEEventStream",
    "SSEEventStreamTypedDict",
    "SSEHeartbeatEventDataTypedDict",
    "SSEHeartbeatEventEvent",
    "SSEHeartbeatEventTypedDict",
    "SSENotificationEventDataTypedDict",
    "SSENotificationEventEvent",
    "SSENotificationEventTypedDict",
    "SSEPermissionEventDataTypedDict",
    "SSEPermissionEventEvent",
    "SSEPermissionEventTypedDict",
    "SSESessionCreatedEventDataTypedDict",
    "SSESessionCreatedEventEvent",
    "SSESessionCreatedEventTypedDict",
    "SSESessionDeletedEventDataTypedDict",
    "SSESessionDeletedEventEvent",
    "SSESessionDeletedEventTypedDict",
    "SSESummarizeEventDataTypedDict",
    "SSESummarizeEventEvent",
    "SSESummarizeEventTypedDict",
    "SSEThinkingEventDataTypedDict",
    "SSEThinkingEventEvent",
    "SSEThinkingEventTypedDict",
    "SSEToolEventDataTypedDict",
    "SSEToolEventEvent",
    "SSEToolEventTypedDict",
    "SSEToolExecutionCompleteEventDataTypedDict",
    "SSEToolExecutionCompleteEventEvent",
    "SSEToolExecutionCompleteEventTypedDict",
    "SSEToolExecutionStartEventDataTypedDict",
    "SSEToolExecutionStartEventEvent",
    "SSEToolExecutionStartEventTypedDict",
    "SSEToolParameterDeltaEventDataTypedDict",
    "SSEToolParameterDeltaEventEvent",
    "SSEToolParameterDeltaEventTypedDict",
    "SSEToolUseParameterDeltaEventData",
    "SSEToolUseParameterDeltaEventDataTypedDict",
    "SSEToolUseParameterDeltaEventEvent",
    "SSEToolUseParameterDeltaEventTypedDict",
    "SSEToolUseParameterStreamingCompleteEventDataTypedDict",
    "SSEToolUseParameterStreamingCompleteEventEvent",
    "SSEToolUseParameterStreamingCompleteEventTypedDict",
    "SSEToolUseStartEventDataTypedDict",
    "SSEToolUseStartEventEvent",
    "SSEToolUseStartEventTypedDict",
    "SSEUserMessageCreatedEventDataTypedDict",
    "SSEUserMessageCreatedEventEvent",
    "SSEUserMessageCreatedEventTypedDict",
    "SendMessageRequest",
    "SendMessageRequestBody",
    "SendMessageRequestBodyTypedDict",
    "SendMessageRequestTypedDict",
    "SendMessageResponseTypedDict",
    "SendStreamingMessageRequest",
    "SendStreamingMessageRequestBody",
    "SendStreamingMessageRequestBodyTypedDict",
    "SendStreamingMessageRequestTypedDict",
    "SessionDataTypedDict",
    "StartOAuthFlowRequest",
    "StartOAuthFlowRequestTypedDict",
    "StartOAuthFlowResponseTypedDict",
    "Status",
    "StoreAPIKeyRequest",
    "StoreAPIKeyRequestTypedDict",
    "StoreAPIKeyResponseTypedDict",
    "StreamEventsRequest",
    "StreamEventsRequestTypedDict",
    "StreamEventsResponseTypedDict",
    "StreamMessageResponseTypedDict",
    "ToolCallDataTypedDict",
    "ToolNameTypedDict",
    "Type",
    "UpdatePreferencesRequest",
    "UpdatePreferencesRequestTypedDict",
    "UpdatePreferencesResponseTypedDict",
    "UpdateSessionCallbacksRequest",
    "UpdateSessionCallbacksRequestBody",
    "UpdateSessionCallbacksRequestBodyTypedDict",
    "UpdateSessionCallbacksRequestTypedDict",
    "UploadSessionFileRequest",
    "UploadSessionFileRequestBody",
    "UploadSessionFileRequestBodyTypedDict",
    "UploadSessionFileRequestTypedDict",
    "UserPreferencesResponseTypedDict",
    "ValidatePreferredProviderAuthMethod",
    "ValidatePreferredProviderResponseTypedDict",
]

# Types of single fields. Replies are open: fields of models here are plain text, which compares equal to these.

CallbackResultDataCallbackType: TypeAlias = Literal["bash_script", "sub_agent", "send_message"]
CreateSessionSessionType: TypeAlias = Literal["main"]
GetAuthStatusAuthMethod: TypeAlias = Literal["oauth", "api_key", "none"]
ValidatePreferredProviderAuthMethod: TypeAlias = Literal["oauth", "api_key", "none"]
NotificationType: TypeAlias = Literal["info", "warning", "error", "question"]
ProvidersStatus: TypeAlias = Literal["active", "expired", "expired_no_refresh", "error", "not_found"]
ResponseType: TypeAlias = Literal["acknowledge", "text", "choice"]
RESTErrorType: TypeAlias = Literal["bad_request", "not_found", "internal_error", "unauthorized", "validation_error"]
Type: TypeAlias = RESTErrorType
Status: TypeAlias = Literal["healthy", "degraded", "unhealthy", "broadcasted"]

EventName: TypeAlias = Literal[
    "complete",
    "connected",
    "content",
    "error",
    "heartbeat",
    "notification",
    "permission",
    "session_created",
    "session_deleted",
    "summarize",
    "thinking",
    "tool",
    "tool_execution_complete",
    "tool_execution_start",
    "tool_parameter_delta",
    "tool_use_parameter_delta",
    "tool_use_parameter_streaming_complete",
    "tool_use_start",
    "user_message_created",
]
"""The names of the events of all releases."""

SSECompleteEventEvent: TypeAlias = EventName
SSEConnectedEventEvent: TypeAlias = EventName
SSEContentEventEvent: TypeAlias = EventName
SSEErrorEventEvent: TypeAlias = EventName
SSEHeartbeatEventEvent: TypeAlias = EventName
SSENotificationEventEvent: TypeAlias = EventName
SSEPermissionEventEvent: TypeAlias = EventName
SSESessionCreatedEventEvent: TypeAlias = EventName
SSESessionDeletedEventEvent: TypeAlias = EventName
SSESummarizeEventEvent: TypeAlias = EventName
SSEThinkingEventEvent: TypeAlias = EventName
SSEToolEventEvent: TypeAlias = EventName
SSEToolExecutionCompleteEventEvent: TypeAlias = EventName
SSEToolExecutionStartEventEvent: TypeAlias = EventName
SSEToolParameterDeltaEventEvent: TypeAlias = EventName
SSEToolUseParameterDeltaEventEvent: TypeAlias = EventName
SSEToolUseParameterStreamingCompleteEventEvent: TypeAlias = EventName
SSEToolUseStartEventEvent: TypeAlias = EventName
SSEUserMessageCreatedEventEvent: TypeAlias = EventName

# Other names of models.

Categories = GetToolsStatusCategories
ExportSessionResponse = ExportSession
SSEEventStream: TypeAlias = events.Event
SSEToolUseParameterDeltaEventData = events.SSEToolParameterDeltaEventData
CreateSessionBrowserMode = BrowserMode
GetPreferencesPreferences = UserPreferencesResponse
Providers = GetAuthStatusProviders


class InputJSON(Payload):
    """The arguments of a tool call: any JSON object."""


class Parameters(Payload):
    """The JSON Schema of a tool's arguments: any JSON object."""


class Params(Payload):
    """The parameters of a permission request: any JSON object."""


# What the official client makes of the arguments of its operations.


class _OfOne(Payload):
    id: str


class CancelSessionProcessingRequest(_OfOne):
    """The arguments of `sessions.cancel_processing`."""


class DeleteSessionRequest(_OfOne):
    """The arguments of `sessions.delete`."""


class DenyPermissionRequest(_OfOne):
    """The arguments of `permissions.deny`."""


class ExportSessionRequest(_OfOne):
    """The arguments of `sessions.export_session`."""


class GetSessionMessagesRequest(_OfOne):
    """The arguments of `messages.list_session`."""


class GetSessionRequest(_OfOne):
    """The arguments of `sessions.get`."""


class GrantPermissionRequest(_OfOne):
    """The arguments of `permissions.grant`."""


class ListSessionFilesRequest(_OfOne):
    """The arguments of `files.list_session_files`."""


class _OfProvider(SnakePayload):
    provider: Provider | str


class DeleteCredentialsRequest(_OfProvider):
    """The arguments of `authentication.delete_credentials`."""


class StartOAuthFlowRequest(_OfProvider):
    """The arguments of `authentication.start_o_auth_flow`."""


class StoreAPIKeyRequest(_OfProvider):
    """The arguments of `authentication.store_api_key`."""

    api_key: str = Field(repr=False)


class HandleOAuthCallbackRequest(_OfProvider):
    """The arguments of `authentication.handle_o_auth_callback`."""

    code: str = Field(repr=False)
    state: str = Field(repr=False)


class GetCommandRequest(Payload):
    """The arguments of `system.get_command`."""

    name: str


class GetMessageHistoryRequest(Payload):
    """The arguments of `messages.get_history`."""

    limit: int | None = 50
    offset: int | None = 0


class DeleteSessionFileRequest(_OfOne):
    """The arguments of `files.delete_session_file`."""

    filename: str


class GetSessionFileRequest(_OfOne):
    """The arguments of `files.get_session_file`."""

    filename: str
    thumb: str | None = None
    time: float | None = None


class UploadSessionFileRequestBody(Payload):
    """The body of `files.upload_session_file`."""

    file: File


class UploadSessionFileRequest(_OfOne):
    """The arguments of `files.upload_session_file`."""

    request_body: UploadSessionFileRequestBody


class ListSessionsRequest(Payload):
    """The arguments of `sessions.list`."""

    include_subagents: bool | None = None


class CreateSessionRequest(Payload):
    """The arguments of `sessions.create`."""

    title: str
    browser_mode: BrowserMode | str | None = None
    callbacks: list[Callback] | None = None
    cdp_url: str | None = None
    custom_system_prompt: str | None = None
    prompt_mode: PromptMode | str | None = None
    session_type: SessionType | str | None = None
    subagent_type: str | None = None


class ForkSessionRequestBody(Payload):
    """The body of `sessions.fork`."""

    message_index: int
    title: str | None = None


class ForkSessionRequest(_OfOne):
    """The arguments of `sessions.fork`."""

    request_body: ForkSessionRequestBody


class RewindSessionRequestBody(Payload):
    """The body of `sessions.rewind_session`."""

    message_id: str
    cleanup_media: bool | None = None


class RewindSessionRequest(_OfOne):
    """The arguments of `sessions.rewind_session`."""

    request_body: RewindSessionRequestBody


class UpdateSessionCallbacksRequestBody(Payload):
    """The body of `sessions.update_session_callbacks`."""

    callbacks: list[Callback]


class UpdateSessionCallbacksRequest(_OfOne):
    """The arguments of `sessions.update_session_callbacks`."""

    request_body: UpdateSessionCallbacksRequestBody


class SendMessageRequestBody(SnakePayload):
    """The body of `messages.send`."""

    text: str
    max_steps: int | None = None
    plan_mode: bool | None = None
    thinking_level: ThinkingLevel | str | None = None


class SendMessageRequest(_OfOne):
    """The arguments of `messages.send`."""

    request_body: SendMessageRequestBody


class SendStreamingMessageRequestBody(Payload):
    """The body of `streaming.send_streaming_message`."""

    content: str


class SendStreamingMessageRequest(_OfOne):
    """The arguments of `streaming.send_streaming_message`."""

    request_body: SendStreamingMessageRequestBody


class StreamEventsRequest(Payload):
    """The arguments of `streaming.stream_events`."""

    session_id: str
    last_event_id: str | None = Field(default=None, serialization_alias="Last-Event-ID")


class UpdatePreferencesRequest(SnakePayload):
    """The arguments of `preferences.update_preferences`."""

    main_agent_max_tokens: int | None = None
    main_agent_model: str | None = None
    main_agent_reasoning_effort: str | None = None
    preferred_provider: str | None = None
    sub_agent_max_tokens: int | None = None
    sub_agent_model: str | None = None
    sub_agent_reasoning_effort: str | None = None


class RespondToNotificationRequestBody(SnakePayload):
    """The body of `notifications.respond_to_notification`."""

    type: RespondToNotificationType | str
    value: str | None = None


class RespondToNotificationRequest(_OfOne):
    """The arguments of `notifications.respond_to_notification`."""

    request_body: RespondToNotificationRequestBody


# Typed dictionaries: dictionaries for type checkers, and derived below.

AvailableProvidersTypedDict: TypeAlias = dict[str, Any]
BackendMessageTypedDict: TypeAlias = dict[str, Any]
CallbackResultDataTypedDict: TypeAlias = dict[str, Any]
CallbackTypedDict: TypeAlias = dict[str, Any]
CancelSessionProcessingRequestTypedDict: TypeAlias = dict[str, Any]
CancelSessionProcessingResponseTypedDict: TypeAlias = dict[str, Any]
CategoriesTypedDict: TypeAlias = dict[str, Any]
CreateSessionRequestTypedDict: TypeAlias = dict[str, Any]
DeleteCredentialsRequestTypedDict: TypeAlias = dict[str, Any]
DeleteCredentialsResponseTypedDict: TypeAlias = dict[str, Any]
DeleteSessionFileRequestTypedDict: TypeAlias = dict[str, Any]
DeleteSessionRequestTypedDict: TypeAlias = dict[str, Any]
DenyPermissionRequestTypedDict: TypeAlias = dict[str, Any]
DenyPermissionResponseTypedDict: TypeAlias = dict[str, Any]
ExportMessageTypedDict: TypeAlias = dict[str, Any]
ExportSessionRequestTypedDict: TypeAlias = dict[str, Any]
ExportSessionResponseTypedDict: TypeAlias = dict[str, Any]
ExportSessionTypedDict: TypeAlias = dict[str, Any]
ExportToolCallTypedDict: TypeAlias = dict[str, Any]
FileInfoTypedDict: TypeAlias = dict[str, Any]
FileTypedDict: TypeAlias = dict[str, Any]
ForkSessionRequestBodyTypedDict: TypeAlias = dict[str, Any]
ForkSessionRequestTypedDict: TypeAlias = dict[str, Any]
GetAuthStatusProvidersTypedDict: TypeAlias = dict[str, Any]
GetAuthStatusResponseTypedDict: TypeAlias = dict[str, Any]
GetAvailableProvidersResponseTypedDict: TypeAlias = dict[str, Any]
GetCommandRequestTypedDict: TypeAlias = dict[str, Any]
GetCommandResponseTypedDict: TypeAlias = dict[str, Any]
GetMessageHistoryRequestTypedDict: TypeAlias = dict[str, Any]
GetOAuthHealthProvidersTypedDict: TypeAlias = dict[str, Any]
GetOAuthHealthResponseTypedDict: TypeAlias = dict[str, Any]
GetPreferencesPreferencesTypedDict: TypeAlias = dict[str, Any]
GetPreferencesResponseTypedDict: TypeAlias = dict[str, Any]
GetSessionFileRequestTypedDict: TypeAlias = dict[str, Any]
GetSessionMessagesRequestTypedDict: TypeAlias = dict[str, Any]
GetSessionRequestTypedDict: TypeAlias = dict[str, Any]
GetSystemInfoResponseTypedDict: TypeAlias = dict[str, Any]
GetToolCredentialsStatusCategoriesTypedDict: TypeAlias = dict[str, Any]
GetToolCredentialsStatusResponseTypedDict: TypeAlias = dict[str, Any]
GetToolCredentialsStatusToolTypedDict: TypeAlias = dict[str, Any]
GetToolsStatusCategoriesTypedDict: TypeAlias = dict[str, Any]
GetToolsStatusResponseTypedDict: TypeAlias = dict[str, Any]
GetToolsStatusToolTypedDict: TypeAlias = dict[str, Any]
GrantPermissionRequestTypedDict: TypeAlias = dict[str, Any]
GrantPermissionResponseTypedDict: TypeAlias = dict[str, Any]
HandleOAuthCallbackRequestTypedDict: TypeAlias = dict[str, Any]
HandleOAuthCallbackResponseTypedDict: TypeAlias = dict[str, Any]
HealthCheckResponseTypedDict: TypeAlias = dict[str, Any]
InputJSONTypedDict: TypeAlias = dict[str, Any]
ListCommandsResponseTypedDict: TypeAlias = dict[str, Any]
ListLLMToolsResponseTypedDict: TypeAlias = dict[str, Any]
ListLLMToolsToolTypedDict: TypeAlias = dict[str, Any]
ListMcpServersResponseTypedDict: TypeAlias = dict[str, Any]
ListMcpServersToolTypedDict: TypeAlias = dict[str, Any]
ListSessionFilesRequestTypedDict: TypeAlias = dict[str, Any]
ListSessionsRequestTypedDict: TypeAlias = dict[str, Any]
ParametersTypedDict: TypeAlias = dict[str, Any]
ParamsTypedDict: TypeAlias = dict[str, Any]
ProvidersTypedDict: TypeAlias = dict[str, Any]
RESTErrorTypedDict: TypeAlias = dict[str, Any]
RefreshOAuthTokensResponseTypedDict: TypeAlias = dict[str, Any]
ResetPreferencesResponseTypedDict: TypeAlias = dict[str, Any]
RespondToNotificationRequestBodyTypedDict: TypeAlias = dict[str, Any]
RespondToNotificationRequestTypedDict: TypeAlias = dict[str, Any]
RewindSessionRequestBodyTypedDict: TypeAlias = dict[str, Any]
RewindSessionRequestTypedDict: TypeAlias = dict[str, Any]
SSECompleteEventDataTypedDict: TypeAlias = dict[str, Any]
SSECompleteEventTypedDict: TypeAlias = dict[str, Any]
SSEConnectedEventDataTypedDict: TypeAlias = dict[str, Any]
SSEConnectedEventTypedDict: TypeAlias = dict[str, Any]
SSEContentEventDataTypedDict: TypeAlias = dict[str, Any]
SSEContentEventTypedDict: TypeAlias = dict[str, Any]
SSEErrorEventDataTypedDict: TypeAlias = dict[str, Any]
SSEErrorEventTypedDict: TypeAlias = dict[str, Any]
SSEEventStreamTypedDict: TypeAlias = dict[str, Any]
SSEHeartbeatEventDataTypedDict: TypeAlias = dict[str, Any]
SSEHeartbeatEventTypedDict: TypeAlias = dict[str, Any]
SSENotificationEventDataTypedDict: TypeAlias = dict[str, Any]
SSENotificationEventTypedDict: TypeAlias = dict[str, Any]
SSEPermissionEventDataTypedDict: TypeAlias = dict[str, Any]
SSEPermissionEventTypedDict: TypeAlias = dict[str, Any]
SSESessionCreatedEventDataTypedDict: TypeAlias = dict[str, Any]
SSESessionCreatedEventTypedDict: TypeAlias = dict[str, Any]
SSESessionDeletedEventDataTypedDict: TypeAlias = dict[str, Any]
SSESessionDeletedEventTypedDict: TypeAlias = dict[str, Any]
SSESummarizeEventDataTypedDict: TypeAlias = dict[str, Any]
SSESummarizeEventTypedDict: TypeAlias = dict[str, Any]
SSEThinkingEventDataTypedDict: TypeAlias = dict[str, Any]
SSEThinkingEventTypedDict: TypeAlias = dict[str, Any]
SSEToolEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolEventTypedDict: TypeAlias = dict[str, Any]
SSEToolExecutionCompleteEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolExecutionCompleteEventTypedDict: TypeAlias = dict[str, Any]
SSEToolExecutionStartEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolExecutionStartEventTypedDict: TypeAlias = dict[str, Any]
SSEToolParameterDeltaEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolParameterDeltaEventTypedDict: TypeAlias = dict[str, Any]
SSEToolUseParameterDeltaEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolUseParameterDeltaEventTypedDict: TypeAlias = dict[str, Any]
SSEToolUseParameterStreamingCompleteEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolUseParameterStreamingCompleteEventTypedDict: TypeAlias = dict[str, Any]
SSEToolUseStartEventDataTypedDict: TypeAlias = dict[str, Any]
SSEToolUseStartEventTypedDict: TypeAlias = dict[str, Any]
SSEUserMessageCreatedEventDataTypedDict: TypeAlias = dict[str, Any]
SSEUserMessageCreatedEventTypedDict: TypeAlias = dict[str, Any]
SendMessageRequestBodyTypedDict: TypeAlias = dict[str, Any]
SendMessageRequestTypedDict: TypeAlias = dict[str, Any]
SendMessageResponseTypedDict: TypeAlias = dict[str, Any]
SendStreamingMessageRequestBodyTypedDict: TypeAlias = dict[str, Any]
SendStreamingMessageRequestTypedDict: TypeAlias = dict[str, Any]
SessionDataTypedDict: TypeAlias = dict[str, Any]
StartOAuthFlowRequestTypedDict: TypeAlias = dict[str, Any]
StartOAuthFlowResponseTypedDict: TypeAlias = dict[str, Any]
StoreAPIKeyRequestTypedDict: TypeAlias = dict[str, Any]
StoreAPIKeyResponseTypedDict: TypeAlias = dict[str, Any]
StreamEventsRequestTypedDict: TypeAlias = dict[str, Any]
StreamEventsResponseTypedDict: TypeAlias = dict[str, Any]
StreamMessageResponseTypedDict: TypeAlias = dict[str, Any]
ToolCallDataTypedDict: TypeAlias = dict[str, Any]
ToolNameTypedDict: TypeAlias = dict[str, Any]
UpdatePreferencesRequestTypedDict: TypeAlias = dict[str, Any]
UpdatePreferencesResponseTypedDict: TypeAlias = dict[str, Any]
UpdateSessionCallbacksRequestBodyTypedDict: TypeAlias = dict[str, Any]
UpdateSessionCallbacksRequestTypedDict: TypeAlias = dict[str, Any]
UploadSessionFileRequestBodyTypedDict: TypeAlias = dict[str, Any]
UploadSessionFileRequestTypedDict: TypeAlias = dict[str, Any]
UserPreferencesResponseTypedDict: TypeAlias = dict[str, Any]
ValidatePreferredProviderResponseTypedDict: TypeAlias = dict[str, Any]


def _typed_dict(name: str, model: Any) -> Any:
    """Derives the typed dictionary of a model.

    Args:
        name: What it is called.
        model: A pydantic model, a data class, or a union of such.

    Returns:
        A `TypedDict` with the keys of the model; of a union, which has no keys of its own, a dictionary.
    """
    keys: dict[str, Any]
    if isinstance(model, type) and issubclass(model, BaseModel):
        fields = model.model_fields.items()
        keys = {
            key: field.annotation if field.is_required() else NotRequired[field.annotation] for key, field in fields
        }
    elif isinstance(model, type) and dataclasses.is_dataclass(model):
        keys = {
            field.name: Any if field.default is field.default_factory is dataclasses.MISSING else NotRequired[Any]
            for field in dataclasses.fields(model)
        }
    else:
        return dict[str, Any]
    return cast("Any", TypedDict)(name, keys)  # The type checkers know the names below.


_MODELS: Final = {**vars(events), **vars(models), **globals(), "ToolName": str, "StreamEventsResponse": object}

for _name in __all__:
    if _name.endswith("TypedDict"):
        globals()[_name] = _typed_dict(_name, _MODELS[_name.removesuffix("TypedDict")])
