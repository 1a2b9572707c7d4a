"""A model on a server gives what it gives here, and its server's troubles are distinguished."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

import numpy as np
import pytest

from segmentation.catalog.catalog import Catalog
from segmentation.deadline import Deadline
from segmentation.errors import DeadlineExceeded, EngineUnavailable, ModelError
from segmentation.model.engine import Engine, Tensor
from segmentation.model.manifest import Manifest
from segmentation.remote import http_client
from segmentation.remote.open_inference import read_response
from segmentation.remote.remote_model import RemoteModel
from tests.support.v2_server import ServerFault, V2Server


@pytest.fixture
def local(catalog: Catalog) -> Engine:
    """The model that the server runs."""
    return catalog.model("trivial")


@pytest.fixture(params=[True, False], ids=["binary", "json"])
def server(local: Engine, request: pytest.FixtureRequest) -> Iterator[V2Server]:
    """A server of `trivial` that speaks both, or JSON alone."""
    with V2Server(local, binary=request.param) as running:
        yield running


@pytest.fixture
def remote(server: V2Server) -> Iterator[RemoteModel]:
    """`trivial` as that server's model."""
    model = RemoteModel(described(server.engine, server.url))
    yield model
    model.close()


def described(engine: Engine, url: str, **changes: object) -> Manifest:
    """The engine's manifest, with a URL in place of the file."""
    fields = engine.manifest.model_dump(exclude_none=True, exclude={"file", "sha256"})
    return Manifest.model_validate({**fields, "url": url, **changes})


def noise(seed: int = 0) -> Tensor:
    """A tensor that `trivial` takes."""
    return np.random.default_rng(seed).uniform(0, 1, (1, 3, 16, 16)).astype(np.float32)


