from __future__ import annotations

import copy
import pickle

import httpx
import pytest
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core import exceptions as core
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.types import RetryPolicy

from langchain_mix import errors
from langchain_mix.chat_models.model_errors import as_model_error, may_retry, retry_rule
from langchain_mix.client._failures import ConnectError, ConnectionLost, RequestTimeout
from langchain_mix.protocol.call import Call, Reply, error_from, nothing


def answered(status: int, *, body: bytes = b"no", idempotent: bool = False, headers: dict[str, str] | None = None):
    call = Call(method="POST", segments=("api", "sessions"), decode=nothing, idempotent=idempotent)
    return error_from(call, Reply(status, headers or {}, body))


def envelope(status: int, message: str = "m") -> bytes:
    return f'{{"error":{{"code":{status},"message":"{message}","type":"t"}}}}'.encode()


def agent(text: str) -> errors.MixAgentError:
    return errors.MixAgentError(text, acted="yes")


PAIRS = [
    (errors.MixInputError("x"), core.ModelInvalidRequestError, False),
    (errors.MixConfigurationError("x"), core.ModelInvalidRequestError, False),
    (errors.MixUnsupportedError("x"), core.ModelInvalidRequestError, False),
    (ConnectError("x"), core.ModelConnectionError, True),
    (ConnectionLost("x", acted="unknown"), core.ModelConnectionError, False),
    (RequestTimeout("x", acted="unknown"), core.ModelTimeoutError, False),
    (errors.MixStreamError("x", acted="yes"), core.ModelConnectionError, False),
    (answered(401, body=envelope(401)), core.ModelAuthenticationError, False),
    (answered(400, body=envelope(400)), core.ModelInvalidRequestError, False),
    (answered(404, body=envelope(404)), core.ModelNotFoundError, False),
    (answered(500, body=envelope(500, "sql: no rows in result set")), core.ModelNotFoundError, False),
    (answered(500, body=envelope(500)), core.ModelAPIError, False),
    (answered(500, body=envelope(500), idempotent=True), core.ModelAPIError, True),
    (answered(401), core.ModelAuthenticationError, False),
    (answered(403), core.ModelPermissionDeniedError, False),
    (answered(404), core.ModelNotFoundError, False),
    (answered(429), core.ModelRateLimitError, True),
    (answered(503), core.ModelAPIError, False),
    (answered(503, idempotent=True), core.ModelAPIError, True),
    (answered(418), core.ModelInvalidRequestError, False),
    (answered(200, body=b"<html>"), core.ModelInvalidRequestError, False),
    (errors.ResponseValidationError("x", acted="yes"), core.ModelAPIError, False),
    (agent("prompt is too long: 210000 tokens > 200000 maximum"), core.ContextOverflowError, False),
    (agent("LLM API rate limited - maximum retry attempts reached: 8 retries"), core.ModelRateLimitError, False),
    (agent("failed to process events: 401 Unauthorized"), core.ModelAuthenticationError, False),
    (agent("maximum iteration limit (3 steps) reached"), core.ModelError, False),
    (agent("boom"), core.ModelAPIError, False),
    (errors.MixTurnTimeout("x", acted="yes"), core.ModelTimeoutError, False),
    (errors.MixTurnTimeout("x", acted="no"), core.ModelTimeoutError, True),
    (errors.MixTurnInterrupted("x", acted="yes"), core.ModelConnectionError, False),
    (errors.MixTurnCancelled("x", acted="yes"), core.ModelError, False),
    (errors.MixTextGap("x", acted="yes"), core.ModelError, False),
    (errors.MixToolCallMissing("x", acted="yes"), core.ModelAPIError, False),
    (errors.MixOutcomeUnknown("x", acted="unknown"), core.ModelConnectionError, False),
    (errors.MixHistoryDiverged("x"), core.ModelInvalidRequestError, False),
    (errors.MixSessionBusy("x"), core.ModelError, True),
    (errors.MixError("x"), core.ModelError, False),
]


@pytest.mark.parametrize(
    ("error", "kind", "retryable"), PAIRS, ids=[f"{type(p[0]).__name__}-{p[0].message[:20]}" for p in PAIRS]
)
def test_each_error_is_the_model_error_it_should_be(error, kind, retryable):
    found = as_model_error(error)
    assert isinstance(found, kind)
    assert isinstance(found, type(error))
    assert found.is_retryable is retryable
    assert may_retry(found) is retryable
    assert type(found).__name__.startswith("ChatMix") or type(found).__name__.startswith("Chat")
    assert str(found) == str(error)
    assert found.args == error.args
    assert found.__dict__ == error.__dict__


def test_nothing_that_the_server_may_have_acted_on_is_retryable():
    for error, *_ in PAIRS:
        assert not (as_model_error(error).is_retryable and error.acted != "no")
        assert not as_model_error(error, sent=True).is_retryable
        assert not as_model_error(as_model_error(error), sent=True).is_retryable
        again = as_model_error(as_model_error(error, sent=True))
        assert not again.is_retryable


