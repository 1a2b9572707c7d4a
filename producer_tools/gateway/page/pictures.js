// Fetches pictures with the key, and forgets them: an object URL holds its picture until revoked.

import { call, jobPath } from "./api.js";

const DEADLINE_MS = 30_000;
const MAX_SIDE = 1400;
const MASK_COLOURS = { upper_body_mask: "--upper", lower_body_mask: "--lower" };

/** Return a job's small picture as a blob. `show`: `masks` (over the photo) or `photo` (alone). */
export async function preview(job, show, signal) {
  const path = jobPath(job.job_id, show === "photo" ? "/preview?show=photo" : "/preview");
  return (await call(path, { deadline: DEADLINE_MS, signal })).blob();
}

/** Show a blob in an image, in place of what it showed. */
export async function show(image, blob) {
  const url = URL.createObjectURL(blob);
  const before = image.src;
  image.src = url;
  try {
    await image.decode();
  } finally {
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
  }
}

/** Forget the pictures of all images in an element. */
export function forget(element) {
  for (const image of element.querySelectorAll("img")) {
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
  }
}

/** Return a canvas with one output of a job, a mask in its colour. At most 1,400 pixels a side. */
export async function output(job, name, { width, height }, signal) {
  const path = jobPath(job.job_id, `/result?output=${encodeURIComponent(name)}`);
  const blob = await (await call(path, { deadline: 2 * DEADLINE_MS, signal })).blob();
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const bitmap = await createImageBitmap(blob, { resizeWidth: size[0], resizeHeight: size[1] });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  if (name in MASK_COLOURS) tint(context, size, MASK_COLOURS[name]);
  return canvas;
}

/** Give what is white the colour, and leave what is black. */
function tint(context, size, property) {
  context.globalCompositeOperation = "multiply";
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(property);
  context.fillRect(0, 0, ...size);
}