def test_the_server_gives_what_the_file_gives(
    remote: RemoteModel, local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """To the last bit, by bytes where the server advertises them, else by JSON."""
    for seed in range(3):
        expected = local.run(noise(seed), deadline)
        np.testing.assert_array_equal(expected, remote.run(noise(seed), deadline))
    assert server.contents == ({"binary"} if server.binary else {"json"})


def test_the_manifest_has_the_last_word_on_bytes(
    local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """KServe can, and doesn't advertise it."""
    wanted = not server.binary
    remote = RemoteModel(described(local, server.url, binary=wanted))
    np.testing.assert_array_equal(local.run(noise(), deadline), remote.run(noise(), deadline))
    assert server.contents == ({"binary"} if wanted else {"json"})
    remote.close()


def test_a_connection_is_kept_and_what_is_known_is_not_asked_again(
    remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """Three runs: one connection, one question for the model's terms, three for inference."""
    for _ in range(3):
        remote.run(noise(), deadline)
    model = "/v2/models/trivial"
    assert server.asked == [model, "/v2", *[f"{model}/infer"] * 3]
    assert server.connections == 1


def test_many_threads_ask_at_once(
    remote: RemoteModel, local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """Each gets its own answer."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda seed: remote.run(noise(seed), deadline), range(40)))
    for seed, answer in enumerate(answers):
        np.testing.assert_array_equal(local.run(noise(seed), deadline), answer)
    assert server.connections <= 8


def test_a_server_without_metadata_is_asked_for_the_manifests(
    local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """The protocol lets it; the input's name must then be in the manifest."""
    server.inputs = server.outputs = None
    silent = RemoteModel(described(local, server.url))
    with pytest.raises(ModelError, match=r"input\.name must say"):
        silent.check()
    named_input = {**local.manifest.input.model_dump(), "name": "photo"}
    index = 1 if server.binary else 0  # the server's own order, when no output is named
    output = {**local.manifest.output.model_dump(), "index": index}
    named = RemoteModel(described(local, server.url, input=named_input, output=output))
    np.testing.assert_array_equal(local.run(noise(), deadline), named.run(noise(), deadline))
    silent.close()
    named.close()


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 301])
def test_a_server_in_trouble_is_waited_for(
    status: int, remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """Whether it is overloaded or set up wrongly: no photo is at fault."""
    server.status, server.headers = status, {"Retry-After": "7"}
    with pytest.raises(EngineUnavailable, match="the server's own words") as raised:
        remote.run(noise(), deadline)
    assert f"model 'trivial' at http://127.0.0.1:{server.port}: {status}" in str(raised.value)
    assert raised.value.retry_after == "7"


def test_a_tensor_that_the_server_refuses_is_the_models_error(
    remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """With the server's words, where it takes a tensor without a photo."""
    server.refuses = lambda tensor: bool(tensor.any())
    with pytest.raises(ModelError, match="refuses: 400 the server's own words"):
        remote.run(noise(), deadline)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_server_that_refuses_every_tensor_is_waited_for(
    status: int, remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """It serves another model, or has none: no photo is at fault."""
    server.status = status
    with pytest.raises(EngineUnavailable, match="the server's own words"):
        remote.run(noise(), deadline)


@pytest.mark.parametrize("fault", ["half", "page", "drop", "short"])
def test_an_answer_that_is_none_is_waited_for(
    fault: ServerFault, remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """Half of one, a proxy's page, nothing at all, or too few numbers."""
    remote.run(noise(), deadline)
    server.fault = fault
    with pytest.raises(EngineUnavailable):
        remote.run(noise(), deadline)
    server.fault = ""
    remote.run(noise(), deadline)


@pytest.mark.parametrize(
    "answer",
    [b"[]", b"{}", b'{"outputs": [3]}', b'{"outputs": null}', b'{"outputs": [{}]}', b"\xff"],
)
def test_no_answer_is_taken_for_an_error_of_ours(answer: bytes) -> None:
    """Whatever a server sends is read, or is refused as not the protocol's."""
    with pytest.raises(ValueError, match="isn't the protocol's"):
        read_response({}, answer, fetch="logits", index=0)


def test_an_endless_answer_is_not_read(
    remote: RemoteModel, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at the bound."""
    monkeypatch.setattr(http_client, "MAX_RESPONSE_BYTES", 1000)
    remote.metadata(deadline)
    with pytest.raises(EngineUnavailable, match="longer than"):
        remote.run(noise(), deadline)


def test_a_closed_port_is_waited_for_and_a_restart_is_noticed(
    remote: RemoteModel, local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """Nothing is remembered of a server that was away: it may serve another model now."""
    remote.run(noise(), deadline)
    server.stop()
    with pytest.raises(EngineUnavailable, match="refused"):
        remote.run(noise(), deadline)
    with pytest.raises(EngineUnavailable):
        remote.check()
    server.start()
    remote.check()
    np.testing.assert_array_equal(local.run(noise(), deadline), remote.run(noise(), deadline))


def test_a_kept_connection_that_the_server_closed_is_no_outage(
    remote: RemoteModel, server: V2Server, deadline: Deadline
) -> None:
    """The question is asked again on a new one."""
    remote.run(noise(), deadline)
    server.stop()
    server.start()
    remote.run(noise(), deadline)
    assert server.connections == 2


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_photo_that_takes_too_long_is_at_fault_where_the_server_is_well(
    fault: ServerFault, remote: RemoteModel, server: V2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked in the last part of the time."""
    monkeypatch.setattr("segmentation.remote.remote_model._TIME_SHARE", 0.1)
    server.fault = fault
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        remote.run(noise(), Deadline(1))
    assert time.monotonic() - began < 5


def test_a_server_that_answers_nothing_at_all_is_waited_for(
    remote: RemoteModel, server: V2Server
) -> None:
    """Frozen, its port still takes connections; the photo isn't at fault."""
    remote.run(noise(), Deadline(60))
    server.fault = "frozen"
    with pytest.raises(EngineUnavailable, match="no answer"):
        remote.run(noise(), Deadline(1))


def test_a_photo_that_runs_out_of_time_just_when_the_server_is_back_is_not_at_fault(
    remote: RemoteModel, server: V2Server
) -> None:
    """Another photo's request has shown that the server was away meanwhile; a later one is."""
    remote.run(noise(), Deadline(60))
    server.fault = "frozen"
    with ThreadPoolExecutor(1) as thread:
        overlapping = thread.submit(remote.run, noise(), Deadline(3))
        with pytest.raises(EngineUnavailable, match="no answer"):
            remote.run(noise(), Deadline(1))
        server.fault = "hang"  # it is ready, and doesn't answer this
        with pytest.raises(EngineUnavailable, match="no answer"):
            overlapping.result()
    with pytest.raises(DeadlineExceeded):
        remote.run(noise(), Deadline(1))


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_deadline_that_expires_ends_the_question(
    fault: ServerFault, remote: RemoteModel, server: V2Server
) -> None:
    """From another thread, before the answer's head and in the middle of its body."""
    remote.run(noise(), Deadline(60))
    server.fault = fault
    deadline = Deadline(60)
    began = time.monotonic()
    timer = Timer(0.3, deadline.expire)
    timer.start()
    with pytest.raises(DeadlineExceeded):
        remote.run(noise(), deadline)
    assert time.monotonic() - began < 10
    timer.join()


def test_a_model_that_is_not_as_described_is_named(
    local: Engine, server: V2Server, deadline: Deadline
) -> None:
    """A start ends with it; a run waits, for no photo is at fault."""
    server.inputs = [{"name": "photo", "datatype": "FP32", "shape": [1, 3, 32, 32]}]
    remote = RemoteModel(described(local, server.url))
    with pytest.raises(ModelError, match="input is 16 high and 16 wide, but it takes"):
        remote.check()
    with pytest.raises(EngineUnavailable, match="isn't what its manifest says"):
        remote.run(noise(), deadline)
    with pytest.raises(ModelError, match="isn't what its manifest says"):
        remote.check()
    server.inputs = [{"name": "photo", "datatype": "FP32", "shape": [1, 3, 16, 16]}]
    remote.check()  # asks anew
    remote.run(noise(), deadline)
    remote.close()
