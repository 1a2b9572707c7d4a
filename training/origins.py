"""Weights to begin with: of files that were shipped, of BodyPix's, of DeepLab's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.network import BodyRegions, Parts, People

_PREFIX = "network."  # of every name in a file that training.export wrote


def onnx_state(file: Path) -> dict[str, Tensor]:
    """The weights of an ONNX file that `training.export` wrote, by the network's own names."""
    return {
        weight.name.removeprefix(_PREFIX).removesuffix(".half"): torch.from_numpy(
            numpy_helper.to_array(weight).astype(np.float32)
        )
        for weight in onnx.load(file).graph.initializer
        if weight.name.startswith(_PREFIX)
    }


def load_bodypix(parts: Parts, file: Path) -> None:
    """Fill every convolution from BodyPix's ONNX file, in the order of its graph."""
    graph = onnx.load(file).graph
    arrays = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    layers = (parts.stem, *parts.layers)
    for layer, node in zip(layers, convolutions[: len(layers)], strict=True):
        _fill(layer, arrays[node.input[1]], arrays[node.input[2]])


def load_deeplab(people: People, file: Path) -> None:
    """Fill every convolution from DeepLab's quantised file, in the order of its graph."""
    convolutions = [layer for layer in people.modules() if isinstance(layer, nn.Conv2d)]
    weights = list(_dequantised(file))
    for layer, (weight, bias) in zip(convolutions, weights[: len(convolutions)], strict=True):
        _fill(layer, weight, bias)


def _dequantised(file: Path) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weight (OIHW) and bias of each convolution of a TFLite file, in the order of its graph."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    net = Interpreter(str(file))
    net.allocate_tensors()
    said = {detail["index"]: detail for detail in net.get_tensor_details()}
    for operation in net._get_ops_details():
        if operation["op_name"] not in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            continue
        weight, bias = (_floats(net, said[int(i)]) for i in operation["inputs"][1:3])
        order = (0, 3, 1, 2) if operation["op_name"] == "CONV_2D" else (3, 0, 1, 2)
        yield weight.transpose(order), bias


def _floats(net: Any, detail: dict[str, Any]) -> NDArray[np.float32]:
    """A tensor of the file as floats; its scale is one, or one for each output channel."""
    known = detail["quantization_parameters"]
    scales, zeros, axis = known["scales"], known["zero_points"], known["quantized_dimension"]
    raw = net.get_tensor(detail["index"]).astype(np.float32)
    shape = [1] * raw.ndim
    shape[axis if scales.size > 1 else 0] = scales.size
    floats: NDArray[np.float32] = (raw - zeros.reshape(shape)) * scales.reshape(shape)
    return floats.astype(np.float32)


def _fill(layer: nn.Module, weight: NDArray[Any], bias: NDArray[Any]) -> None:
    layer.load_state_dict(
        {"weight": torch.from_numpy(weight.copy()), "bias": torch.from_numpy(bias.copy())}
    )


def begin(light: Path, bodypix: Path, deeplab: Path) -> BodyRegions:
    """A network that gives what the light one gives, ready to learn from the other two."""
    network = BodyRegions()
    network.light.load_state_dict(onnx_state(light))
    load_bodypix(network.parts, bodypix)
    load_deeplab(network.people, deeplab)
    return network


def shipped(file: Path) -> BodyRegions:
    """The network of a shipped file; its head of garments, which doesn't go out, begins anew."""
    network = BodyRegions()
    state = onnx_state(file)
    heads = {name: p for name, p in network.state_dict().items() if name.startswith("garments.")}
    network.load_state_dict({**heads, **state})
    return network
