// Small pieces that many pages use.

import { h } from "../lib/dom.js";
import { ago, time } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { Problem } from "../lib/api.js";
import { copy } from "./layers.js";

/** The head of a page: its name, a sentence, and what can be done here. */
export function head(title, { lead, actions = [], crumbs = [], badge } = {}) {
  return h(
    "header",
    { class: "page-head" },
    h(
      "div",
      { class: "page-title" },
      crumbs.length > 0 &&
        h(
          "nav",
          { class: "crumbs", "aria-label": "Where you are" },
          crumbs.map(([text, href]) => [h("a", { href }, text), icon("right", 12)]),
        ),
      h("h1", { tabindex: "-1" }, title, badge),
      lead && h("p", { class: "lead" }, lead),
    ),
    h("div", { class: "page-actions" }, actions),
  );
}

export const badge = (text, kind = "plain", image) =>
  h("span", { class: ["badge", `is-${kind}`] }, image && icon(image, 13), text);
export const dot = (kind, label) =>
  h("span", { class: ["dot", `is-${kind}`], role: "img", "aria-label": label });
export const when = (value) =>
  h("time", { title: time(value), datetime: value ? new Date(value).toISOString() : null }, ago(value));
export const code = (text) => h("code", String(text));
export const chips = (values) =>
  h("span", { class: "chips" }, values.map((value) => h("span", { class: "chip" }, value)));
export const labelChips = (labels) =>
  chips(Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`));

export function button(text, { icon: image, action, kind, type = "button", href, key, ...others } = {}) {
  const content = [image && icon(image, 16), h("span", text)];
  const look = ["button", kind && `is-${kind}`];
  if (href) return h("a", { class: look, href, "aria-keyshortcuts": key, ...others }, content);
  return h("button", { class: look, type, onclick: action, "aria-keyshortcuts": key, ...others }, content);
}

export function card(title, { actions, note, kind } = {}, ...children) {
  return h(
    "section",
    { class: ["card", kind] },
    title &&
      h(
        "header",
        { class: "card-head" },
        h("h2", title),
        note && h("span", { class: "note" }, note),
        actions && h("div", { class: "card-actions" }, actions),
      ),
    children,
  );
}

/** What stands where nothing is: why, and what to do next. */
export function empty(title, text, actions = [], image = "info") {
  return h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-icon" }, icon(image, 28)),
    h("h2", title),
    h("p", text),
    h("div", { class: "row" }, actions),
  );
}

/** A problem where a page or a part of it should be. */
export function failure(error, retry) {
  const denied = error instanceof Problem && error.status === 403;
  const missing = error instanceof Problem && error.status === 404;
  return h(
    "div",
    { class: "empty is-error", role: "alert" },
    h("div", { class: "empty-icon" }, icon(denied ? "tokens" : "warning", 28)),
    h(
      "h2",
      denied
        ? "You may not see this"
        : missing
        ? "There is no such thing (any more)"
        : "This could not be loaded",
    ),
    h("p", error.message),
    denied &&
      h(
        "p",
        { class: "note" },
        "Ask somebody who administers this control plane for a role that may read it.",
      ),
    retry && h("div", { class: "row" }, button("Try again", { action: retry, icon: "undo" })),
  );
}

export function notice(kind, ...content) {
  const image = { error: "error", warning: "warning", info: "info", done: "check" }[kind] ?? "info";
  return h(
    "div",
    { class: ["notice", `is-${kind}`], role: kind === "error" ? "alert" : null },
    icon(image),
    h("div", content),
  );
}

/** A block of text to copy. */
export function snippet(text, label = "Copy") {
  return h(
    "div",
    { class: "snippet" },
    h("pre", { tabindex: "0" }, h("code", text)),
    h("button", {
      class: "button is-bare",
      type: "button",
      "aria-label": label,
      title: label,
      onclick: () => copy(text),
    }, icon("copy", 16)),
  );
}

/** Term and description, in pairs. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(Boolean).map(([term, value]) => h("div", h("dt", term), h("dd", value ?? "—"))),
  );
}

/** The findings of a problem that no field shows. */
export function findings(list) {
  return h(
    "ul",
    { class: "findings" },
    list.map((one) =>
      h(
        "li",
        one.entity && h("b", `${one.entity}${one.field ? `, ${one.field}` : ""}: `),
        !one.entity && one.field && h("b", `${one.field}: `),
        one.message,
        one.remedy && h("span", { class: "note" }, ` ${one.remedy}`),
        one.line ? h("span", { class: "note" }, ` (line ${one.line})`) : null,
      )
    ),
  );
}

/** Tabs that stand in the address: `[[key, text, build]]`. */
export function tabs(entries, chosen, choose, label) {
  const built = new Map();
  const panel = h("div", { class: "tab-panel", role: "tabpanel", tabindex: "-1" });
  const buttons = entries.map(([key, text]) =>
    h("button", {
      type: "button",
      role: "tab",
      class: "tab",
      data: { key },
      onclick: () => open(key),
    }, text)
  );
  function open(key) {
    const entry = entries.find((one) => one[0] === key) ?? entries[0];
    for (const one of buttons) {
      const on = one.dataset.key === entry[0];
      one.setAttribute("aria-selected", String(on));
      one.tabIndex = on ? 0 : -1;
    }
    panel.setAttribute("aria-label", entry[1]);
    // Kept once built: what was typed into a form is still there when its tab is opened again.
    if (!built.has(entry[0])) built.set(entry[0], entry[2]());
    panel.replaceChildren(built.get(entry[0]));
    choose(entry[0] === entries[0][0] ? "" : entry[0]);
  }
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": label }, buttons);
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = buttons.indexOf(document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
    event.preventDefault();
  });
  open(chosen);
  return h("div", bar, panel);
}
