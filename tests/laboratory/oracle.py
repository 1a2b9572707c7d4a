"""The oracle: from what a run left behind, whether the promise of docs/reliability.md was kept.

Each check is a sentence and a function that yields what contradicts it. The oracle imports nothing
of the product: what it holds the product against is written here a second time.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.laboratory.evidence import Event, Evidence, Upload
from tests.support.topics import Header, TopicRecord

Check = Callable[[Evidence], Iterator[str]]

ADDED = (
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.stage",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
    "mask-error-code",
    "mask-failed-at",
)
OMITTED = "mask-value-omitted"
KEY_FITS = 1_000_000
"""A status event bears a key of so many bytes for certain; a longer one may be left out."""
# The checks, as verdicts and recorded runs name them.
ONE_EVENT = "every record has exactly one terminal event"
ORDER = "terminal events come in offset order"
FORESEEN = "every record ends as foreseen"
LETTERS = "failed records, and only they, have a dead letter, just one"
AS_ARRIVED = "dead letters are the record as it arrived, with code and source"
TOGETHER = "no terminal event without its offset, no offset without its event"
NOTHING_WAITS = "nothing waits at the end"
NEVER_FALLS = "the committed offset never falls"
ONE_KEY = "every upload bears its record's one Idempotency-Key"
UPLOADED = "every completed job was uploaded"
STARTS = "within one ownership, fetches and segmentations begin in offset order"
ANNOUNCED = "processing events come first, and in offset order"
OWNERSHIPS = "every ownership begins where settled records end"
CARRIED = "events carry their record's key and traceparent"

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)")
_TRACE = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check and what contradicts it; nothing, if it holds."""

    check: str
    against: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts it."""
        return not self.against

    def __str__(self) -> str:
        """Name the check, and the first few contradictions."""
        lines = [f"{'holds' if self.holds else 'FAILS':>7}  {self.check}"]
        lines += [f"           {one}" for one in self.against[:_SHOWN]]
        if len(self.against) > _SHOWN:
            lines.append(f"           … and {len(self.against) - _SHOWN} more")
        return "\n".join(lines)


def judge(evidence: Evidence) -> list[Verdict]:
    """Hold all checks against the evidence."""
    return [Verdict(name, tuple(check(evidence))) for name, check in CHECKS.items()]


def one_terminal_event(evidence: Evidence) -> Iterator[str]:
    """Count terminal events by record, garbage and tombstones included."""
    counts = Counter(event.offset for event in evidence.terminal)
    for job in evidence.jobs:
        if counts[job.offset] != 1:
            yield f"offset {job.offset} has {counts[job.offset]} terminal events"
    for offset in sorted(set(counts) - {job.offset for job in evidence.jobs}):
        yield f"a terminal event is of offset {offset}, where there is no record"


def in_offset_order(evidence: Evidence) -> Iterator[str]:
    """Compare the order of first terminal events with that of offsets."""
    firsts = list(dict.fromkeys(event.offset for event in evidence.terminal))
    yield from _falls(firsts, "the terminal event of offset {later} comes after that of {earlier}")


def as_foreseen(evidence: Evidence) -> Iterator[str]:
    """Compare each end with the one that the workload foresaw."""
    for event in evidence.terminal:
        wanted = evidence.foreseen.get(event.offset)
        if wanted and (event.state, event.code) != (wanted.state, wanted.code):
            got = f"{event.state} {event.code or ''}".strip()
            yield f"offset {event.offset} is {got}, not {wanted.state} {wanted.code or ''}".strip()


def dead_letter_if_failed(evidence: Evidence) -> Iterator[str]:
    """Count dead letters by the record that they name."""
    failed = {event.offset for event in evidence.terminal if event.state == "failed"}
    counts = Counter(_named_offset(letter) for letter in evidence.dead_letters)
    for offset in sorted(failed):
        if counts[offset] != 1:
            yield f"offset {offset} has failed and has {counts[offset]} dead letters"
    for named, count in counts.items():
        if named not in failed:
            yield f"{count} dead letters are of offset {named}, which has not failed"


def dead_letter_as_arrived(evidence: Evidence) -> Iterator[str]:
    """Compare each dead letter with its record and its event."""
    jobs = {job.offset: job for job in evidence.jobs}
    codes = {event.offset: event.code for event in evidence.terminal}
    for letter in evidence.dead_letters:
        offset = _named_offset(letter)
        if offset in jobs and evidence.read(jobs[offset]):
            wrong = _wrong_letter(letter, jobs[offset], codes.get(offset), evidence.topic)
            yield from (f"the dead letter of offset {offset} {what}" for what in wrong)


def event_and_offset_together(evidence: Evidence) -> Iterator[str]:
    """Look for records on the wrong side of the committed offset."""
    ended = {event.offset for event in evidence.terminal}
    offset = evidence.offset or 0
    for job in evidence.jobs:
        if job.offset < offset and job.offset not in ended:
            yield f"offset {job.offset} lies before the committed {offset} and has not ended"
        elif job.offset >= offset and job.offset in ended:
            yield f"offset {job.offset} has ended and lies not before the committed {offset}"
    if ended and offset != max(ended) + 1:
        yield f"the committed offset is {offset}, the last terminal event is of {max(ended)}"


def nothing_waits(evidence: Evidence) -> Iterator[str]:
    """Count records at and after the committed offset (transactions leave gaps in offsets)."""
    offset = evidence.offset or 0
    waiting = [job.offset for job in evidence.jobs if job.offset >= offset]
    if waiting:
        yield f"{len(waiting)} records wait from offset {waiting[0]} on"
    if offset > evidence.end:
        yield f"the committed offset {offset} lies after the topic's end {evidence.end}"


def offset_never_falls(evidence: Evidence) -> Iterator[str]:
    """Compare what was sampled during the run."""
    final = [] if evidence.offset is None else [evidence.offset]
    for earlier, later in itertools.pairwise([*evidence.samples, *final]):
        if later < earlier:
            yield f"the committed offset fell from {earlier} to {later}"


def one_key_a_record(evidence: Evidence) -> Iterator[str]:
    """Hold each upload's Idempotency-Key against the records that its job has."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for key, job in _keys(evidence).items():
        keys[str(job.json().get("job_id"))].add(key)
    for upload in evidence.uploads:
        # Where the service refused us before it read the form, the key alone must do.
        known = keys[upload.job_id] if upload.job_id else set[str]().union(*keys.values())
        if upload.key not in known:
            yield f"job {upload.job_id} was uploaded with the key {upload.key!r}"


