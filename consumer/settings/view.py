"""Where the view is, and what of it is shown."""

import os
import tempfile
from pathlib import Path

from pydantic import Field

from consumer.settings.group import SettingsGroup


class ViewSettings(SettingsGroup):
    """Where the tools keep what they know of a line's jobs."""

    temp_folder: Path | None = None
    view_file: Path | None = None
    job_ttl_seconds: int = Field(3600, ge=0)

    @property
    def file(self) -> Path:
        """The view's file: `VIEW_FILE`, or one of this user's in `TEMP_FOLDER`."""
        temporary = self.temp_folder or Path(tempfile.gettempdir())
        return self.view_file or temporary / f"maskline-{os.geteuid()}" / "view.db"
