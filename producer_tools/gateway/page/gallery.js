// The last results as pictures. It takes the newest whenever it has time, so that a fast line is
// shown by a sample, and asking for pictures never becomes the line's main work.

import { at, make, setText, showText } from "./dom.js";
import { jobName, outputName, percent, span } from "./format.js";
import * as pictures from "./pictures.js";

const MAX_TILES = 12;
const PAUSE_MS = 1500;

export class Gallery {
  constructor(store) {
    this.store = store;
    this.list = at("results");
    this.tiles = []; // newest first: {job, element}
  }

  /** Never returns: shows the newest result that isn't shown yet, again and again. */
  async run() {
    for (;;) {
      const job = document.hidden ? null : this.next();
      const filling = this.tiles.length < MAX_TILES;
      if (job) await this.add(job);
      if (!job || !filling) await new Promise((resolve) => setTimeout(resolve, job ? PAUSE_MS : 250));
    }
  }

  next() {
    const shown = new Set(this.tiles.map(({ job }) => job.offset));
    const oldest = this.tiles.length < MAX_TILES ? -1 : this.tiles.at(-1).job.offset;
    return this.store.ended.find((job) => !shown.has(job.offset) && job.offset > oldest) ?? null;
  }

  async add(job) {
    const element = tile(job);
    let blob = null;
    try {
      blob = await pictures.preview(job, "masks");
    } catch (error) {
      if (error.status === undefined || error.status >= 500 || error.status === 401) {
        return new Promise((resolve) => setTimeout(resolve, PAUSE_MS)); // later, perhaps
      }
      element.querySelector(".picture").replaceChildren(
        make("span", { class: "blank" }, error.message),
      );
      element.querySelector(".alone").hidden = true;
    }
    this.insert(job, element);
    if (blob) await pictures.show(element.querySelector("img"), blob).catch(() => {});
  }

  /** Results come newest first while the page fills, and later in order. */
  insert(job, element) {
    const place = this.tiles.findIndex((other) => other.job.offset < job.offset);
    const index = place === -1 ? this.tiles.length : place;
    this.list.insertBefore(element, this.tiles[index]?.element ?? null);
    this.tiles.splice(index, 0, { job, element });
    for (const { element: old } of this.tiles.splice(MAX_TILES)) {
      pictures.forget(old);
      old.remove();
    }
    this.draw();
  }

  /** Say how old each result is, and its name once that is known. */
  draw() {
    for (const each of this.tiles) {
      const { element } = each;
      const job = this.store.ended.find(({ offset }) => offset === each.job.offset) ?? each.job;
      if (job.filename !== each.job.filename) rename(element, job);
      each.job = job;
      setText(element.querySelector(".age"), `${span(this.store.now() - Date.parse(job.ended_at))} ago`);
    }
    showText(at("results-none"), this.tiles.length || !this.store.overview ? "" : nothing(this.store));
  }
}

function nothing(store) {
  return store.ended.length
    ? "Fetching the pictures …"
    : "No photo is done yet. The first masks will be here.";
}

function tile(job) {
  const name = jobName(job);
  const image = make("img", { alt: `${name} with its masks drawn over it` });
  const link = make("a", { class: "picture", href: `#/job/${encodeURIComponent(job.job_id)}` }, image);
  return make(
    "li",
    { class: "tile" },
    link,
    aloneButton(job, name, image),
    make("p", { class: "name" }, name),
    make("p", { class: "sub" }, coverage(job), make("span", { class: "age" })),
  );
}

/** Give a tile another name. An event doesn't tell the file's name, and the overview does. */
function rename(element, job) {
  const name = jobName(job);
  setText(element.querySelector(".name"), name);
  const image = element.querySelector("img");
  if (image) image.alt = `${name} with its masks drawn over it`;
  element.querySelector(".alone").setAttribute("aria-label", `Show the photo alone: ${name}`);
}

/** Return the button that swaps the photo with masks for the photo alone. */
function aloneButton(job, name, image) {
  const button = make("button", { type: "button", class: "alone", "aria-pressed": "false" }, "Photo");
  button.setAttribute("aria-label", `Show the photo alone: ${name}`);
  button.addEventListener("click", async () => {
    const alone = button.getAttribute("aria-pressed") === "false";
    button.disabled = true;
    try {
      await pictures.show(image, await pictures.preview(job, alone ? "photo" : "masks"));
      button.setAttribute("aria-pressed", String(alone));
      image.alt = alone ? `${name}, the photo alone` : `${name} with its masks drawn over it`;
    } catch (error) {
      button.title = error.message;
    }
    button.disabled = false;
    button.focus();
  });
  return button;
}

function coverage(job) {
  const parts = Object.entries(job.coverage ?? {})
    .filter(([output]) => output === "upper_body_mask" || output === "lower_body_mask")
    .map(([output, share]) =>
      make("span", { class: "share" }, make("i", { class: output.split("_")[0] }), percent(share)),
    );
  for (const part of parts) part.title = "share of the photo";
  const text = make("span", { class: "shares" }, ...parts);
  if (!parts.length) text.append((job.outputs ?? []).map(outputName).join(", "));
  return text;
}
