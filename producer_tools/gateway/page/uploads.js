// Takes photos from a drop or the file chooser, and submits them, each with a bar.

import { headers, json } from "./api.js";
import { cancelButton } from "./cancel.js";
import { at, fill, make, setText, showText } from "./dom.js";
import { count } from "./format.js";
import * as pictures from "./pictures.js";

const AT_ONCE = 2;
const MAX_ROWS = 8;
const MAX_FILES = 1000;
const MAX_FOLLOWED = 200;
const BUSY = new Set([429, 503]);
const ENDED = new Set(["completed", "failed", "cancelled", "refused"]);
const WORDS = {
  waiting: "waits to be sent",
  sending: "is being sent",
  later: "is sent again soon",
  queued: "queued",
  processing: "under way",
  retrying: "under way, and waits for a service",
  completed: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export class Uploads {
  /** `say` tells a screen reader; `onRefused` asks for a key. */
  constructor({ say, onRefused }) {
    this.say = say;
    this.onRefused = onRefused;
    this.all = []; // newest first
    this.byJob = new Map();
    this.sending = 0;
    this.pause = 0; // the timer of a pause after the gateway had no room
    this.models = at("models");
  }

  /** Let the reader choose among the installed models. */
  offer({ model, models }) {
    this.models.replaceChildren(
      ...models.map((name) => make("option", { value: name, selected: name === model }, name)),
    );
    at("models-label").hidden = models.length < 2;
  }

  /** Submit files. */
  add(files) {
    const room = MAX_FILES - this.all.filter((each) => !ENDED.has(each.state)).length;
    const taken = [...files].slice(0, room);
    for (const file of taken) {
      const idempotencyKey = crypto.getRandomValues(new Uint32Array(4)).join("-");
      this.all.unshift({
        file, name: file.name, key: idempotencyKey, state: "waiting", sent: 0, job_id: null, why: "",
      });
    }
    this.say(`${count(taken.length)} photos are being submitted.`);
    if (taken.length < files.length) this.say(`At most ${count(MAX_FILES)} photos at a time.`);
    this.send();
    this.draw();
  }

  send() {
    while (this.sending < AT_ONCE && !this.pause) {
      const next = this.all.findLast((each) => each.state === "waiting");
      if (!next) return;
      this.sending += 1;
      this.sendOne(next).finally(() => {
        this.sending -= 1;
        this.send();
        this.draw();
      });
    }
  }

  async sendOne(upload) {
    upload.state = "sending";
    upload.sent = 0;
    const answer = await post(upload, this.models.value, () => this.draw());
    if (answer.status === 200) this.accepted(upload, answer.body.job_id);
    else if (answer.status === 401) {
      await this.onRefused();
      upload.state = "waiting";
    } else if (BUSY.has(answer.status) || answer.status === 0) {
      upload.state = "later";
      upload.why = answer.body?.detail ?? "";
      this.waitAWhile(1000 * (answer.retryAfter || 5));
    } else {
      upload.state = "refused";
      upload.why = answer.body?.detail ?? `The gateway answered ${answer.status}.`;
      upload.file = null;
    }
  }

  /** Send nothing for a while: what would be refused need not be sent. */
  waitAWhile(ms) {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => {
      this.pause = 0;
      for (const each of this.all) if (each.state === "later") each.state = "waiting";
      this.send();
      this.draw();
    }, ms);
  }

  accepted(upload, jobId) {
    upload.state = "queued";
    upload.why = "";
    upload.job_id = jobId;
    upload.file = null; // the photo's bytes may go
    this.byJob.set(jobId, upload);
    if (this.byJob.size > MAX_FOLLOWED) this.byJob.delete(this.byJob.keys().next().value);
    for (const old of this.all.splice(MAX_FILES)) this.byJob.delete(old.job_id);
  }

  /** Take in an event. */
  hear(event) {
    const upload = this.byJob.get(event.job_id);
    if (upload) this.became(upload, event.state, event.error?.message);
  }

  became(upload, state, why = "") {
    if (ENDED.has(upload.state)) return;
    upload.state = state;
    upload.why = why ?? "";
    if (!ENDED.has(state)) return;
    this.byJob.delete(upload.job_id);
    this.say(`${upload.name}: ${WORDS[state]}. ${upload.why}`);
  }

  /** Ask after those whose events may have been missed. */
  async catchUp() {
    for (const [jobId, upload] of [...this.byJob]) {
      try {
        const { status, error } = await json(`api/v1/status/${encodeURIComponent(jobId)}`);
        this.became(upload, status, error);
      } catch {
        return; // the next connection asks again
      }
    }
  }

  /** Draw the newest rows. Those that go on come first. */
  draw() {
    const going = this.all.filter((each) => !ENDED.has(each.state));
    const rest = this.all.filter((each) => ENDED.has(each.state));
    const shown = [...going, ...rest].slice(0, MAX_ROWS);
    fill(at("uploads"), shown, {
      keyOf: (upload) => upload.key,
      create: uploadRow,
      update: updateRow,
      remove: pictures.forget,
    });
    const hidden = this.all.length - shown.length;
    showText(at("uploads-more"), hidden > 0 ? `and ${count(hidden)} more` : "");
  }
}

