// The line's state in words, and its large numbers.

import { service } from "./advice.js";
import { at, setText } from "./dom.js";
import { clock, count, span } from "./format.js";

const RATE_MINUTES = 5;

/** Draw the state and the numbers. Returns the state's word. */
export function drawLine(store) {
  const { word, text, tone } = store.stoppedAt ? remembered(store) : described(store);
  at("line").dataset.tone = tone;
  setText(at("line-word"), word);
  setText(at("line-text"), text);
  drawNumbers(store, word === "Running");
  document.title = `${word} · Maskline`;
  return word;
}

function remembered(store) {
  const { word } = described(store);
  const text = `That was at ${clock(store.stoppedAt, Date.now())}. Nothing is known since then.`;
  return { word: `Was ${word.toLowerCase()}`, text, tone: "quiet" };
}

function described(store) {
  const { state, reason, code, since } = store.overview.line;
  const sinceText = since ? ` since ${clock(Date.parse(since), store.now())}` : "";
  if (state === "halted") {
    return { word: "Halted", tone: "alarm", text: `Nothing more is settled${sinceText}. ${sentence(reason)}` };
  }
  const held = [...store.begun.values()].find((job) => job.state === "retrying" && job.error);
  if (state === "held" || held) {
    const why = reason ?? held.error.message;
    const name = service(code ?? held?.error.code);
    return {
      word: "Held",
      tone: "warn",
      text: `The line waits for ${name}${sinceText}. Nothing is lost: once ${name} is back, it goes on by itself. ${sentence(why)}`,
    };
  }
  if (state === "stopped") {
    return {
      word: "Stopped",
      tone: "alarm",
      text: "No consumer is in the group, so nothing is begun. Start one: maskline consume.",
    };
  }
  if (state === "stalled") {
    return {
      word: "Stalled",
      tone: "alarm",
      text: `Jobs wait, and nothing was settled for a minute. See the consumer's log and its /readyz.`,
    };
  }
  if (store.unsettled() === 0) {
    return { word: "Idle", tone: "quiet", text: `Nothing waits.${lastEnd(store)}` };
  }
  return { word: "Running", tone: "good", text: lastEnd(store).trim() };
}

/** Return a reason from the line as a sentence. */
function sentence(text) {
  const words = String(text ?? "").trim();
  return words === "" || /[.!?…]$/.test(words) ? words : `${words}.`;
}

function lastEnd(store) {
  if (!store.lastEndedAt) return " No job has ended yet.";
  return ` The last job ended ${span(store.now() - store.lastEndedAt)} ago.`;
}

function drawNumbers(store, running) {
  const { counts, overview } = store;
  const numbers = {
    waiting: counts.queued,
    begun: counts.begun,
    done: counts.completed,
    failed: counts.failed,
  };
  for (const [id, number] of Object.entries(numbers)) setText(at(id), count(number));
  const longest = Math.max(...Object.values(numbers).map((number) => count(number).length));
  at("numbers").dataset.longest = Math.min(longest, 7);
  at("failed").dataset.alarm = counts.failed > 0 ? "yes" : "no";
  setText(at("waiting-sub"), room(store, running));
  setText(at("begun-sub"), `${count(overview.limits.in_flight)} at most`);
  setText(at("done-sub"), running ? rate(store) : "");
  const cancelled = counts.cancelled ? `${count(counts.cancelled)} cancelled` : "";
  setText(at("failed-sub"), cancelled);
}

function room(store, running) {
  const most = store.overview.limits.queue_max;
  const room = most - store.unsettled();
  if (room <= 0) return `the queue is full: ${count(most)} at most`;
  const each = perMinute(store);
  if (running && store.counts.queued && each >= 1) {
    return `about ${span((60_000 * store.counts.queued) / each)} to go`;
  }
  return `room for ${count(room)}`;
}

function rate(store) {
  const each = perMinute(store);
  if (each === 0) return "";
  return each < 1 ? "less than one a minute" : `${count(Math.round(each))} a minute now`;
}

/** How many jobs ended a minute, over the last whole minutes in which there was something to do. */
function perMinute(store) {
  const whole = store.minutes
    .slice(-RATE_MINUTES - 1, -1)
    .filter((each) => each.unsettled || each.completed || each.failed || each.cancelled);
  if (!whole.length) return 0;
  const ended = whole.reduce((sum, each) => sum + each.completed + each.failed + each.cancelled, 0);
  return ended / whole.length;
}
