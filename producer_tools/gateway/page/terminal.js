// The commands that submit the same job from a terminal.

import { quoted } from "./format.js";

/** Return the `maskline submit` of a job, or null for one that names no photo. */
export function masklineCommand(job) {
  if (!job.image) return null;
  const words = ["maskline", "submit", job.image];
  if (job.user_id) words.push("--user", job.user_id);
  if (job.model_asked) words.push("--model", job.model_asked);
  for (const output of job.outputs_asked ?? []) words.push("--output", output);
  return [...words, "--wait"].map(quoted).join(" ");
}

/** Return the same by HTTP, with a photo of the reader's. */
export function curlCommand(job) {
  const query = job.model_asked ? `?model=${encodeURIComponent(job.model_asked)}` : "";
  const url = new URL(`queue/submit${query}`, document.baseURI).href;
  const file = /\.(jpe?g|png|webp)$/i.exec(job.image ?? "")?.[0] ?? ".jpg";
  const user = job.user_id ? ` -H ${quoted(`X-User-Id: ${job.user_id}`)}` : "";
  return `curl -H "X-API-Key: $API_KEY"${user} -F images=@photo${file} ${quoted(url)}`;
}
