"""Asks a provider of language models through its official client, and prints what comes of it.

One JSON object per line in: base, api (anthropic, chat, responses), model, stream. One per line out, in order: either
events and final, or error.
"""

import json
import sys

import anthropic
import openai


def plain(value):
    return value.model_dump(mode="json", warnings=False) if hasattr(value, "model_dump") else value


def ask(job):
    model, is_stream = job["model"], job["stream"]
    options = {"api_key": "not-a-key", "max_retries": 0, "timeout": 20}
    if job["api"] == "anthropic":
        client = anthropic.Anthropic(base_url=job["base"], **options)
        request = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
        create, helper = client.messages.create, client.messages.stream
        final_of = lambda stream: stream.get_final_message()
    else:
        client = openai.OpenAI(base_url=job["base"] + "/v1", **options)
        if job["api"] == "chat":
            request = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
            create, helper = client.chat.completions.create, client.chat.completions.stream
            final_of = lambda stream: stream.get_final_completion()
        else:
            request = {"model": model, "input": "Hi"}
            create, helper = client.responses.create, client.responses.stream
            final_of = lambda stream: stream.get_final_response()
    if not is_stream:
        return {"final": plain(create(**request))}
    outcome = {"events": [plain(event) for event in create(stream=True, **request)]}
    try:
        with helper(**request) as stream:
            for _ in stream:
                pass
            outcome["final"] = plain(final_of(stream))
    except Exception as error:  # Some clients make no whole of what they read piece by piece.
        outcome["error"] = failure(error)
    return outcome


def failure(error):
    response = getattr(error, "response", None)
    names = ("retry-after", "x-should-retry", "request-id", "x-request-id", "content-type")
    headers = {name: response.headers.get(name) for name in names} if response is not None else None
    return {
        "name": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "body": getattr(error, "body", None),
        "headers": headers,
    }


for line in sys.stdin:
    try:
        outcome = ask(json.loads(line))
    except Exception as error:  # What a client raises is what is compared.
        outcome = {"error": failure(error)}
    print(json.dumps(outcome, sort_keys=True, default=str), flush=True)
