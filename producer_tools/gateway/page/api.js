// Talks to the gateway. The key is kept for the tab and goes out as a header, never in a URL.

const KEPT_AS = "maskline-key";
const DEADLINE_MS = 15_000;

/** The gateway's refusal, with its sentence as message. */
export class Refused extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Return the key that the reader gave, or null. */
export function key() {
  return sessionStorage.getItem(KEPT_AS);
}

/** Keep the key for the tab. */
export function keep(given) {
  sessionStorage.setItem(KEPT_AS, given);
}

/** Forget the key. */
export function forget() {
  sessionStorage.removeItem(KEPT_AS);
}

/** Return the headers of a request, with the key if there is one. */
export function headers(more = {}) {
  const given = key();
  return given === null ? more : { ...more, "X-API-Key": given };
}

/** Send a request. Throws Refused with the gateway's sentence, or the browser's network error. */
export async function call(path, { deadline = DEADLINE_MS, signal, ...options } = {}) {
  const limit = AbortSignal.timeout(deadline);
  const response = await fetch(path, {
    cache: "no-store",
    ...options,
    headers: headers(options.headers),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Return the JSON that a call answers. */
export async function json(path, options) {
  return (await call(path, options)).json();
}

/** Return the path of a job's call. */
export function jobPath(jobId, rest = "") {
  return `api/v1/jobs/${encodeURIComponent(jobId)}${rest}`;
}

/** Ask for a job's end. Returns `cancelled` or `cancelling`. */
export async function cancel(jobId) {
  const path = `queue/job/${encodeURIComponent(jobId)}/cancel`;
  const answer = await json(path, { method: "POST", deadline: 2 * DEADLINE_MS });
  return answer.status;
}

async function refusal(response) {
  let sentence = `The gateway answered ${response.status}.`;
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") sentence = detail;
  } catch {
    // A proxy's page is no sentence for people.
  }
  return new Refused(response.status, sentence, Number(response.headers.get("Retry-After")) || null);
}
