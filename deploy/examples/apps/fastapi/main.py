"""A clock on FastAPI: asked once, as an event stream, and over a WebSocket that echoes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

app = FastAPI(title="ticker")


def now() -> str:
    return datetime.now(UTC).isoformat()


@app.get("/")
async def read() -> dict[str, str]:
    return {"time": now()}


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"well": True}


@app.get("/events")
async def events(every: float = 1.0) -> StreamingResponse:
    async def ticks() -> AsyncIterator[str]:
        while True:
            yield f"data: {now()}\n\n"
            await asyncio.sleep(min(max(every, 0.05), 60.0))

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
