// What all fields have: a label, a hint, a place for errors.

import { freshID, h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

const words = (name) => {
  const text = name.replaceAll("_", " ");
  return (text[0] ?? "").toUpperCase() + text.slice(1);
};

const UPPER = /\b(id|ip|url|uri|ttl|sni|snis|tls|http|https|http2|tcp|dns|jwk|pem|ca|api|cors|ssl)\b/gi;

export const label = (name) =>
  words(name).replace(UPPER, (word) => (word.toLowerCase() === "snis" ? "SNIs" : word.toUpperCase()));

export const nothing = (value) => value === undefined || value === null || value === "";

export const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** Whether a schema's default is this value; what is, need not be written. */
export const isDefault = (schema, value) => same(schema.default, value);

function hint(schema, help) {
  const parts = [];
  if (help) parts.push(help);
  else if (schema.description) parts.push(schema.description.split(/(?<=\.)\s/)[0]);
  if (schema.between) parts.push(`${schema.between[0]} to ${schema.between[1]}.`);
  else if (schema.gt !== undefined) parts.push(`More than ${schema.gt}.`);
  return parts.join(" ");
}

/** A field with its label, hint and place for errors around `control`. */
export function frame(context, schema, control, { get, group = false, id, wide = false }) {
  const errorID = freshID("error");
  const hintID = freshID("hint");
  const error = h("p", { class: "field-error", id: errorID, hidden: true });
  const text = hint(schema, context.help);
  const title = [
    context.label ?? label(context.name),
    schema.required && !group && !("default" in schema) && h("span", { class: "required" }, " required"),
  ];
  const element = h(
    group ? "fieldset" : "div",
    { class: ["field", group && "is-group", wide && "is-wide"], data: { path: context.path } },
    group ? h("legend", title) : h("label", { for: id }, title),
    group && text && h("p", { class: "hint", id: hintID }, text),
    control,
    !group && text && h("p", { class: "hint", id: hintID }, text),
    error,
  );
  const target = group
    ? element
    : control.matches?.("input, select, textarea")
    ? control
    : control.querySelector("input, select, textarea");
  const describe = (failed) => {
    const ids = [text && hintID, failed && errorID].filter(Boolean).join(" ");
    if (ids) target?.setAttribute("aria-describedby", ids);
    else target?.removeAttribute("aria-describedby");
  };
  describe(false);
  return {
    element,
    path: context.path,
    get,
    show(messages) {
      error.hidden = messages.length === 0;
      put(error, messages.length ? [icon("error", 14), " ", messages.join(" ")] : null);
      element.classList.toggle("has-error", messages.length > 0);
      if (target && !group) {
        if (messages.length) target.setAttribute("aria-invalid", "true");
        else target.removeAttribute("aria-invalid");
      }
      describe(messages.length > 0);
      if (messages.length) {
        for (
          let node = element.parentElement;
          node;
          node = node.parentElement
        ) if (node.tagName === "DETAILS") node.open = true;
      }
    },
    focus() {
      target?.focus();
    },
    children: [],
  };
}