def test_classes_are_made_once_and_names_tell_where_they_come_from():
    first, second = as_model_error(ConnectError("a")), as_model_error(ConnectError("b"))
    assert type(first) is type(second)
    assert type(first).__name__ == "ChatMixConnectionError"
    assert isinstance(first, httpx.ConnectError)
    assert isinstance(first, ConnectionError)
    assert as_model_error(first) is first


@pytest.mark.parametrize("error", [p[0] for p in PAIRS], ids=lambda e: type(e).__name__)
def test_they_survive_pickle_and_copy(error):
    found = as_model_error(error)
    for twin in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):  # noqa: S301  # Our own.
        assert type(twin) is type(found)
        assert str(twin) == str(found)
        assert (twin.acted, twin.status_code, twin.data) == (found.acted, found.status_code, found.data)


def test_the_partial_turn_stays_reachable():
    error = agent("boom")
    error.turn = object()
    assert as_model_error(error).turn is error.turn


def test_langgraph_runs_a_node_again_only_where_that_is_harmless():
    again = RetryPolicy().retry_on
    assert callable(again)
    for error, *_ in PAIRS:
        found = as_model_error(error)
        if not found.is_retryable and not isinstance(error, ConnectionError):
            assert not again(found), type(error)
    assert again(as_model_error(ConnectError("x")))


class Failing(BaseChatModel):
    """Fails so often, then replies."""

    problem: errors.MixError
    failures: int = 1
    calls: list[int]

    @property
    def _llm_type(self) -> str:
        return "failing"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.calls.append(1)
        if len(self.calls) <= self.failures:
            try:
                raise self.problem
            except errors.MixError as error:
                raise as_model_error(error) from error.__cause__
        return ChatResult(generations=[ChatGeneration(message=AIMessage("ok"))])


@pytest.mark.parametrize(
    ("error", "calls"), [(ConnectError("x"), 2), (ConnectionLost("x", acted="unknown"), 1), (agent("x"), 1)]
)
def test_the_retry_middleware_sends_nothing_twice(error, calls):
    model = Failing(problem=error, calls=[])
    middleware = ModelRetryMiddleware(initial_delay=0, jitter=False)

    def handler(_request):
        return model.invoke("hi")

    if calls == 1:
        with pytest.raises(type(error)):
            middleware.wrap_model_call(None, handler)
    else:
        assert middleware.wrap_model_call(None, handler).text == "ok"
    assert len(model.calls) == calls


def test_rules_of_users_are_narrowed_to_what_is_safe():
    safe, unsafe, foreign = as_model_error(ConnectError("x")), as_model_error(agent("x")), OSError("x")
    everything = retry_rule((Exception,))
    assert [everything(e) for e in (safe, unsafe, foreign)] == [True, False, True]
    default = retry_rule(may_retry)
    assert [default(e) for e in (safe, unsafe, foreign)] == [True, False, False]
    assert not retry_rule((ValueError,))(safe)
    assert not retry_rule(lambda _: True)(errors.MixError("x"))


class Seen(BaseCallbackHandler):
    """Keeps what tracing sees of an error."""

    def on_llm_error(self, error, **kwargs):
        self.response = kwargs.get("response")


def test_a_single_type_is_a_rule():
    wanted = retry_rule(ValueError)
    assert wanted(ValueError()) is True
    assert wanted(KeyError()) is False


def test_tracing_sees_the_answer_without_its_secrets():
    headers = {
        "content-type": "application/json",
        "content-length": "3",
        "content-encoding": "gzip",
        "set-cookie": "sid=hunter2",
        "x-api-key": "hunter2",
        "x-auth-token": "hunter2",
        "X-Request-Id": "r1",
    }
    error = answered(500, body=envelope(500, "broke"), headers=headers)
    seen = Seen()
    with pytest.raises(errors.MixInternalError) as caught:
        Failing(problem=error, calls=[]).invoke("hi", config={"callbacks": [seen]})
    metadata = seen.response.generations[0][0].message.response_metadata
    assert metadata["status_code"] == 500
    assert metadata["body"]["error"]["message"] == "broke"
    assert metadata["request_id"] == "r1"
    assert metadata["headers"]["content-type"] == "application/json"
    assert metadata["headers"]["set-cookie"] == "<hidden>"
    assert "hunter2" not in str(metadata)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_error_without_an_answer_has_no_response():
    error = as_model_error(ConnectError("x"))
    assert not hasattr(error, "response")
    assert not hasattr(error, "request_id")
    assert not hasattr(as_model_error(answered(500)), "request_id")
    assert as_model_error(answered(502, body=b"\xff bad")).response.text == "\ufffd bad"
