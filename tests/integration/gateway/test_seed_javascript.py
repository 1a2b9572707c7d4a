"""Seed 2's JavaScript in Chromium, from a page of another origin."""

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_line import PAGE_PORT, PHOTO, Line

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EXAMPLE = Path(__file__).with_name("examples") / "seed2_frontend.js.txt"
SECONDS = 60

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="seed 2's JavaScript needs chromium"),
]

# The example's own functions, and a page around them.
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
try {
  const photo = await (await fetch('/photo.jpg')).blob();
  const selectedFiles = [1, 2].map(n => new File([photo], `image${n}.jpg`));
  const seen = [];
  const updateProgressBar = share => seen.push(share);
  const updateStatusText = text => seen.push(text);
  EXAMPLE
  await fetch('/outcome', {method: 'POST', body: JSON.stringify({seen, job: jobId})});
} catch (error) {
  await fetch('/outcome', {method: 'POST', body: JSON.stringify({error: String(error)})});
}
</script>"""


@pytest.fixture
def outcomes(running: Line) -> Iterator["queue.Queue[dict[str, Any]]"]:
    """A server of another origin with the page, and what the page reports."""
    reported: queue.Queue[dict[str, Any]] = queue.Queue()
    example = EXAMPLE.read_text().replace("http://localhost:5000", running.url)
    files = {
        "/": ("text/html", PAGE.replace("EXAMPLE", example).encode()),
        "/photo.jpg": ("image/jpeg", PHOTO),
    }

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            reported.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", PAGE_PORT), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield reported
        server.shutdown()
        thread.join()


def test_a_page_of_another_origin_submits_and_polls(
    running: Line, outcomes: "queue.Queue[dict[str, Any]]", tmp_path: Path
) -> None:
    """Both images are done, and the page has seen it."""
    browser = subprocess.Popen(
        [
            str(CHROMIUM),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path}",
            f"http://localhost:{PAGE_PORT}/",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        outcome = outcomes.get(timeout=SECONDS)
    finally:
        browser.terminate()
        browser.wait(20)
    assert outcome.get("error") is None
    assert outcome["seen"][-2:] == [1, "completed"]
    with running.client() as client:
        job = client.get(f"/queue/job/{outcome['job']}").json()
    assert (job["filenames"], job["model"]) == (["image1.jpg", "image2.jpg"], "u2net")
