"""Posts to MASK_ASSET_URL are signed so that Standard Webhooks' own libraries can check them."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from consumer.errors import StartError
from consumer.settings import CallbackSettings, load
from tests.support.opened_callback import SECRET, open_callback
from tests.support.receiver import Receiver, Seen, reply

OLD, NEW = (f"whsec_{base64.b64encode(bytes([byte]) * 32).decode()}" for byte in (1, 2))
PAGE = (Path(__file__).parents[3] / "docs/callbacks.md").read_text()


def _code(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


@pytest.fixture
def check() -> Any:
    """The check of docs/callbacks.md, as it stands there."""
    names: dict[str, Any] = {}
    exec(_code("python"), names)  # noqa: S102 - our own page
    return names["check"]


async def _signed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, secret: str, **fields: Any
) -> Seen:
    """Post one job's masks, and return the last request."""
    async with open_callback(
        monkeypatch,
        f"{receiver.origin}/masks",
        callback_signing_secret=secret,
        callback_allowed_origins=receiver.origin,
    ) as opened:
        await opened.post(**fields)
    return receiver.requests[-1]


def _headers(request: Seen) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


async def test_the_check_of_the_page_takes_what_was_signed_and_nothing_else(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, check: Any
) -> None:
    request = await _signed(receiver, monkeypatch, OLD)
    headers = _headers(request)
    check(OLD, headers, request.body)
    for wrong in (
        (NEW, headers, request.body),
        (OLD, headers, request.body + b" "),
        (OLD, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
         request.body),
        (OLD, headers | {"webhook-id": "another"}, request.body),
    ):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            check(*wrong)


async def test_each_of_two_secrets_checks_while_one_replaces_the_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, check: Any
) -> None:
    request = await _signed(receiver, monkeypatch, f"{NEW}, {OLD}")
    check(OLD, _headers(request), request.body)
    check(NEW, _headers(request), request.body)


async def test_a_retry_has_the_same_id_and_a_time_of_its_own(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, check: Any
) -> None:
    """A receiver refuses a signature that is five minutes old: a retry may be much later."""
    times = iter((1_000_000_000, 1_000_000_600))
    clock = SimpleNamespace(time=lambda: next(times))
    monkeypatch.setattr("consumer.job.callback.time", clock)
    receiver.answers.append(reply(503))
    await _signed(receiver, monkeypatch, OLD)
    first, second = map(_headers, receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert hashlib.sha256(first["idempotency-key"].encode()).hexdigest() == first["webhook-id"]
    assert ["1000000000", "1000000600"] == [one["webhook-timestamp"] for one in (first, second)]
    assert first["webhook-signature"] != second["webhook-signature"]


async def test_only_mask_asset_url_gets_signatures_and_only_with_a_secret(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await _signed(receiver, monkeypatch, OLD, callback_url=f"{receiver.origin}/mine")
    unsigned = await _signed(receiver, monkeypatch, "")
    assert not [name for name in (*_headers(other), *_headers(unsigned)) if "webhook" in name]


@pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are not installed")
async def test_the_check_for_node_agrees(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request = await _signed(receiver, monkeypatch, OLD)
    (tmp_path / "body").write_bytes(request.body)
    (tmp_path / "check.cjs").write_text(
        _code("javascript")
        + f"""
const body = require("node:fs").readFileSync("body");
const headers = {json.dumps(_headers(request))};
check("{OLD}", headers, body);
let refused = 0;
for (const [secret, text] of [["{NEW}", body], ["{OLD}", Buffer.concat([body, body])]])
  try {{ check(secret, headers, text); }} catch {{ refused += 1; }}
process.exit(refused === 2 ? 0 : 1);
"""
    )
    for command in (
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "standardwebhooks@1.0.0"],
        ["node", "check.cjs"],
    ):
        ran = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert 0 == ran.returncode, ran.stderr


@pytest.mark.parametrize(
    "secret",
    ["x", "whsec_", "whsec_" + "A" * 28, "whsec_not base64!", f"{OLD},", f"{OLD},{NEW},{OLD}"],
)
def test_a_secret_that_is_none_is_refused_at_start(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MASK_ASSET_URL": "http://localhost/masks",
        "MASK_COMPONENT_SECRET": SECRET,
        "CALLBACK_SIGNING_SECRET": secret,
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartError) as raised:
        load(CallbackSettings)
    assert 2 == raised.value.exit_code
    assert str(raised.value).startswith("CALLBACK_SIGNING_SECRET ")
    assert secret not in str(raised.value) or secret in ("x", "whsec_")


def test_a_secret_fits_standard_webhooks_own_library() -> None:
    """Both forms of a secret that we take, with and without the prefix, are the library's."""
    Webhook(OLD)
    Webhook(OLD.removeprefix("whsec_"))
