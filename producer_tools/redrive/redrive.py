"""The redrive: dead letters back onto the jobs topic, each once, whatever dies in between.

The redriven records themselves tell which letters are done: they name them in `mask-redrive-of`.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from consumer.kafka.reader import AnyRecord, UnreadableRecord
from consumer.kafka.rights import to_read
from consumer.settings import KafkaSettings, S3Settings
from producer_tools.client.copier import MOST_BYTES, MOST_RECORDS, Copier, NewRecord
from producer_tools.client.line import end_of_all, find_line
from producer_tools.client.scan import Progress, first_offset, scan
from producer_tools.redrive.letters import Letter, Wanted, read_letters
from producer_tools.redrive.photos import Photos
from producer_tools.redrive.plan import (
    NO_VALUE,
    PHOTO_GONE,
    TOO_LARGE,
    Known,
    Plan,
    plan_redrive,
)
from schemas.dead_letter import arrived_headers
from schemas.redrive import letter_name, redrive_of, redriven_headers

Show = Callable[[str], Progress]
"""Takes what is being read, and returns where to tell how far it is."""


def transactional_id(settings: KafkaSettings) -> str:
    """Return the transactional id of redrives: of two at once, the later one goes on."""
    return f"{settings.consumer_group}-redrive"


@dataclass(slots=True)
class Redrive:
    """One redrive of the line's dead letters."""

    settings: KafkaSettings
    s3: S3Settings
    wanted: Wanted
    again: bool
    show: Show
    photos: Photos

    async def plan(self) -> tuple[Plan, Known]:
        """Look at the topics as they are now.

        Raises:
            ServiceError: Kafka can't be reached, or a topic is missing.
        """
        settings = self.settings
        await find_line(settings, to_read(settings.jobs_topic, settings.dead_letter_topic))
        letters, later = await self._read_letters()
        known = await self._known(letters, later)
        plan = plan_redrive(letters, known, again=self.again, codes=self.wanted.codes)
        plan.leave_out(await self._without_value(plan))
        gone = await self.photos.gone(self.s3, [each.image for each in plan.letters if each.image])
        plan.leave_out({each.offset: PHOTO_GONE for each in plan.letters if each.image in gone})
        return plan, known

    async def run(self, copier: Copier, plan: Plan, known: Known, done: Progress) -> int:
        """Redrive what is planned, and return how many records that were.

        Raises:
            ServiceError: Kafka doesn't answer, or another redrive has begun. The same command goes
                on where this one stopped.
        """
        count, waiting, size = 0, list[NewRecord](), 0
        records = self._records(copier, plan, known)
        async with aclosing(records):
            async for record in records:
                if waiting and (len(waiting) >= MOST_RECORDS or size + record.size > MOST_BYTES):
                    await copier.append(waiting)
                    count, waiting, size = count + len(waiting), [], 0
                    done(count)
                waiting.append(record)
                size += record.size
        if waiting:
            await copier.append(waiting)
            count += len(waiting)
            done(count)
        return count

    async def _read_letters(self) -> tuple[list[Letter], frozenset[str]]:
        """Return the letters that are meant, and which letters' redriven records failed again."""
        topic = self.settings.dead_letter_topic
        end = await end_of_all(self.settings, topic)
        found: list[Letter] = []
        later: set[str] = set()
        letters = read_letters(
            self.settings,
            range(self.wanted.offsets.start, end),
            progress=self.show("dead letters"),
        )
        async with aclosing(letters):
            async for letter, _ in letters:
                if letter.redrive_of is not None:
                    later.add(letter.redrive_of)
                if self.wanted.covers(letter):
                    found.append(letter)
        return found, frozenset(later)

    async def _known(self, letters: list[Letter], later: frozenset[str]) -> Known:
        """Find the redriven records: each is behind the record whose job failed."""
        settings = self.settings
        sources = [each.source.offset for each in letters if each.source is not None]
        copies: Counter[str] = Counter()
        first = await first_offset(settings, settings.jobs_topic)
        if sources:
            end = await end_of_all(settings, settings.jobs_topic)
            records = scan(
                settings,
                settings.jobs_topic,
                range(min(min(sources) + 1, end), end),
                progress=self.show("jobs"),
            )
            async with aclosing(records):
                async for record in records:
                    letter = redrive_of(record.headers)
                    if letter is not None:
                        copies[letter] += 1
        return Known(
            topic=settings.dead_letter_topic,
            jobs_topic=settings.jobs_topic,
            first=first,
            copies=copies,
            later=later,
        )

    async def _without_value(self, plan: Plan) -> dict[int, str]:
        """Return the letters whose value is neither in them nor in the jobs topic."""
        return {
            each.offset: NO_VALUE
            for each in plan.letters
            if each.omitted is not None and await self._original(each) is None
        }

    async def _records(
        self, copier: Copier, plan: Plan, known: Known
    ) -> AsyncGenerator[NewRecord, None]:
        """Yield the records to write, in the order of their letters."""
        planned = {each.offset: each for each in plan.letters}
        if not planned:
            return
        letters = read_letters(self.settings, range(min(planned), max(planned) + 1))
        async with aclosing(letters):
            async for letter, record in letters:
                if letter.offset not in planned:
                    continue
                new = await self._new_record(letter, record, known)
                reason = NO_VALUE if new is None else TOO_LARGE
                if new is not None and await copier.fits(new):
                    yield new
                else:
                    plan.leave_out({letter.offset: reason})

    async def _new_record(
        self, letter: Letter, record: AnyRecord, known: Known
    ) -> NewRecord | None:
        headers = arrived_headers(record.headers)
        if letter.omitted is not None:
            original = await self._original(letter)
            if original is None:
                return None
            record, headers = original, list(original.headers)
        return NewRecord(
            record.key,
            record.value,
            redriven_headers(
                headers,
                letter=letter_name(self.settings.dead_letter_topic, 0, letter.offset),
                times=letter.redrives + known.times(letter) + 1,
            ),
        )

    async def _original(self, letter: Letter) -> "AnyRecord | None":
        """Return the job's record, if the jobs topic still has it."""
        if letter.source is None:
            return None
        at = letter.source.offset
        end = await end_of_all(self.settings, self.settings.jobs_topic)
        records = scan(self.settings, self.settings.jobs_topic, range(at, min(at + 1, end)))
        async with aclosing(records):
            async for record in records:
                if not isinstance(record, UnreadableRecord) and _is_of(record, letter):
                    return record
        return None


def _is_of(record: AnyRecord, letter: Letter) -> bool:
    """Return whether it is the record that failed, and not one of a topic that was made anew."""
    return letter.omitted == str(len(record.value or b""))