function uploadRow(upload) {
  const bar = make("progress", { max: "1", value: "0" });
  bar.setAttribute("aria-label", `${upload.name}: sent`);
  return make(
    "li",
    { class: "row upload" },
    make("img", { alt: "", class: "small", hidden: true }),
    make("a", { class: "name" }, upload.name),
    bar,
    make("span", { class: "state" }),
    make("span", { class: "end" }),
  );
}

function updateRow(element, upload) {
  element.dataset.state = upload.state;
  const bar = element.querySelector("progress");
  bar.hidden = !["waiting", "sending", "later"].includes(upload.state);
  if (bar.value !== upload.sent) bar.value = upload.sent;
  const words = WORDS[upload.state] ?? "";
  setText(element.querySelector(".state"), [words, upload.why].filter(Boolean).join(": "));
  if (upload.job_id === null) return;
  const link = element.querySelector("a");
  if (!link.href) link.href = `#/job/${encodeURIComponent(upload.job_id)}`;
  offerCancel(element.querySelector(".end"), upload);
  if (upload.state === "completed") showMasks(element.querySelector("img"), upload);
}

function offerCancel(place, upload) {
  const open = upload.state === "queued" || upload.state === "processing";
  if (open && !place.firstChild) place.append(cancelButton(upload.job_id, upload.name));
  if (ENDED.has(upload.state) && place.firstChild) place.replaceChildren();
}

async function showMasks(image, upload) {
  if (!image.hidden || image.dataset.asked) return;
  image.dataset.asked = "yes";
  try {
    await pictures.show(image, await pictures.preview(upload, "masks"));
    image.alt = `${upload.name} with its masks drawn over it`;
    image.hidden = false;
  } catch {
    // Its own view says why there is no picture.
  }
}

/** Post one photo. Returns `{status, body, retryAfter}`; status 0: the gateway didn't answer. */
function post(upload, model, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch can't tell how much of a body is sent
    const query = model ? `?model=${encodeURIComponent(model)}` : "";
    request.open("POST", `queue/submit${query}`);
    request.responseType = "json";
    for (const [name, value] of Object.entries(headers({ "Idempotency-Key": upload.key }))) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded, total }) => {
      upload.sent = total ? loaded / total : 0;
      onProgress();
    };
    request.onloadend = () =>
      resolve({
        status: request.status,
        body: request.response,
        retryAfter: Number(request.getResponseHeader("Retry-After")),
      });
    const form = new FormData();
    form.append("images", upload.file, upload.name);
    request.send(form);
  });
}
