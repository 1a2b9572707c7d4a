"""Facts that stand in two packages, because one may not import the other, are equal."""

import re
from pathlib import Path
from typing import get_args

from PIL import Image

from consumer.job.post import make_request
from consumer.settings import ImageSettings, KafkaSettings
from producer_tools.local.demo import photos
from producer_tools.local.mask_asset.multipart import read_form
from schemas import examples
from schemas.callback import FIELDS, FILE_TYPE, file_name
from schemas.job import OUTPUTS, OutputName
from schemas.status import ERROR_CODES, STATES, TERMINAL_STATES
from schemas.topics import CONSUMER_GROUP, topic_specs
from segmentation import errors
from segmentation.catalog.catalog import DEFAULT
from segmentation.model import manifest
from segmentation.model.tensor_spec import NUMPY_TYPES
from segmentation.remote.open_inference import DATATYPES

DOCS = Path(__file__).parents[2] / "docs"


def test_manifests_and_jobs_name_the_same_outputs() -> None:
    assert get_args(OutputName) == get_args(manifest.OutputName)


def test_every_error_of_a_photo_has_a_code_of_the_contract() -> None:
    assert set(get_args(errors.SegmentationErrorCode)) <= set(ERROR_CODES)


def test_every_code_of_a_photo_has_an_error() -> None:
    codes = [error.code for error in errors.SegmentationError.__subclasses__()]
    assert sorted(codes) == sorted(get_args(errors.SegmentationErrorCode))


def test_a_server_is_fed_what_a_session_is_fed() -> None:
    assert set(DATATYPES.values()) == set(NUMPY_TYPES)


def test_the_default_group_is_the_one_in_the_asyncapi_document() -> None:
    assert CONSUMER_GROUP == KafkaSettings.model_fields["consumer_group"].default


def test_the_default_topics_are_those_of_the_contract() -> None:
    for spec in topic_specs():
        assert spec.name == KafkaSettings.model_fields[f"{spec.role}_topic"].default


def test_the_examples_name_the_default_model() -> None:
    assert DEFAULT == examples.COMPLETED["model"]["name"]


def test_terminal_states_are_states() -> None:
    assert set(STATES) > TERMINAL_STATES


def test_the_demo_takes_photos_of_the_default_formats() -> None:
    extensions = Image.registered_extensions()
    formats = {extensions[suffix] for suffix in photos.SUFFIXES}
    assert formats == set(ImageSettings().image_formats)


def test_the_local_service_reads_the_form_that_the_consumer_sends() -> None:
    fields = {name: f"the {name}" for name in FIELDS}
    files: dict[str, bytes] = {output: output.encode() for output in OUTPUTS}
    request = make_request("http://localhost", headers={}, fields=fields, files=files)
    body = request.content
    form = read_form(request.headers["content-type"], body)
    assert (fields, files) == (form.fields, form.files)
    for output in OUTPUTS:
        assert f'filename="{file_name(output)}"\r\nContent-Type: {FILE_TYPE}'.encode() in body


def test_the_docs_of_models_name_outputs_that_there_are() -> None:
    named = re.findall(r"`(\w+_mask|seg_map|cutout)`", (DOCS / "models.md").read_text())
    assert named
    assert set(named) <= set(OUTPUTS)
