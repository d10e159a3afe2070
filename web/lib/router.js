// Addresses below /ui/, and the page for each. Whatever a page filters or opens stands in its address.

const BASE = "/ui";
const routes = [];
let current = null;
let show = () => {};
const listeners = new Set();

/** `pattern` is a path below /ui with `:names`; `load` gives a module whose default export draws the page. */
export function route(pattern, load, details = {}) {
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"));
  routes.push({ pattern, expression: new RegExp(`^${source}/?$`), names, load, details });
}

function find(path) {
  for (const one of routes) {
    const match = one.expression.exec(path);
    if (!match) continue;
    const parameters = {};
    one.names.forEach((name, index) => (parameters[name] = decodeURIComponent(match[index + 1])));
    return { ...one, parameters };
  }
  return null;
}

/** The address of a path below /ui. */
export function address(path, query) {
  const text = query
    ? new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString()
    : "";
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

export const here = () => location.pathname.slice(BASE.length) || "/";
export const query = () => new URLSearchParams(location.search);

/** Changes parts of the query; the page stays, and no step is added to the browser's history. */
export function amend(changes) {
  const now = query();
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === null || value === "") now.delete(name);
    else now.set(name, value);
  }
  const text = now.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
}

export function go(path, { query: parameters, replace = false } = {}) {
  if (!mayLeave()) return;
  history[replace ? "replaceState" : "pushState"]({}, "", address(path, parameters));
  enter();
}

let guard = null;
/** `question` gives a text while something would be lost by leaving, else null. */
export function guardLeaving(question) {
  guard = question;
}
function mayLeave() {
  const text = guard?.();
  if (text && !confirm(text)) return false;
  guard = null;
  return true;
}

export const onEnter = (listener) => listeners.add(listener);

async function enter() {
  current?.abort.abort();
  guard = null;
  const found = find(here()) ??
    { load: () => import("../pages/missing.js"), details: {}, parameters: {}, pattern: "" };
  const visit = { ...found, abort: new AbortController() };
  current = visit;
  for (const listener of listeners) listener(visit);
  await show({
    parameters: visit.parameters,
    details: visit.details,
    signal: visit.abort.signal,
    load: visit.load,
    isCurrent: () => current === visit,
  });
}

/** Draws the page again, as if it had just been opened. */
export const reload = () => enter();

export function start(draw) {
  show = draw;
  addEventListener("popstate", enter);
  addEventListener("beforeunload", (event) => {
    if (guard?.()) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (
      event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target ||
      link.hasAttribute("download")
    ) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !url.pathname.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    if (!mayLeave()) return;
    history.pushState({}, "", url.pathname + url.search);
    enter();
  });
  return enter();
}