def completed_is_uploaded(evidence: Evidence) -> Iterator[str]:
    """Look for the upload that the service took, with the user and trace of the job."""
    taken: dict[str | None, Upload] = {
        upload.key: upload for upload in evidence.uploads if 200 <= upload.status < 300
    }
    completed = {event.offset for event in evidence.terminal if event.state == "completed"}
    for key, job in _keys(evidence).items():
        if job.offset not in completed:
            continue
        upload = taken.get(key)
        if upload is None:
            yield f"offset {job.offset} is completed and was never uploaded"
        elif upload.user_id != job.json().get("user_id"):
            yield f"offset {job.offset} was uploaded for user {upload.user_id}"
        elif _trace(job) not in (None, (upload.trace or "").encode()):
            yield f"offset {job.offset} was uploaded with the traceparent {upload.trace}"


def starts_in_order(evidence: Evidence) -> Iterator[str]:
    """Follow what each owner began."""
    for ownership in evidence.ownerships:
        who = f"{ownership.owner} from {ownership.first}:"
        began = {"fetch": ownership.fetches, "segmentation": ownership.segmentations}
        for what, offsets in began.items():
            words = f"{who} the {what} of offset {{later}} began after that of {{earlier}}"
            yield from _falls([ownership.first - 1, *offsets], words)


def announced_in_order(evidence: Evidence) -> Iterator[str]:
    """Follow the first `processing` event of each record, and that it comes before the end."""
    announced: dict[int, int] = {}
    for event in evidence.uncommitted:
        if event.state == "processing":
            announced.setdefault(event.offset, event.position)
    words = "the first processing event of offset {later} comes after that of {earlier}"
    yield from _falls(list(announced), words)
    for event in evidence.terminal:
        began = announced.get(event.offset)
        if event.state == "completed" and (began is None or began > event.position):
            yield f"offset {event.offset} has ended with no processing event before"


def ownerships_follow_on(evidence: Evidence) -> Iterator[str]:
    """Look for owners that began where no settled record ends."""
    offsets = [job.offset for job in evidence.jobs]
    ends = {0, *(event.offset + 1 for event in evidence.terminal)}
    for ownership in evidence.ownerships:
        if ownership.first not in ends and ownership.first != min(offsets, default=0):
            yield f"{ownership.owner} began at {ownership.first}, where no settled record ends"


