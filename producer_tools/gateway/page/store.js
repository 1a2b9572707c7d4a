// Keeps what the page knows: the gateway's overview, and the events since. Bounded in size.

const MAX_BEGUN = 200;
const MAX_ENDED = 24;
const MAX_FAILED = 12;
const MAX_KEPT_EVENTS = 1000;
const ENDED = new Set(["completed", "failed", "cancelled"]);
const HISTORY_MINUTES = 60;

export class Store {
  constructor() {
    this.overview = null;
    this.begun = new Map();
    this.ended = [];
    this.failed = [];
    this.counts = {};
    this.minutes = [];
    this.asOf = null; // when the gateway last said something, by our clock
    this.skew = 0; // the gateway's clock less ours
    this.lastEndedAt = null;
    this.stoppedAt = null; // since when nothing is heard: what was known then is shown
    this.kept = []; // the latest events, to apply those that an overview doesn't have yet
  }

  /** The gateway's time, now; or when it was last heard, while nothing is. */
  now() {
    return (this.stoppedAt ?? Date.now()) + this.skew;
  }

  /** Take over the gateway's overview, and apply the events that it doesn't have. */
  take(overview) {
    this.overview = overview;
    this.asOf = Date.now();
    this.skew = Date.parse(overview.now) - this.asOf;
    this.begun = new Map(overview.begun.map((job) => [job.offset, job]));
    this.ended = overview.completed;
    this.failed = overview.failed;
    this.counts = { ...overview.counts };
    this.minutes = overview.minutes.map((minute) => ({ ...minute }));
    this.lastEndedAt = overview.last_settled_at && Date.parse(overview.last_settled_at);
    this.kept = this.kept.filter(([id]) => id >= overview.events_before);
    for (const [, event] of this.kept) this.apply(event);
  }

  /** Take in an event. */
  hear(event, id) {
    this.asOf = Date.now();
    this.kept.push([id, event]);
    if (this.kept.length > MAX_KEPT_EVENTS) this.kept.splice(0, MAX_KEPT_EVENTS / 2);
    if (this.overview !== null) this.apply(event);
  }

  apply(event) {
    const { offset } = event.source;
    const known = this.begun.get(offset);
    if (ENDED.has(event.state)) this.end(event, known);
    else {
      if (!known) {
        this.counts.queued = Math.max(0, this.counts.queued - 1);
        this.counts.begun += 1;
      }
      if (known || this.begun.size < MAX_BEGUN) this.begun.set(offset, begunJob(event, known));
    }
  }

  end(event, known) {
    this.begun.delete(event.source.offset);
    const from = known ? "begun" : "queued";
    this.counts[from] = Math.max(0, this.counts[from] - 1);
    this.lastEndedAt = Date.parse(event.occurred_at);
    const minute = this.minute();
    minute[event.state] += 1;
    if (event.state in this.counts) this.counts[event.state] += 1;
    const job = endedJob(event, known);
    if (event.state === "completed") this.ended = [job, ...this.ended].slice(0, MAX_ENDED);
    if (event.state === "failed") this.failed = [job, ...this.failed].slice(0, MAX_FAILED);
  }

  /** Return the present minute of the history, which begins one where the last is over. */
  minute() {
    const start = Math.floor(this.now() / 60_000) * 60_000;
    let last = this.minutes.at(-1);
    if (!last || Date.parse(last.at) < start) {
      const at = new Date(start).toISOString();
      last = { at, completed: 0, failed: 0, cancelled: 0, unsettled: 0 };
      this.minutes = [...this.minutes, last].slice(-HISTORY_MINUTES);
    }
    last.unsettled = this.unsettled();
    return last;
  }

  /** How many jobs wait or are under way. */
  unsettled() {
    return this.counts.queued + this.counts.begun;
  }
}

function begunJob(event, known) {
  return {
    ...known,
    job_id: event.job_id,
    user_id: event.user_id,
    offset: event.source.offset,
    state: event.state,
    attempt: event.attempt,
    begun_at: known?.begun_at ?? event.occurred_at,
    model: event.model?.name ?? known?.model ?? null,
    error: event.error,
  };
}

function endedJob(event, known) {
  return {
    ...begunJob(event, known),
    filename: known?.filename ?? null,
    ended_at: event.occurred_at,
    outputs: Object.keys(event.result?.stored_keys ?? {}),
    coverage: event.result?.coverage ?? {},
  };
}
