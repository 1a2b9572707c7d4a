// The lists of what is under way, what is next, and what failed.

import { advice, service } from "./advice.js";
import { cancelButton } from "./cancel.js";
import { at, fill, make, setText, showText } from "./dom.js";
import { clock, count, jobName, span } from "./format.js";

const MAX_BEGUN = 12;
const MAX_NEXT = 6;
const MAX_FAILED = 6;

/** Draw what is under way and what is next. `onAnswer` is called after a cancel was answered. */
export function drawUnderWay(store, onAnswer) {
  const begun = [...store.begun.values()].sort((a, b) => a.offset - b.offset);
  const rows = (job) => row(job, onAnswer);
  fill(at("begun-list"), begun.slice(0, MAX_BEGUN), {
    keyOf: (job) => job.offset,
    create: rows,
    update: (element, job) => updateBegun(element, job, store.now()),
  });
  at("begun-none").hidden = store.counts.begun > 0;
  showText(at("begun-more"), more(store.counts.begun - Math.min(begun.length, MAX_BEGUN), "under way"));
  const begunThrough = begun.at(-1)?.offset ?? -1;
  const next = store.overview.next.filter((job) => job.offset > begunThrough).slice(0, MAX_NEXT);
  fill(at("next-list"), next, {
    keyOf: (job) => job.offset,
    create: rows,
    update: (element, job) => updateNext(element, job, store.now()),
  });
  at("next-title").hidden = next.length === 0;
  showText(at("next-more"), next.length ? more(store.counts.queued - next.length, "waiting") : "");
}

function row(job, onAnswer) {
  const cancel = job.job_id ? cancelButton(job.job_id, jobName(job), onAnswer) : null;
  return make(
    "li",
    { class: "row" },
    make("i", { class: "dot" }),
    link(job),
    make("span", { class: "who" }),
    make("span", { class: "since" }),
    cancel,
    make("p", { class: "waits", hidden: true }),
  );
}

function link(job) {
  if (!job.job_id) return make("span", { class: "name" }, jobName(job));
  const href = `#/job/${encodeURIComponent(job.job_id)}`;
  return make("a", { class: "name", href }, jobName(job));
}

function updateBegun(element, job, now) {
  const held = job.state === "retrying";
  element.dataset.state = job.state;
  setText(element.querySelector(".name"), jobName(job));
  setText(element.querySelector(".who"), who(job));
  const attempt = job.attempt > 1 ? `, attempt ${job.attempt}` : "";
  setText(element.querySelector(".since"), `for ${span(now - Date.parse(job.begun_at))}${attempt}`);
  const waits = element.querySelector(".waits");
  showText(waits, held && job.error ? `Waits for ${service(job.error.code)}` : "");
  waits.title = job.error?.message ?? "";
}

function updateNext(element, job, now) {
  element.dataset.state = job.state;
  setText(element.querySelector(".who"), who(job));
  setText(element.querySelector(".since"), `waits for ${span(now - Date.parse(job.submitted_at))}`);
}

function who(job) {
  return [job.user_id, job.batch && `batch ${job.batch.batch_id}`, job.model].filter(Boolean).join(" · ");
}

function more(number, what) {
  return number > 0 ? `and ${count(number)} more ${what}` : "";
}

/** Draw the last failures, with their reason and what to do. */
export function drawFailures(store) {
  fill(at("failures"), store.failed.slice(0, MAX_FAILED), {
    keyOf: (job) => job.offset,
    create: failure,
    update: (element, job) => {
      setText(element.querySelector(".name"), jobName(job)); // an event doesn't tell the file's name
      const when = Date.parse(job.ended_at);
      const text = `${span(store.now() - when)} ago`;
      setText(element.querySelector("time"), text);
      element.querySelector("time").title = clock(when, store.now());
    },
  });
  at("failures-none").hidden = store.failed.length > 0;
}

function failure(job) {
  const error = job.error ?? { code: "internal_error", message: "Nothing is known of the cause." };
  return make(
    "li",
    { class: "failure" },
    make("p", { class: "head" }, link(job), make("time", { datetime: job.ended_at })),
    make("p", { class: "reason" }, make("code", {}, error.code), ` ${error.message}`),
    make("p", { class: "do" }, advice(error.code)),
  );
}
