"""The errors of the tools. Each message says what is wrong, where, and what to do.

::

    ToolError              a tool can't do what it was asked to do
    ├── ServiceError       Kafka or S3 can't be reached, or refuses us
    ├── InvalidJobError    the job doesn't fit the schema, so the line couldn't read it
    ├── PhotoError         a photo's file can't be read
    ├── SelectionError     the records that were named can't be repeated
    └── ViewError          the view's file can't be used
        └── DiskFullError  there is no room for it
"""


class ToolError(Exception):
    """A tool can't do what it was asked to do. The message says why, and what to do."""

    exit_code = 3
    """The exit code of a command that ends with this error."""


class ServiceError(ToolError):
    """Kafka or S3 can't be reached, or refuses us."""


class InvalidJobError(ToolError):
    """The job doesn't fit the schema, so the line couldn't read it. Nothing was sent."""

    exit_code = 2


class PhotoError(ToolError):
    """A photo's file can't be read."""

    exit_code = 2


class SelectionError(ToolError):
    """The records that were named can't be repeated. Nothing was written."""

    exit_code = 2


class ViewError(ToolError):
    """The view's file can't be used."""


class DiskFullError(ViewError):
    """There is no room for the view's file."""
