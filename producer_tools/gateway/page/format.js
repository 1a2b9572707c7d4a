// Puts times, counts and names into words.

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const COUNT = new Intl.NumberFormat();
const DAY_MS = 86_400_000;

/** The reader's time zone, by name. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Return a count with the reader's separators. */
export function count(number) {
  return COUNT.format(number);
}

/** Return a span of milliseconds in its largest unit: 4 s, 3 min, 2 h. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds}\u00a0s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)}\u00a0min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}\u00a0h`;
  return `${Math.round(seconds / 86_400)}\u00a0days`;
}

/** Return milliseconds as they are measured: 8.1 ms, 412 ms, 1.3 s. */
export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)}\u00a0ms`;
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  return ms < 100_000 ? `${(ms / 1000).toFixed(1)}\u00a0s` : span(ms);
}

/** Return a moment as the reader's clock shows it, with the date where it isn't today's. */
export function clock(moment, now) {
  const near = now - moment < DAY_MS && new Date(now).getDate() === new Date(moment).getDate();
  return near ? CLOCK.format(moment) : DATE.format(moment);
}

/** Return a moment to the minute. */
export function minute(moment) {
  return SHORT_CLOCK.format(moment);
}

/** Return a share of 1 in percent. */
export function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 && share >= 0.0005 ? 1 : 0)}\u00a0%`;
}

/** Return an output's name in words: "upper body" of "upper_body_mask". */
export function outputName(output) {
  return output.replace(/_mask$/, "").replaceAll("_", " ");
}

/** Return how a job is called: its file's name where it has one, else its id. */
export function jobName(job) {
  return job.filename || job.job_id || `record ${job.offset}`;
}

/** Return a word as one argument of a shell. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
