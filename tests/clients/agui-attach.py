"""Attaches to a thread with the models of the official AG-UI package for Python, and says what came.

    python agui-attach.py URL THREAD

Posts a RunAgentInput that the package wrote, reads every frame as an event of the package, and prints one JSON
object: the types in their order, and the text of each message as a client holds it at the end.
Exit 1 with the reason when the package refuses a frame.
"""

import json
import sys
import urllib.request

from ag_ui.core import Event, RunAgentInput
from pydantic import TypeAdapter, ValidationError


def frames(response):
    data = []
    for line in response:
        line = line.decode().rstrip("\n")
        if line.startswith("data: "):
            data.append(line[6:])
        elif not line and data:
            yield "\n".join(data)
            data = []


def main(url, thread):
    run = RunAgentInput(
        thread_id=thread, run_id="attach", state={}, messages=[], tools=[], context=[], forwarded_props={}
    )
    body = run.model_dump_json(by_alias=True, exclude_none=True).encode()
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    events, texts = TypeAdapter(Event), {}
    types = []
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as response:
        for frame in frames(response):
            try:
                event = events.validate_json(frame)
            except ValidationError as error:
                sys.exit(f"refused: {frame}: {error}")
            kind = event.type.value
            types.append(kind)
            if kind == "MESSAGES_SNAPSHOT":
                texts = {message.id: message.content or "" for message in event.messages}
            elif kind == "TEXT_MESSAGE_START":
                texts.setdefault(event.message_id, "")
            elif kind == "TEXT_MESSAGE_CONTENT":
                texts[event.message_id] += event.delta
    print(json.dumps({"types": types, "texts": texts}))


main(*sys.argv[1:])
