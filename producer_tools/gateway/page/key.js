// Asks for the API key.

import { json, keep, key } from "./api.js";
import { at, setText } from "./dom.js";

let asking = null;

/** Ask until a key is right. All who ask at the same time wait for the same answer. */
export function askForKey() {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

async function ask() {
  setText(at("ask-wrong"), key() === null ? "" : "This key isn't known here.");
  for (;;) {
    keep(await typed());
    try {
      await json("queue/stats");
      break;
    } catch (error) {
      if (error.status !== 401) break; // the key is right, or nothing can tell now
      setText(at("ask-wrong"), "This key isn't known here.");
    }
  }
  at("ask").close();
}

function typed() {
  const dialog = at("ask");
  const input = at("key");
  input.value = "";
  if (!dialog.open) dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    form.onsubmit = (event) => {
      event.preventDefault();
      resolve(input.value.trim());
    };
    dialog.oncancel = (event) => event.preventDefault(); // without a key there is nothing to see
  });
}
