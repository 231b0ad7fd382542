"""Serves agents of Pydantic AI as its documentation shows it: its own adapter behind Starlette, run by Uvicorn.

    python agent-pydantic.py

Prints one line, `listening on http://127.0.0.1:PORT`. No model is asked: `/tools` calls its tool and repeats what it
says (TestModel), `/words` says sixty words, one each 50 ms (FunctionModel).
"""

import asyncio
import socket

import uvicorn
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from starlette.applications import Starlette
from starlette.routing import Route

tools = Agent(TestModel())


@tools.tool_plain
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


async def say(_messages, _info):
    for n in range(60):
        yield f"word-{n} "
        await asyncio.sleep(0.05)


words = Agent(FunctionModel(stream_function=say))


def endpoint(agent):
    async def run(request):
        return await AGUIAdapter.dispatch_request(request, agent=agent)

    return run


app = Starlette(
    routes=[
        Route("/tools", endpoint(tools), methods=["POST"]),
        Route("/words", endpoint(words), methods=["POST"]),
    ]
)

listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
