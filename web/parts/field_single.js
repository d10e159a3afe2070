// Fields of one value: text, a number, a choice, yes or no, JSON.

import { freshID, h } from "../lib/dom.js";
import { LONG_FIELDS, SECRET_FIELDS } from "../lib/types.js";
import { frame, nothing, same } from "./field_frame.js";

const placeholder = (
  schema,
) => (nothing(schema.default) || typeof schema.default === "object" ? null : String(schema.default));

export function text(context, schema, value) {
  const id = freshID("field");
  const secret = SECRET_FIELDS.has(context.name) || schema.encrypted;
  const long = LONG_FIELDS.has(context.name) || (context.name === "key" && context.type === "certificates");
  const changed = context.changed;
  const input = long
    ? h("textarea", {
      id,
      class: "input is-code",
      rows: 6,
      spellcheck: "false",
      value: value ?? "",
      oninput: changed,
      placeholder: /cert|key/.test(context.name) ? "-----BEGIN …" : null,
    })
    : h("input", {
      id,
      class: ["input", secret && "is-code"],
      type: secret ? "password" : "text",
      autocomplete: "off",
      spellcheck: "false",
      value: value ?? "",
      placeholder: placeholder(schema),
      oninput: changed,
    });
  const control = secret && !long
    ? h(
      "div",
      { class: "input-group" },
      input,
      h("button", {
        type: "button",
        class: "button",
        "aria-pressed": "false",
        onclick: (event) => {
          const shown = input.type === "password";
          input.type = shown ? "text" : "password";
          event.currentTarget.setAttribute("aria-pressed", String(shown));
        },
      }, "Show"),
    )
    : input;
  return frame(context, schema, control, {
    id,
    wide: long,
    get: () => (input.value === "" ? null : input.value),
  });
}

export function numeric(context, schema, value) {
  const id = freshID("field");
  const input = h("input", {
    id,
    class: "input is-number",
    type: "text",
    inputmode: schema.type === "integer" ? "numeric" : "decimal",
    autocomplete: "off",
    value: value ?? "",
    placeholder: placeholder(schema),
    oninput: context.changed,
  });
  // What is no number goes to the control plane as it stands: its message says what is expected.
  return frame(context, schema, input, {
    id,
    get: () => (input.value.trim() === ""
      ? null
      : Number.isFinite(Number(input.value))
      ? Number(input.value)
      : input.value),
  });
}

export function choice(context, schema, value) {
  const id = freshID("field");
  const values = schema.one_of;
  const free = nothing(schema.default) && !schema.required;
  const select = h(
    "select",
    { id, class: "input", onchange: context.changed },
    (free || nothing(value ?? schema.default)) && h("option", { value: "" }, free ? "not set" : "choose"),
    values.map((one) =>
      h("option", { value: JSON.stringify(one), selected: same(one, value ?? schema.default) }, String(one))
    ),
  );
  return frame(context, schema, select, {
    id,
    get: () => (select.value === "" ? null : JSON.parse(select.value)),
  });
}

export function flag(context, schema, value) {
  const id = freshID("field");
  if (schema.required || typeof schema.default === "boolean") {
    const input = h("input", {
      id,
      type: "checkbox",
      role: "switch",
      class: "switch",
      checked: value ?? schema.default ?? false,
      onchange: context.changed,
    });
    const field = frame(context, schema, input, { id, get: () => input.checked });
    field.element.classList.add("is-switch");
    return field;
  }
  const select = h(
    "select",
    { id, class: "input", onchange: context.changed },
    [["", "not set"], ["true", "yes"], ["false", "no"]].map(([key, title]) =>
      h("option", { value: key, selected: String(value ?? "") === key }, title)
    ),
  );
  return frame(context, schema, select, {
    id,
    get: () => (select.value === "" ? null : select.value === "true"),
  });
}

/** What no other input fits: JSON. */
export function raw(context, schema, value) {
  const id = freshID("field");
  const area = h("textarea", {
    id,
    class: "input is-code",
    rows: 4,
    spellcheck: "false",
    value: nothing(value) ? "" : JSON.stringify(value, null, 2),
    oninput: context.changed,
    placeholder: "JSON",
  });
  return frame(context, schema, area, {
    id,
    wide: true,
    get: () => {
      if (area.value.trim() === "") return null;
      try {
        return JSON.parse(area.value);
      } catch {
        return area.value;
      }
    },
  });
}
