// The button that ends a job, with its confirmation in place.

import { cancel } from "./api.js";
import { make } from "./dom.js";

const ANSWERS = {
  cancelled: "cancelled",
  cancelling: "asked; its last event will say whether it was in time",
};

/** Return an element that asks for a job's end. `onAnswer` is called when the gateway answered. */
export function cancelButton(jobId, name, onAnswer = () => {}) {
  const place = make("span", { class: "cancel" });

  function offer(focus) {
    const button = make("button", { type: "button", class: "plain", onclick: confirm }, "Cancel");
    button.setAttribute("aria-label", `Cancel ${name}`);
    place.replaceChildren(button);
    if (focus) button.focus();
  }

  function confirm() {
    const yes = make("button", { type: "button", class: "danger", onclick: ask }, "Yes, cancel it");
    const no = make("button", { type: "button", class: "plain", onclick: () => offer(true) }, "Keep it");
    const question = make("span", { class: "question", role: "group" }, yes, no);
    question.setAttribute("aria-label", `Cancel ${name}?`);
    question.addEventListener("keydown", (event) => event.key === "Escape" && offer(true));
    place.replaceChildren(question);
    yes.focus();
  }

  async function ask() {
    place.replaceChildren(make("span", { role: "status" }, "asking …"));
    try {
      const status = await cancel(jobId);
      say(ANSWERS[status] ?? status);
    } catch (error) {
      say(error.message, "wrong");
    }
    onAnswer();
  }

  function say(text, kind = "") {
    place.replaceChildren(make("span", { role: "status", class: kind }, text));
  }

  offer(false);
  return place;
}
