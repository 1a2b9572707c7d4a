"""KServe's own model server with an ONNX file in it; runs in an environment of its own.

`python kserve_server.py FILE NAME PORT`. The same few lines would be an operator's custom runtime.
"""

import asyncio
import sys
import uuid
from typing import Any

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

DATATYPES = {"tensor(float)": "FP32", "tensor(float16)": "FP16", "tensor(uint8)": "UINT8"}


class OnnxModel(Model):  # type: ignore[misc]  # it has no types
    """An ONNX file as a KServe model."""

    def __init__(self, file: str, name: str) -> None:
        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the inputs."""
        return [_described(node) for node in self._session.get_inputs()]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the outputs."""
        return [_described(node) for node in self._session.get_outputs()]

    async def predict(
        self, payload: InferRequest, headers: Any = None, response_headers: Any = None
    ) -> InferResponse:
        """Run the network off the event loop."""
        feed = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        results = await asyncio.to_thread(self._session.run, None, feed)
        binary = payload.use_binary_outputs
        outputs = []
        for described, result in zip(self.get_output_types(), results, strict=True):
            output = InferOutput(described["name"], list(result.shape), described["datatype"])
            output.set_data_from_numpy(result, binary_data=binary)
            outputs.append(output)
        answer = payload.id or uuid.uuid4().hex  # it must have one
        return InferResponse(answer, self.name, outputs, use_binary_outputs=binary)


def _described(node: Any) -> dict[str, Any]:
    shape = [axis if isinstance(axis, int) else -1 for axis in node.shape]
    return {"name": node.name, "datatype": DATATYPES[node.type], "shape": shape}


if __name__ == "__main__":
    file, name, port = sys.argv[1:]
    ModelServer(http_port=int(port), enable_grpc=False).start([OnnxModel(file, name)])
