// The live page: puts its parts together.

import * as api from "./api.js";
import { drawCharts } from "./charts.js";
import { Connection } from "./connection.js";
import { at, setText } from "./dom.js";
import { ZONE } from "./format.js";
import { Gallery } from "./gallery.js";
import { JobView } from "./job.js";
import { askForKey } from "./key.js";
import { drawLine } from "./line.js";
import { drawFailures, drawUnderWay } from "./lists.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { Uploads } from "./uploads.js";

const DRAW_MS = 500;
const SOON_MS = 400;
const OVERVIEW_MS = 5000;

const store = new Store();
const connection = new Connection(store, say);
const uploads = new Uploads({ say, onRefused: refused });
const gallery = new Gallery(store);
const job = new JobView(store, failed);
let lineWord = null;
let overviewTimer = 0;
let overviewDue = 0;

const stream = new Stream({
  onEvent(event, id) {
    store.hear(event, id);
    uploads.hear(event);
    job.hear(event);
    if (event.state === "retrying") refreshSoon();
  },
  onOpen() {
    connection.open();
    refresh();
    uploads.catchUp();
    job.refreshSoon();
  },
  onLost: (error, retryAt) => connection.lost(error, retryAt),
  onRefused: refused,
});

/** Say something to a screen reader. */
function say(text) {
  setText(at("said"), text);
}

/** Ask for a key, once for all calls that were refused at the same time. */
async function refused() {
  await askForKey();
  at("forget").hidden = false;
}

function failed(error) {
  if (error.status === 401) refused().then(refresh);
  else if (error.status !== undefined) connection.refused(error);
}

/** Fetch the overview now, and again after a while. */
async function refresh() {
  clearTimeout(overviewTimer);
  overviewDue = Infinity;
  try {
    store.take(await api.json("api/v1/overview"));
    connection.answered();
  } catch (error) {
    failed(error);
  }
  plan(OVERVIEW_MS);
}

function refreshSoon() {
  if (overviewDue - Date.now() > SOON_MS) plan(SOON_MS);
}

function plan(ms) {
  clearTimeout(overviewTimer);
  overviewDue = Date.now() + ms;
  overviewTimer = setTimeout(refresh, ms);
}

/** Draw what has changed. A hidden page draws nothing. */
function draw() {
  connection.draw();
  if (store.overview === null || document.hidden) return;
  if (at("home").hidden) return;
  at("open").hidden = !store.overview.open;
  const word = drawLine(store);
  if (lineWord !== null && word !== lineWord && word !== "Idle") say(`The line: ${word}.`);
  lineWord = word;
  drawUnderWay(store, refreshSoon);
  drawFailures(store);
  drawCharts(store);
  gallery.draw();
  uploads.draw();
}

function route() {
  const found = /^#\/job\/(.+)$/.exec(location.hash);
  if (!found && at("home").hidden) at("main").focus({ preventScroll: true }); // back from a job
  at("home").hidden = found !== null;
  job.open(found ? decodeURIComponent(found[1]) : null);
  if (!found) draw();
}

function takeDrops() {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (over) => document.body.classList.toggle("over", over);
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(false);
    location.hash = "#/";
    uploads.add(event.dataTransfer.files);
  });
  at("files").addEventListener("change", ({ target }) => {
    uploads.add(target.files);
    target.value = "";
  });
}

function start() {
  setText(at("zone"), ZONE);
  at("forget").hidden = api.key() === null;
  at("forget").addEventListener("click", () => {
    api.forget();
    location.reload();
  });
  at("banner-retry").addEventListener("click", () => stream.retry());
  takeDrops();
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", draw);
  route();
  api.json("api/v1/health").then((health) => uploads.offer(health), () => {});
  stream.run();
  gallery.run();
  setInterval(draw, DRAW_MS);
}

start();
