// A job's pictures, large: the photo with its masks behind a slider, one mask, the cutout.

import { make } from "./dom.js";
import { outputName } from "./format.js";
import * as pictures from "./pictures.js";

export class Viewer {
  /** Shows the pictures of a completed job, as the gateway's call for one job describes it. */
  constructor(job) {
    this.job = job;
    this.stopped = new AbortController();
    this.frame = make("div", { class: "frame" });
    this.note = make("p", { class: "sub", role: "status" });
    this.buttons = make("div", { class: "choices", role: "group", "aria-label": "What to show" });
    this.element = make("div", { class: "viewer" }, this.frame, this.buttons, this.note);
    this.addChoice("Masks over the photo", () => this.compare());
    for (const output of job.outputs) this.addChoice(outputName(output), () => this.alone(output));
    this.buttons.firstChild.click();
  }

  addChoice(text, draw) {
    const button = make("button", { type: "button", "aria-pressed": "false" }, text);
    button.addEventListener("click", () => this.choose(button, draw));
    this.buttons.append(button);
  }

  async choose(button, draw) {
    for (const each of this.buttons.children) each.setAttribute("aria-pressed", String(each === button));
    this.note.textContent = "Fetching the picture …";
    this.chosen = button;
    try {
      const picture = await draw();
      if (this.chosen !== button || this.stopped.signal.aborted) return pictures.forget(picture);
      this.clear();
      this.frame.append(picture);
      this.note.textContent = "";
    } catch (error) {
      if (this.chosen === button && !this.stopped.signal.aborted) {
        this.clear();
        this.note.textContent = error.message;
      }
    }
  }

  /** The photo with masks over the photo alone; a slider says how far they reach. */
  async compare() {
    const { signal } = this.stopped;
    const [masks, photo] = await Promise.all([
      pictures.preview(this.job, "masks", signal),
      pictures.preview(this.job, "photo", signal).catch(() => null),
    ]);
    const above = make("img", { alt: "The photo with its masks drawn over it" });
    const below = make("img", { alt: "The photo alone", class: "below" });
    await pictures.show(above, masks);
    if (photo === null) return this.large(make("div", { class: "both" }, above));
    await pictures.show(below, photo);
    const slider = make("input", { type: "range", min: "0", max: "100", value: "100" });
    slider.setAttribute("aria-label", "How much of the photo is shown with masks, in percent");
    slider.addEventListener("input", () => {
      above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    });
    return this.large(make("div", { class: "both" }, below, above), slider);
  }

  async alone(output) {
    const canvas = await pictures.output(this.job, output, this.job.result, this.stopped.signal);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", outputName(output));
    canvas.dataset.output = output;
    return this.large(canvas);
  }

  /** Give a picture as much room as there is, in the photo's own shape. */
  large(...parts) {
    const element = make("div", { class: "large" }, ...parts);
    element.style.setProperty("--aspect", this.job.result.width / this.job.result.height);
    return element;
  }

  clear() {
    pictures.forget(this.frame);
    for (const canvas of this.frame.querySelectorAll("canvas")) canvas.width = 0;
    this.frame.replaceChildren();
  }

  /** Forget all pictures. */
  close() {
    this.stopped.abort();
    this.clear();
  }
}
