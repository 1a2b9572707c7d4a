"""The view's tables, and the states of their rows."""

from enum import IntEnum

VERSION = 2
"""A file with another version is rebuilt. Change it with every change of a table or its meaning."""


class Shown(IntEnum):
    """The state in which a record is shown. The values are stored."""

    QUEUED = 0
    PROCESSING = 1
    RETRYING = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the record."""
        return self >= Shown.COMPLETED


RECORD_COLUMNS = (
    "offset",
    "seq",
    "shown",
    "settled",
    "batched",
    "counted",
    "job_id",
    "user_id",
    "batch_id",
    "batch_index",
    "record_ms",
    "submitted_ms",
    "begun_ms",
    "ended_ms",
    "attempt",
    "event_offset",
    "idempotency_key",
)

BATCH_COLUMNS = (
    "batch_id",
    "seq",
    "shown",
    "size",
    "missing",
    "first_ms",
    "last_ms",
    "submitted_ms",
    "begun_ms",
    "ended_ms",
    *(state.name.lower() for state in Shown),
)

TABLES = """
-- What the file was made of, and how far: one row.
CREATE TABLE view (
    identity TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    settled_through INTEGER NOT NULL,  -- no record up to this offset waits any more
    last_settled_ms INTEGER            -- when the line last settled something, by Kafka's clock
);

CREATE TABLE positions (topic TEXT PRIMARY KEY, next_offset INTEGER NOT NULL) WITHOUT ROWID;

-- A record of the jobs topic. The columns that change are small, so that a change is cheap.
CREATE TABLE records (
    offset INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,        -- counts the records without gaps, as offsets don't
    shown INTEGER NOT NULL,      -- Shown
    settled INTEGER NOT NULL,    -- 1: the line has ended it. 0: its end, if shown, is foreseen
    batched INTEGER NOT NULL,    -- 1: it belongs to a batch
    counted INTEGER NOT NULL,    -- 1: it is the latest record of its index in its batch
    job_id TEXT NOT NULL,
    user_id TEXT,
    batch_id TEXT,
    batch_index INTEGER,
    record_ms INTEGER NOT NULL,
    submitted_ms INTEGER,
    begun_ms INTEGER,
    ended_ms INTEGER,
    attempt INTEGER NOT NULL,
    event_offset INTEGER,        -- of the latest event
    idempotency_key TEXT
);
CREATE INDEX records_by_job ON records (job_id, offset);
CREATE INDEX records_by_state ON records (shown, batched, seq);
CREATE INDEX records_by_time ON records (record_ms);
CREATE INDEX records_by_batch ON records (batch_id, batch_index) WHERE batch_id IS NOT NULL;
CREATE INDEX records_by_key ON records (idempotency_key, user_id)
    WHERE idempotency_key IS NOT NULL;

-- The texts of a record, apart from what changes: what the job says, and its last telling event.
CREATE TABLE jobs (offset INTEGER PRIMARY KEY, job TEXT NOT NULL);
CREATE TABLE events (offset INTEGER PRIMARY KEY, event TEXT NOT NULL);

CREATE TABLE batches (
    batch_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,        -- of its first record
    shown INTEGER NOT NULL,
    size INTEGER NOT NULL,
    missing INTEGER NOT NULL,    -- records that never came
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    submitted_ms INTEGER,
    begun_ms INTEGER,
    ended_ms INTEGER,
    queued INTEGER NOT NULL,     -- so many of its indexes are in this state, and so on
    processing INTEGER NOT NULL,
    retrying INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX batches_by_state ON batches (shown, seq);
CREATE INDEX batches_by_time ON batches (last_ms);

CREATE TABLE cancels (
    job_id TEXT PRIMARY KEY,
    before_offset INTEGER NOT NULL,
    requested_ms INTEGER NOT NULL,
    record_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- How many there are in each state: of single records, records of batches, and batches.
CREATE TABLE totals (
    kind TEXT, shown INTEGER, n INTEGER NOT NULL, PRIMARY KEY (kind, shown)
) WITHOUT ROWID;

-- Counts in buckets, and in buckets of buckets: see tally.py.
CREATE TABLE tallies (
    kind TEXT, level INTEGER, bucket INTEGER, n INTEGER NOT NULL,
    PRIMARY KEY (kind, level, bucket)
) WITHOUT ROWID;
"""
