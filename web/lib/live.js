// What happens now: the API's event stream, and polling for what it does not carry.

import { forget } from "./resources.js";

const listeners = new Set();
let source = null;
let retry = 1000;
let state = "off";
const KINDS = ["revision", "change", "gateway", "rollout", "resync"];

function tell(kind, data) {
  for (const listener of [...listeners]) listener(kind, data);
}

function setState(next) {
  if (next === state) return;
  state = next;
  tell("connection", { state });
}

/** Opens the stream, once; it stays open until `stop`. */
export function start() {
  if (source) return;
  source = new EventSource("/v1/watch");
  source.onopen = () => {
    retry = 1000;
    setState("live");
  };
  source.onerror = () => {
    setState("lost");
    // The browser gives up on an answer that is no stream: then it is tried again here.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      const wait = retry * (0.75 + Math.random() / 2);
      retry = Math.min(retry * 2, 30_000);
      setTimeout(() => state !== "off" && start(), wait);
    }
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let data = {};
      try {
        data = JSON.parse(event.data);
      } catch { /* the kind alone says enough */ }
      if (kind !== "gateway") forget();
      tell(kind, data);
    });
  }
}

export function stop() {
  setState("off");
  source?.close();
  source = null;
}

/** `listener(kind, data)` until `signal` aborts. */
export function listen(signal, listener) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}

/** Runs `action` now and every `period` milliseconds while the page can be seen. */
export function poll(signal, period, action) {
  let timer = 0;
  const turn = async () => {
    if (signal.aborted) return;
    if (!document.hidden) {
      try {
        await action();
      } catch (error) {
        if (error.name !== "AbortError") console.debug(error.message);
      }
    }
    if (!signal.aborted) timer = setTimeout(turn, period);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return turn();
}
