"""A real Prometheus that scrapes consumers and evaluates the alerts, once for each line."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from producer_tools.local import ports
from producer_tools.local.child import Child

ALERTS = Path(__file__).parents[2] / "helm/maskline/files/alerts.yaml"
OWN_JOB = "maskline"
"""The name of the scrape job in the files of alerts and of the dashboard."""

_CONFIG = """
global: {scrape_interval: 15s, evaluation_interval: 15s}
rule_files: [rules/*.yaml]
scrape_configs:
  - job_name: lines
    file_sd_configs: [{files: [targets/*.json], refresh_interval: 5s}]
"""


class Prometheus(Child):
    """The server, as Debian packages it; targets and rules are files in its folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` is kept: it has the data, and what is asked of it later."""
        if shutil.which("prometheus") is None:
            raise FileNotFoundError("there is no `prometheus`: apt install prometheus")
        for name in ("targets", "rules"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(_CONFIG)
        self._folder = folder
        port = ports.choose("Prometheus", setting="none")
        self.url = f"http://{ports.HOST}:{port}"
        super().__init__(
            "prometheus",
            (
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={ports.HOST}:{port}",
                "--web.enable-lifecycle",
            ),
            log=folder / "prometheus.log",
        )
        self.wait_until(self._is_ready, seconds=60)

    def add_rules(self, job: str) -> None:
        """Evaluate the alerts for the line of this job, too."""
        rules = ALERTS.read_text().replace(f'job="{OWN_JOB}"', f'job="{job}"')
        rules = rules.replace(f"- name: {OWN_JOB}", f"- name: {job}")
        (self._folder / "rules" / f"{job}.yaml").write_text(rules)
        httpx.post(f"{self.url}/-/reload", timeout=30).raise_for_status()

    def scrape(self, job: str, *addresses: str) -> None:
        """Scrape these addresses of the job from now on, and no others."""
        targets = [{"targets": addresses, "labels": {"job": job}}]
        file = self._folder / "targets" / f"{job}.json"
        file.with_suffix(".new").write_text(json.dumps(targets))
        file.with_suffix(".new").rename(file)

    async def firing(self, job: str) -> set[str]:
        """Give the names of the alerts that fire for the job now."""
        alerts = (await self._get("alerts", {}))["alerts"]
        return {
            alert["labels"]["alertname"]
            for alert in alerts
            if alert["state"] == "firing" and alert["labels"].get("job") == job
        }

    async def query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """Give the samples of an expression, now or at a time."""
        asked = {"query": expression, **({} if at is None else {"time": str(at)})}
        result: list[dict[str, Any]] = (await self._get("query", asked))["result"]
        return result

    async def query_range(
        self, expression: str, *, begin: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """Give the series of an expression between two times."""
        asked = {"query": expression, "start": str(begin), "end": str(end), "step": str(step)}
        result: list[dict[str, Any]] = (await self._get("query_range", asked))["result"]
        return result

    async def _get(self, what: str, asked: Mapping[str, str]) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.get(f"{self.url}/api/v1/{what}", params=dict(asked))
        body = answer.json()
        if body["status"] != "success":
            raise ValueError(f"{asked.get('query')}: {body.get('error')}")
        data: dict[str, Any] = body["data"]
        return data

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).is_success
        except httpx.HTTPError:
            return False
