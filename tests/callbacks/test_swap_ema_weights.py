"""Averages of weights in a model while it is evaluated, and logs for a server."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

import nnx
from nnx.callbacks import LambdaCallback, RemoteMonitor, SwapEMAWeights
from nnx.testing import assert_close

X, Y = np.linspace(-1.0, 1.0, 24, dtype="float32").reshape(12, 2), np.ones((12, 1), "float32")


def trained(callbacks, **options):
    model = nnx.Sequential([nnx.layers.Dense(1, kernel_initializer="ones", input_dim=2)])
    model.compile(nnx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    seen: list[tuple[str, np.ndarray]] = []

    def look(what):
        return lambda *args: seen.append((what, model.get_weights()[0].copy()))

    looking = LambdaCallback(on_test_begin=look("test"), on_test_end=look("after"), on_epoch_end=look("epoch"))
    model.fit(X, Y, 4, 2, 0, [*callbacks, looking], validation_data=(X, Y), shuffle=False, **options)
    return model, seen


def test_averages_are_evaluated_and_training_goes_on(backend):
    plain, weights = trained([])
    model, seen = trained([SwapEMAWeights()])
    for (what, before), (_, now) in zip(weights, seen, strict=True):
        assert (before == now).all() == (what != "test")
    assert_close(model.get_weights()[0], plain.get_weights()[0], 0.0, 0.0)
    by_epoch, epochs = trained([SwapEMAWeights(swap_on_epoch=True)])
    assert_close(by_epoch.get_weights()[0], plain.get_weights()[0], 0.0, 0.0)
    assert_close(epochs[-1][1], plain.get_weights()[0], 0.0, 0.0)  # a checkpoint has what training ends with
    assert_close(epochs[0][1], seen[0][1], 0.0, 0.0)


def test_without_averages():
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="write use_ema=True"):
        model.fit(X, Y, callbacks=[SwapEMAWeights()], verbose=0)


def test_remote_monitor():
    received = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, self.headers["Content-Type"], text))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        for as_json in (False, True):
            logs = {"loss": np.float32(0.5), "each": np.asarray([1, 2])} if as_json else {"loss": 0.5, "each": [1, 2]}
            RemoteMonitor(root, send_as_json=as_json).on_epoch_end(3, logs)
        server.shutdown()
    (path, kind, form), (_, other, text) = received
    assert (path, kind, other) == ("/publish/epoch/end/", "application/x-www-form-urlencoded", "application/json")
    sent = {"epoch": 3, "loss": 0.5, "each": [1, 2]}
    assert json.loads(text) == json.loads(urllib.parse.parse_qs(form)["data"][0]) == sent
    with pytest.warns(UserWarning, match="RemoteMonitor could not reach"):
        RemoteMonitor(root).on_epoch_end(0, {})
    with pytest.raises(ValueError, match="must begin with http"):
        RemoteMonitor("file:///etc")
