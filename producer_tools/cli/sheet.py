"""The contact sheet of a submission: its photos and their masks, read back from S3."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from consumer.settings import ImageSettings, S3Settings, load
from producer_tools.cli.output import print_message
from producer_tools.cli.submission import Sending
from producer_tools.client.uploads import Uploads
from producer_tools.contact_sheet import Tile, contact_sheet
from producer_tools.errors import PhotoError, ServiceError
from schemas.job import ImageReference

MAX_ON_SHEET = 60
_AT_ONCE = 4


async def draw_sheet(file: Path, sendings: Sequence[Sending]) -> None:
    """Draw the first photos with their masks, and say how many are on the sheet.

    Raises:
        PhotoError: The sheet can't be written.
    """
    shown = sendings[:MAX_ON_SHEET]
    async with Uploads(load(S3Settings), at_once=_AT_ONCE) as s3:
        tiles = await asyncio.gather(*(_tile(s3, sending) for sending in shown))
    try:
        await asyncio.to_thread(contact_sheet, tiles, file)
    except OSError as error:
        raise PhotoError(f"--sheet {file}: {error.strerror or error}") from error
    print_message(f"{file} shows {len(shown)} of {len(sendings)} photos")


async def _tile(s3: Uploads, sending: Sending) -> Tile:
    result = sending.event.result if sending.event else None
    error = sending.error
    masks: dict[str, bytes] = {}
    photo = b""
    limit = load(ImageSettings).max_image_bytes
    try:
        given = sending.given.photo
        if isinstance(given, Path):
            photo = await asyncio.to_thread(given.read_bytes)
        else:
            photo = await s3.get(given, max_bytes=limit)
        for output, key in (result.stored_keys if result else {}).items():
            masks[output] = await s3.get(ImageReference.parse(key), max_bytes=limit)
    except (ServiceError, OSError, ValueError) as fault:  # a key may be of any form
        error = error or f"can't be read: {fault}"
    return Tile(
        name=sending.given.name,
        photo=photo,
        state=sending.state or "",
        masks=masks,
        coverage=result.coverage if result else {},
        error=error,
    )
