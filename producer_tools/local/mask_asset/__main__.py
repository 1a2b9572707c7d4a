"""Runs the mask-asset service: `python -m producer_tools.local.mask_asset PORT BUCKET`.

Environment variables: MASK_COMPONENT_SECRET is required. S3_ENDPOINT_URL is the S3 server that
stores the masks; without it, the latest masks are kept in memory. MISBEHAVIOUR is a JSON list of
misbehaviours that are active from the start.
"""

import os
import sys

import uvicorn

from producer_tools.local.mask_asset.misbehaviour import MISBEHAVIOUR_LIST
from producer_tools.local.mask_asset.service import MaskAssetService
from producer_tools.local.mask_asset.store import LatestMasks, MaskStore, S3Masks
from producer_tools.local.ports import HOST
from producer_tools.local.s3.process import s3_client

_S3_THREADS = 4
_REMEMBERED = 50_000
_MASKS_IN_MEMORY = 200


def _store(s3_endpoint_url: str, bucket: str) -> MaskStore:
    if not s3_endpoint_url:
        return LatestMasks(_MASKS_IN_MEMORY)
    client = s3_client(s3_endpoint_url, connections=_S3_THREADS)
    return S3Masks(client, bucket, threads=_S3_THREADS)


def main() -> None:
    """Serve until SIGTERM."""
    port, bucket = int(sys.argv[1]), sys.argv[2]
    service = MaskAssetService(
        store=_store(os.environ.get("S3_ENDPOINT_URL", ""), bucket),
        bucket=bucket,
        secret=os.environ["MASK_COMPONENT_SECRET"],
        remembered=_REMEMBERED,
        misbehaviours=MISBEHAVIOUR_LIST.validate_json(os.environ.get("MISBEHAVIOUR", "[]")),
    )
    uvicorn.run(
        service.app(),
        host=HOST,
        port=port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
