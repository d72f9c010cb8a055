"""Order of a graph's layers, and so of their weights: that of Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.graph.layer_protocol import GraphLayer
from nnx.graph.symbol import Node, Symbol


def layer_order(inputs: Sequence[Symbol], outputs: Sequence[Symbol], nodes: Sequence[Node]) -> list[Any]:
    """The layers, each once, those of the inputs too: what is farther from the outputs comes first.

    The distance is the number of calls on the longest way to an output. Layers at one distance are in the order in
    which a walk back from the outputs meets them.

    nodes : the calls, each after those that it depends on.
    """
    found = _met(inputs, outputs)
    distance_of: dict[Node, int] = {}
    distances: dict[GraphLayer, int] = {}
    sources = [symbol.node for symbol in inputs if symbol.node and symbol.node.layer in found]
    for node in (*reversed(nodes), *sources):
        distance = max(distance_of.get(node, 0), distances.get(node.layer, 0))
        distances[node.layer] = distance
        for symbol in node.reads:
            if symbol.node is not None:
                distance_of[symbol.node] = max(distance + 1, distance_of.get(symbol.node, 0))
    return sorted(found, key=lambda layer: -distances[layer])


def _met(inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> list[GraphLayer]:
    """The layers in the order in which a walk back from the outputs, depth first, meets them."""
    given = {symbol.key for symbol in inputs}
    seen: set[Node] = set()
    layers: dict[GraphLayer, None] = {}
    stack = list(reversed(outputs))
    while stack:
        symbol = stack.pop()
        node = symbol.node
        if node is None or node in seen or (symbol.key in given and node.inputs):
            continue
        seen.add(node)
        layers[node.layer] = None
        stack.extend(reversed(node.reads))
    return list(layers)
