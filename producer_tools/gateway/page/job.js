// One job's own view: its story, its pictures, its keys, and how to submit the same again.

import { advice, service } from "./advice.js";
import { jobPath, json } from "./api.js";
import { cancelButton } from "./cancel.js";
import { at, make } from "./dom.js";
import { clock, jobName, outputName, percent } from "./format.js";
import { moments, stages } from "./story.js";
import { curlCommand, masklineCommand } from "./terminal.js";
import { Viewer } from "./viewer.js";

const SETTLE_MS = 150;
const OPEN = new Set(["queued", "processing", "retrying"]);
const STATE_WORDS = {
  queued: "waits",
  processing: "under way",
  retrying: "waits for a service",
  completed: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export class JobView {
  /** `store` has the clock; `onError(error)` is told what a call came to. */
  constructor(store, onError) {
    this.store = store;
    this.onError = onError;
    this.element = at("job");
    this.jobId = null;
    this.viewer = null;
    this.timer = 0;
  }

  /** Show a job, or none. */
  async open(jobId) {
    this.close();
    this.jobId = jobId;
    this.element.hidden = jobId === null;
    if (jobId === null) return;
    this.element.replaceChildren(back(), make("h1", { id: "job-title", tabindex: "-1" }, jobId));
    document.getElementById("job-title").focus({ preventScroll: true });
    scrollTo(0, 0);
    await this.refresh();
  }

  close() {
    clearTimeout(this.timer);
    this.viewer?.close();
    this.viewer = null;
    this.jobId = null;
    this.element.replaceChildren();
  }

  /** Take in an event: what happens to this job changes its view. */
  hear(event) {
    if (event.job_id === this.jobId) this.refreshSoon();
  }

  refreshSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), SETTLE_MS);
  }

  async refresh() {
    const jobId = this.jobId;
    if (jobId === null) return;
    try {
      const job = await json(jobPath(jobId));
      if (this.jobId === jobId) this.draw(job);
    } catch (error) {
      if (this.jobId !== jobId) return;
      if (error.status === 404) this.missing(error.message);
      else this.onError(error);
    }
  }

  missing(sentence) {
    this.element.replaceChildren(
      back(),
      make("h1", { id: "job-title", tabindex: "-1" }, this.jobId),
      make("p", { class: "none" }, sentence),
    );
  }

  draw(job) {
    const focused = this.element.contains(document.activeElement) && document.activeElement.id;
    const showsPictures = job.state === "completed" && job.outputs.length > 0;
    if (showsPictures) this.viewer ??= new Viewer(job);
    const opened = [...this.element.querySelectorAll("details[open]")].map((each) => each.id);
    this.element.replaceChildren(
      back(),
      head(job, () => this.refreshSoon()),
      ...(job.error && job.state !== "completed" ? [trouble(job)] : []),
      make("div", { class: "job-columns" }, this.pictures(job), facts(job, this.store.now())),
      terminal(job),
      raw(job),
    );
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  pictures(job) {
    const time = stages(job.timings_ms);
    return make(
      "div",
      {},
      this.viewer?.element ?? null,
      section("Its story", moments(job, this.store.now())),
      time && section("Its stages", time),
    );
  }
}

function back() {
  return make("a", { class: "back", href: "#/" }, "← The line");
}

function head(job, onAnswer) {
  const cancel = OPEN.has(job.state) ? cancelButton(job.job_id, jobName(job), onAnswer) : null;
  return make(
    "header",
    { class: "job-head" },
    make("h1", { id: "job-title", tabindex: "-1" }, jobName(job)),
    make("span", { class: "pill", "data-state": job.state }, STATE_WORDS[job.state] ?? job.state),
    cancel,
  );
}

function trouble(job) {
  const { code, message } = job.error;
  const waits = job.state === "retrying";
  const text = waits
    ? `It waits for ${service(code)}, and goes on by itself once that is back.`
    : advice(code);
  return make(
    "section",
    { class: "trouble", "data-state": job.state },
    make("p", { class: "reason" }, make("code", {}, code), ` ${message}`),
    make("p", { class: "do" }, text),
  );
}

function section(title, ...children) {
  return make("section", {}, make("h2", {}, title), ...children);
}

function facts(job, now) {
  const when = (moment) => moment && clock(Date.parse(moment), now);
  const model = job.model && (job.model_sha256 ? `${job.model} (${job.model_sha256.slice(0, 12)})` : job.model);
  const batch = job.batch && `${job.batch.batch_id}, number ${job.batch.index + 1} of ${job.batch.size}`;
  const list = [
    ["Job", job.job_id, "code"],
    ["User", job.user_id],
    ["Submitted", when(job.submitted_at)],
    ["Begun", when(job.begun_at)],
    ["Ended", when(job.ended_at)],
    ["Model", model],
    ["Batch", batch],
    ["Photo", job.image, "code"],
    ["Size", job.result && `${job.result.width} × ${job.result.height} pixels`],
    ["Copy of", job.replay_of, "code"],
    ["Record", `${job.topic}, offset ${job.offset}`, "code"],
    ["Trace id", job.trace_id, "code"],
  ].filter(([, value]) => value);
  return make(
    "div",
    {},
    section("Facts", table(list)),
    job.result ? section("Stored keys", table(storedKeys(job.result))) : null,
    Object.keys(job.metadata).length
      ? section("Metadata", table(Object.entries(job.metadata).map(([k, v]) => [k, text(v)])))
      : null,
  );
}

function storedKeys({ stored_keys: keys, coverage }) {
  return Object.entries(keys).map(([output, key]) => {
    const share = coverage[output] === undefined ? "" : `, ${percent(coverage[output])}`;
    return [outputName(output) + share, key, "code"];
  });
}

function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function table(pairs) {
  const rows = pairs.map(([name, value, tag = "span"]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make(tag, {}, String(value)))),
  );
  return make("dl", { class: "facts" }, ...rows);
}

function terminal(job) {
  const commands = [masklineCommand(job), curlCommand(job)].filter(Boolean);
  return section("The same from a terminal", ...commands.map(command));
}

function command(line) {
  const button = make("button", { type: "button", class: "plain" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it, and copy it";
    }
  });
  return make("div", { class: "command" }, make("pre", { tabindex: "0" }, line), button);
}

function raw(job) {
  const last = job.events.at(-1);
  if (!last) return make("span", { hidden: true });
  return make(
    "details",
    { id: "raw" },
    make("summary", {}, "The latest event as it is in the topic"),
    make("pre", { tabindex: "0" }, JSON.stringify(last, null, 2)),
  );
}
