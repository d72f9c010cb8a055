"""Logs of epochs for a server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from nnx.backends import to_numpy
from nnx.callbacks.callback import Callback
from nnx.user_warnings import warn_user

_PATIENCE = 10.0  # seconds


class RemoteMonitor(Callback):
    """The logs of each epoch, sent to a server by HTTP; a warning, and nothing else, where it cannot be reached.

    root, path : the address is both together.
    field : of a form, that the logs are in as JSON.
    headers : further ones, such as an authorisation.
    send_as_json : send the logs themselves as JSON, and no form.

    >>> monitor = RemoteMonitor("http://localhost:9000", send_as_json=True)
    >>> monitor.path
    '/publish/epoch/end/'
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        if urllib.parse.urlsplit(root).scheme not in ("http", "https"):
            raise ValueError(f"RemoteMonitor: root must begin with http:// or https://, got {root!r}")
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        text = json.dumps({"epoch": epoch, **(logs or {})}, default=_plain)
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=_PATIENCE).close()
        except (OSError, urllib.error.URLError) as error:
            warn_user(f"RemoteMonitor could not reach {self.root}: {error}")


def _plain(value: Any) -> Any:
    """An array, or a number of NumPy, for JSON."""
    return to_numpy(value).tolist()
