// Says what a person can do about an error.

const ADVICE = {
  invalid_message: "Have the program that sent it write a job as docs/messages.md describes it.",
  invalid_image: "Send the photo again as a whole JPEG, PNG or WebP file.",
  image_too_large: "Send a smaller copy, or raise MAX_IMAGE_BYTES or MAX_IMAGE_PIXELS.",
  unsupported_format: "Send it as JPEG, PNG or WebP, or add the format to IMAGE_FORMATS.",
  image_not_found: "See whether the photo was deleted or its key is misspelt, then submit again.",
  image_forbidden: "Let the line read this object in S3 and in S3_ALLOWED_BUCKETS.",
  checksum_mismatch: "The photo was changed after it was submitted: submit it again.",
  unknown_model: "Choose an installed model: maskline models list.",
  unsupported_output: "Ask for outputs that the model gives: maskline models list.",
  callback_forbidden: "Add the receiver's origin to CALLBACK_ALLOWED_ORIGINS.",
  callback_rejected: "See in the receiver's log why it refused the masks.",
  callback_unavailable: "Start the job's receiver, then redrive the job.",
  storage_unavailable: "See why S3 gives other photos and not this one, then redrive the job.",
  deadline_exceeded: "Send a smaller photo, or raise JOB_DEADLINE_SECONDS.",
  crash_loop: "Keep the photo: it ended the process each time. The log says how.",
  internal_error: "See job.broken in the consumer's log.",
};

const SERVICES = {
  storage_unavailable: "S3",
  callback_unavailable: "the service that stores masks",
  callback_rejected: "the service that stores masks",
  internal_error: "the model's server",
};

/** Return what to do about an error code. */
export function advice(code) {
  return ADVICE[code] ?? "See the consumer's log.";
}

/** Return the service that a held job waits for. */
export function service(code) {
  return SERVICES[code] ?? "a service";
}
