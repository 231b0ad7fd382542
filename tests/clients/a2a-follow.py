"""Lets the official Python client follow tasks, and says what it holds at the end.

Reads one JSON object a line from standard input:
    {"base": URL of the agent, "task": id, "binding": "JSONRPC" or "HTTP+JSON", "version": "1.0" or "0.3"}
They are followed all at once. Writes one JSON object a line:
    {"job": its line, "at": "first"}                         the first event is there
    {"job": its line, "at": "end", "kinds": [...], "state": ..., "same": ..., "error": ..., "detail": ...}
`same` says whether what the events lead to, as the client's own library folds them, is the task that the server then
returns. The client is as it is by default: five seconds of silence are too much for it.
"""

import asyncio
import json
import sys

import httpx
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import ClientCallContext, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict


def fold(task, event, kind):
    body = getattr(event, kind)
    if kind == 'task':
        task = pb.Task()
        task.CopyFrom(body)
    elif kind == 'status_update':
        if task.status.HasField('message'):
            task.history.append(task.status.message)
        task.metadata.MergeFrom(body.metadata)
        task.status.CopyFrom(body.status)
        task.context_id = body.context_id
    elif kind == 'artifact_update':
        append_artifact_to_task(task, body)
        task.context_id = body.context_id
    return task


def plain(value):
    """The value without empty metadata, which the library makes where there was none."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if (name, member) != ('metadata', {})}
    return [plain(element) for element in value] if isinstance(value, list) else value


def say(**line):
    print(json.dumps(line), flush=True)


async def follow(number, job, http):
    kinds, task, error, detail = [], None, None, None
    same = False
    try:
        card = await A2ACardResolver(http, job['base']).get_agent_card()
        only = pb.AgentCard()
        only.CopyFrom(card)
        del only.supported_interfaces[:]
        for interface in card.supported_interfaces:
            if (interface.protocol_binding, interface.protocol_version) == (job['binding'], job['version']):
                only.supported_interfaces.append(interface)
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[job['binding']])
        client = ClientFactory(config).create(only)
        source = client.subscribe(pb.SubscribeToTaskRequest(id=job['task']), context=ClientCallContext())
        async for event in source:
            kind = event.WhichOneof('payload')
            kinds.append(kind)
            task = fold(task, event, kind)
            if len(kinds) == 1:
                say(job=number, at='first')
        held = await client.get_task(pb.GetTaskRequest(id=job['task']))
        held, folded = plain(MessageToDict(held)), plain(MessageToDict(task))
        same = held == folded
        if not same:
            detail = {'folded': folded, 'held': held}
    except Exception as err:
        error, detail = type(err).__name__, str(err)
    state = pb.TaskState.Name(task.status.state) if task else None
    say(job=number, at='end', kinds=kinds, state=state, same=same, error=error, detail=detail)


async def main():
    jobs = [json.loads(line) for line in sys.stdin if line.strip()]
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits) as http:
        await asyncio.gather(*(follow(number, job, http) for number, job in enumerate(jobs)))


asyncio.run(main())
