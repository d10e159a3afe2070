// Lists of resources for several parts of a page at once: kept for seconds, dropped when something changes.

import { list } from "./api.js";

const kept = new Map();
const age = 15_000;

/** All resources of a type; the same promise for everybody who asks within a few seconds. */
export function all(type) {
  const had = kept.get(type);
  if (had && Date.now() - had.time < age) return had.promise;
  const promise = list(type);
  kept.set(type, { time: Date.now(), promise });
  promise.catch(() => kept.delete(type));
  return promise;
}

export function forget(type) {
  if (type) kept.delete(type);
  else kept.clear();
}

/** `id → resource`, empty when the type may not be read. */
export async function byID(type) {
  const resources = await all(type).catch(() => []);
  return new Map(resources.map((resource) => [resource.id, resource]));
}