def carried_on(evidence: Evidence) -> Iterator[str]:
    """Compare each event's key and traceparent with its record's."""
    jobs = {job.offset: job for job in evidence.jobs}
    for event in evidence.committed:
        job = jobs.get(event.offset)
        if job is not None and evidence.read(job):
            yield from _not_carried(event, job)


CHECKS: dict[str, Check] = {
    ONE_EVENT: one_terminal_event,
    ORDER: in_offset_order,
    FORESEEN: as_foreseen,
    LETTERS: dead_letter_if_failed,
    AS_ARRIVED: dead_letter_as_arrived,
    TOGETHER: event_and_offset_together,
    NOTHING_WAITS: nothing_waits,
    NEVER_FALLS: offset_never_falls,
    ONE_KEY: one_key_a_record,
    UPLOADED: completed_is_uploaded,
    STARTS: starts_in_order,
    ANNOUNCED: announced_in_order,
    OWNERSHIPS: ownerships_follow_on,
    CARRIED: carried_on,
}


def _falls(offsets: Sequence[int], words: str) -> Iterator[str]:
    """Name the places where a sequence that must rise doesn't."""
    highest: int | None = None
    for offset in offsets:
        if highest is not None and offset <= highest:
            yield words.format(later=offset, earlier=highest)
        highest = offset if highest is None else max(highest, offset)


def _parts(letter: TopicRecord) -> tuple[tuple[Header, ...], tuple[Header, ...], bytes | None]:
    """Give the headers that arrived, those that every dead letter adds, and what was omitted."""
    headers, omitted = letter.headers, None
    if headers and headers[-1][0] == OMITTED:
        headers, omitted = headers[:-1], headers[-1][1]
    return headers[: -len(ADDED)], headers[-len(ADDED) :], omitted


def _named_offset(letter: TopicRecord) -> int | None:
    added = dict(_parts(letter)[1])
    digits = added.get("__connect.errors.offset") or b""
    return int(digits) if digits.isdigit() else None


def _wrong_letter(
    letter: TopicRecord, job: TopicRecord, code: str | None, topic: str
) -> Iterator[str]:
    arrived, added, omitted = _parts(letter)
    if omitted and job.value is not None:
        yield f"lacks a value of {len(job.value)} bytes, which would fit"
    elif (letter.value, letter.key, arrived) != (job.value, job.key, job.headers):
        yield "has another key, another value or other headers"
    if tuple(name for name, _ in added) != ADDED:
        yield "has not the headers of docs/messages.md"
        return
    values = {name: value or b"" for name, value in added}
    if (values["__connect.errors.topic"], values["__connect.errors.partition"]) != (
        topic.encode(),
        b"0",
    ):
        yield "names another topic or partition"
    if values["mask-error-code"] != (code or "").encode():
        yield f"has the code {values['mask-error-code']!r}, its event {code}"
    if not 0 < len(values["__connect.errors.exception.message"].decode()) <= 1000:
        yield "has no message, or one that is too long"
    if not (values["__connect.errors.stage"] and values["__connect.errors.exception.class.name"]):
        yield "doesn't name its stage or exception"
    if not _TIME.fullmatch(values["mask-failed-at"]):
        yield "has no time"


def _keys(evidence: Evidence) -> dict[str, TopicRecord]:
    """Give each record that names a job by its Idempotency-Key."""
    return {
        f"{job_id}/{evidence.topic}/0/{job.offset}": job
        for job in evidence.jobs
        if isinstance(job_id := job.json().get("job_id"), str)
    }


def _trace(job: TopicRecord) -> bytes | None:
    """Give the record's traceparent, where it has one and it is well formed."""
    found = [value for name, value in job.headers if name == "traceparent"]
    return found[0] if len(found) == 1 and found[0] and _TRACE.fullmatch(found[0]) else None


def _not_carried(event: Event, job: TopicRecord) -> Iterator[str]:
    left_out = event.key is None and len(job.key or b"") > KEY_FITS
    if event.key != job.key and not left_out:
        yield f"the {event.state} event of offset {event.offset} has the key {event.key!r}"
    if _trace(job) not in (None, event.trace):
        yield f"the {event.state} event of offset {event.offset} has lost its traceparent"
