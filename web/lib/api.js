// Talks to the Resource API. Everything that knows its paths and shapes is here.

import { address, go, here } from "./router.js";

/** What the API answered instead, as RFC 9457 has it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The control plane answered ${status}.`);
    this.status = status;
    this.title = body.title || "";
    this.findings = body.findings ?? [];
    this.body = body;
  }
}

const cleaned = (query) =>
  new URLSearchParams(
    Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );

/** Answers `{ data, version }`; throws a `Problem`. `version` is the number in ETag. */
export async function call(method, path, { body, query, version, signal, text = false } = {}) {
  // A space as %20: + is a space in forms only.
  const parameters = cleaned(query).toString().replaceAll("+", "%20");
  const headers = { Accept: text ? "*/*" : "application/json", "X-Seaway-Request": "1" };
  if (body !== undefined) {
    headers["Content-Type"] = typeof body === "string" ? "application/yaml" : "application/json";
  }
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  let response;
  try {
    response = await fetch(`/v1${path}${parameters ? `?${parameters}` : ""}`, {
      method,
      headers,
      signal,
      credentials: "same-origin",
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {
      title: "No connection",
      detail: "The control plane does not answer. Gateways go on serving.",
    });
  }
  const content = await response.text();
  if (text && response.ok) return { data: content };
  let data = null;
  if (content) {
    try {
      data = JSON.parse(content);
    } catch {
      data = { detail: content.slice(0, 300) };
    }
  }
  if (response.status === 401 && !path.startsWith("/session")) toLogin();
  if (!response.ok) throw new Problem(response.status, data ?? {});
  const tag = /"(\d+)"/.exec(response.headers.get("ETag") ?? "");
  return { data, version: tag ? Number(tag[1]) : data?.version };
}

export const get = async (path, options) => (await call("GET", path, options)).data;

function toLogin() {
  if (here() === "/login") return;
  const next = location.pathname + location.search;
  go("/login", { query: { next: next === address("/") ? "" : next }, replace: true });
}

const itemsOf = (data) => data?.items ?? [];

/** All resources of a type. `onPart` sees what is there after the first page and after each further one. */
export async function list(type, { signal, onPart, query } = {}) {
  const all = [];
  let after = null;
  for (let page = 0; page < 1000; page++) {
    const data = await get(`/${type}`, {
      signal,
      query: { ...query, limit: page === 0 && onPart ? 100 : 1000, after },
    });
    all.push(...itemsOf(data));
    after = data?.next ?? null;
    onPart?.(all, !after);
    if (!after) break;
  }
  return all;
}

export const one = (type, name, options) => call("GET", `/${type}/${encodeURIComponent(name)}`, options);

/** Creates or replaces; `version` undefined: whatever is there. */
export const save = (type, name, document, options) =>
  call("PUT", `/${type}/${encodeURIComponent(name)}`, { body: document, ...options });
export const create = (type, document, options) => call("POST", `/${type}`, { body: document, ...options });
export const remove = (type, name, options) =>
  call("DELETE", `/${type}/${encodeURIComponent(name)}`, options);

const schemas = new Map();
/** The schema of a type, or of a plugin by `plugins/NAME`, in the Admin API's form. */
export function schema(name) {
  if (!schemas.has(name)) {
    const asked = get(`/schemas/${name.split("/").map(encodeURIComponent).join("/")}`);
    asked.catch(() => schemas.delete(name));
    schemas.set(name, asked);
  }
  return schemas.get(name);
}

export const gateways = async (options) => itemsOf(await get("/gateways", options));
export const revisions = async (options) => itemsOf(await get("/revisions", options));
export const tokens = async (options) => itemsOf(await get("/tokens", options));
export const audit = async (options) => itemsOf(await get("/audit", options));
export const rollouts = async (options) => itemsOf(await get("/rollouts", options));
export const expiries = async (options) => itemsOf(await get("/certificates-expiry", options));

let asked = null;
let rules = [];
/** Who is logged in; asked once. */
export const whoami = () => (asked ??= get("/whoami").then((who) => {
  rules = who.rules ?? [];
  return who;
}, (error) => {
  asked = null;
  throw error;
}));
export const forgetWho = () => {
  asked = null;
  rules = [];
};

/** Whether the rules of whoever is logged in allow a verb on some resource of a type: the API has the last word. */
export const may = (verb, type) =>
  rules.some((rule) => rule.verbs.includes(verb) && rule.types.includes(type));
