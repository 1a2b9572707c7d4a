// A job's story as a time line: when it came, each attempt, and how long each stage took.

import { make } from "./dom.js";
import { clock, duration, span } from "./format.js";

const STAGES = ["fetch", "preprocess", "segment", "masks", "callback"];
const STAGE_NAMES = {
  fetch: "Photo from S3",
  preprocess: "Decoding",
  segment: "Inference",
  masks: "Masks",
  callback: "Callback",
};
const STATE_WORDS = {
  processing: "begun",
  retrying: "waits for a service",
  completed: "done",
  failed: "failed",
  cancelled: "cancelled",
};

/** Return the moments of a job as a list: what happened, when, and why. */
export function moments(job, now) {
  const list = make("ol", { class: "moments" });
  const came = Date.parse(job.submitted_at);
  list.append(moment("submitted", came, now, { detail: job.user_id && `by ${job.user_id}` }));
  let before = came;
  for (const event of job.events) {
    const at = Date.parse(event.occurred_at);
    list.append(
      moment(STATE_WORDS[event.state] ?? event.state, at, now, {
        state: event.state,
        detail: detail(event),
        after: at - before,
      }),
    );
    before = at;
  }
  if (job.state === "queued") list.append(waits(job));
  return list;
}

function detail(event) {
  const attempt = event.attempt > 1 ? `attempt ${event.attempt}` : "";
  const why = event.error ? `${event.error.code}: ${event.error.message}` : "";
  const worker = event.state === "processing" && event.worker ? `by ${event.worker}` : "";
  return [attempt, worker, why].filter(Boolean).join(", ");
}

function moment(what, at, now, { state = "queued", detail: more = "", after = null }) {
  const gap = after !== null && after >= 1 ? `after ${after < 1000 ? duration(after) : span(after)}` : "";
  return make(
    "li",
    { "data-state": state },
    make("time", { datetime: new Date(at).toISOString() }, clock(at, now)),
    make("strong", {}, what),
    make("span", { class: "gap" }, gap),
    more ? make("p", {}, more) : null,
  );
}

function waits(job) {
  const place = job.position === null ? "waits" : `waits, number ${job.position} in the line`;
  return make("li", { "data-state": "now" }, make("strong", {}, place));
}

/** Return the stages as bars one after another, or null where nothing was measured. */
export function stages(timings) {
  const measured = STAGES.filter((stage) => typeof timings?.[stage] === "number");
  if (!measured.length) return null;
  const sum = measured.reduce((total, stage) => total + timings[stage], 0);
  const whole = Math.max(timings.total ?? 0, sum, 1);
  const rows = [];
  let start = 0;
  for (const stage of measured) {
    rows.push(stageRow(stage, start / whole, timings[stage] / whole, timings[stage]));
    start += timings[stage];
  }
  const waited = whole - sum > 0.1 * whole ? `, ${duration(whole - sum)} of it in wait for its turn` : "";
  const total = `${duration(whole)} from its start to its end${waited}`;
  return make("div", { class: "stages" }, make("ul", {}, ...rows), make("p", { class: "total" }, total));
}

function stageRow(stage, start, share, ms) {
  const bar = make("i", { class: "bar" });
  bar.style.marginInlineStart = `${(100 * start).toFixed(2)}%`;
  bar.style.inlineSize = `max(2px, ${(100 * share).toFixed(2)}%)`;
  return make(
    "li",
    { "data-stage": stage },
    make("span", { class: "stage" }, STAGE_NAMES[stage]),
    make("span", { class: "track" }, bar),
    make("span", { class: "ms" }, duration(ms)),
  );
}
