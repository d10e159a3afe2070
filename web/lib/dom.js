// Builds elements. Text is always text: nothing here, or anywhere in the UI, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") {
      element.setAttribute("class", Array.isArray(value) ? value.filter(Boolean).join(" ") : value);
    } else if (name === "style") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" && "value" in element) element.value = value;
    else if (name === "checked" || name === "indeterminate" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

const isProperties = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Node);

/** `h("a", {href, class, onclick}, children…)`; properties may be left out, empty children are skipped. */
export function h(tag, ...rest) {
  const element = document.createElement(tag);
  if (isProperties(rest[0])) fill(element, rest.shift());
  add(element, rest);
  return element;
}

/** The same for SVG. */
export function s(tag, ...rest) {
  const element = document.createElementNS(SVG, tag);
  if (isProperties(rest[0])) fill(element, rest.shift());
  add(element, rest);
  return element;
}

/** Puts `children` in place of all that `element` holds. */
export function put(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

let last = 0;
/** An id that no other element of the page has. */
export const freshID = (prefix = "x") => `${prefix}-${++last}`;

/** Runs `action` once, `delay` milliseconds after the last call. */
export function settle(action, delay = 120) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), delay);
  };
}
