"""Every byte that a server sends a browser, over HTTP and over websockets, kept to be searched."""

from __future__ import annotations

from collections.abc import Iterable

from playwright.sync_api import Page, Response, WebSocket


class Wire:
    """Begin before the page is opened."""

    def __init__(self, page: Page) -> None:
        self._parts: list[bytes] = []
        self._responses: list[Response] = []
        page.on("websocket", self._socket)
        page.on("response", lambda response: self._responses.append(response))

    @property
    def everything(self) -> bytes:
        bodies = []
        for response in self._responses:
            if response.status == 200:
                bodies.append(response.body())
        return b"\n".join([*self._parts, *bodies])

    def found(self, words: Iterable[str]) -> list[str]:
        """The words that were sent."""
        everything = self.everything
        return [word for word in words if word.encode() in everything]

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self._parts.append(frame.encode() if isinstance(frame, str) else frame))
