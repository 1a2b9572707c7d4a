// Says whether what the page shows is of now, and since when it isn't.

import { at, setText } from "./dom.js";
import { clock, span } from "./format.js";

const PATIENCE_MS = 1500;

export class Connection {
  /** `say` tells a screen reader. */
  constructor(store, say) {
    this.store = store;
    this.say = say;
    this.streams = false;
    this.lostAt = null; // since when the stream is away
    this.retryAt = null;
    this.refusal = null; // the gateway is there, and says why it can't answer
    this.told = false;
  }

  /** The stream is away. */
  lost(error, retryAt) {
    this.streams = false;
    this.lostAt ??= Date.now();
    this.retryAt = retryAt;
    if (error.status === undefined) this.refusal = null;
    else this.refused(error);
  }

  /** The gateway is there, and can't answer. */
  refused(error) {
    this.lostAt ??= Date.now();
    this.refusal = error.message;
  }

  /** The stream is there. */
  open() {
    this.streams = true;
    this.lostAt = null;
    this.refusal = null;
  }

  /** The gateway answered a call. */
  answered() {
    if (this.streams) this.open();
  }

  /** Draw the banner and the word of how fresh the page is. */
  draw() {
    const away = this.lostAt !== null && Date.now() - this.lostAt > PATIENCE_MS;
    document.body.classList.toggle("stale", away);
    this.store.stoppedAt = away ? this.store.asOf : null;
    at("banner").hidden = !away;
    if (away) this.drawBanner();
    const live = at("live");
    live.dataset.live = away ? "no" : "yes";
    setText(live, away ? "not live" : this.store.overview === null ? "connecting" : "live");
    if (away !== this.told) this.announce(away);
  }

  drawBanner() {
    const { asOf } = this.store;
    const since = clock(this.lostAt, Date.now());
    const title = this.refusal ? `The gateway can't answer since ${since}.` : `Connection lost at ${since}.`;
    const age = asOf === null
      ? "Nothing is known yet."
      : `What you see is ${span(Date.now() - asOf)} old.`;
    const wait = this.retryAt - Date.now();
    const next = wait > 500 ? `Tries again in ${span(wait)}.` : "Trying …";
    setText(at("banner-title"), title);
    setText(at("banner-text"), [this.refusal, age, next].filter(Boolean).join(" "));
  }

  announce(away) {
    this.told = away;
    if (away) this.say(this.refusal ?? "The connection is lost. What you see is old.");
    else this.say("The connection is back.");
  }
}
