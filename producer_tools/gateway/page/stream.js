// Follows the event stream by fetch: unlike EventSource, fetch can send the key as a header.

import { call, Refused } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 40_000; // the gateway sends a comment every 15 s
const LONGEST_LINE = 1_000_000;

/** Follow all events for as long as the page is open, from where the last connection ended. */
export class Stream {
  /** `onEvent(event, id)`, `onOpen()`, `onLost(error, retryAt)`, `onRefused()` for a key. */
  constructor(told) {
    this.told = told;
    this.lastId = null;
    this.wake = () => {};
  }

  /** Never returns: connects, reads, and connects again with growing waits. */
  async run() {
    for (let failures = 0; ; ) {
      try {
        await this.read(() => (failures = 0));
        throw new Error("The gateway ended the stream.");
      } catch (error) {
        if (error instanceof Refused && error.status === 401) {
          await this.told.onRefused();
          continue;
        }
        const most = Math.min(FIRST_WAIT_MS * 2 ** failures++, LONGEST_WAIT_MS);
        const wait = most * (0.75 + Math.random() / 4);
        this.told.onLost(error, Date.now() + wait);
        await this.sleep(wait);
      }
    }
  }

  /** Try now. */
  retry() {
    this.wake();
  }

  async read(onAlive) {
    const silence = new AbortController();
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(new Error("The gateway fell silent.")), SILENCE_MS);
    };
    try {
      alive();
      const response = await call("api/v1/events", {
        headers: this.lastId === null ? {} : { "Last-Event-ID": this.lastId },
        deadline: 2 ** 31 - 1,
        signal: silence.signal,
      });
      this.told.onOpen();
      for await (const message of messages(response.body, alive)) {
        onAlive();
        if (message.id !== null) this.lastId = message.id;
        if (message.data !== "") this.tell(message);
      }
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  tell(message) {
    try {
      this.told.onEvent(JSON.parse(message.data), Number(message.id));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error; // an event that is no JSON says nothing
    }
  }

  sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Yield the messages of an event stream as `{id, data}`. */
async function* messages(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let message = { id: null, data: "" };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      if (rest.length > LONGEST_LINE) throw new Error("The gateway sent a line without an end.");
      for (const line of lines) {
        if (line === "") {
          yield message;
          message = { id: null, data: "" };
        } else if (line.startsWith("data:")) message.data += line.slice(5).trimStart();
        else if (line.startsWith("id:")) message.id = line.slice(3).trim();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
