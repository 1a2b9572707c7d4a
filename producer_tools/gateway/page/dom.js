// Makes and changes elements. All text goes through textContent, so markup in it stays text.

/** Return an element with attributes and children. A string child is text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return an SVG element with attributes. */
export function svg(tag, attributes = {}, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** Return the element with this id. */
export function at(id) {
  return document.getElementById(id);
}

/** Set an element's text, unless it is so already: an unchanged text costs no layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show the text in an element, and hide the element while there is none. */
export function showText(element, text) {
  setText(element, text ?? "");
  element.hidden = !text;
}

/**
 * Give a list one child for each item, in order. Children stay while their item's key does, so
 * that focus and pictures survive an update.
 */
export function fill(list, items, { keyOf, create, update, remove = () => {} }) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let before = list.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    if (child === before) before = before.nextElementSibling;
    else list.insertBefore(child, before);
    update(child, item);
  }
  for (const child of known.values()) {
    remove(child);
    child.remove();
  }
}
