// The field for any schema, and records: fields within fields. A field: { element, get(), show(errors), focus() }.

import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { frame, nothing } from "./field_frame.js";
import { boxes, map, wordList } from "./field_many.js";
import { reference } from "./field_reference.js";
import { choice, flag, numeric, raw, text } from "./field_single.js";

/** A schema's list of fields, `[{name: {…}}, …]`, as pairs. */
export const pairs = (fields) => (fields ?? []).map((one) => Object.entries(one)[0]);

/** Records of a list, each a box of its own. */
function records(context, schema, value) {
  const entries = [];
  const body = h("div", { class: "rows" });
  const control = h("div", body);
  const field = frame(context, schema, control, {
    group: true,
    get: () => (entries.length || schema.required ? entries.map((one) => one.get()) : null),
  });
  function number() {
    entries.forEach((entry, index) => {
      entry.title.textContent = `${index + 1}`;
      entry.setPath(`${context.path}[${index + 1}]`);
    });
    field.children = entries.flatMap((entry) => entry.fields);
  }
  function addEntry(one) {
    const inner = record(
      { ...context, name: "", path: `${context.path}[${entries.length + 1}]`, bare: true },
      schema.elements,
      one,
    );
    const title = h("span", { class: "note" });
    const entry = { get: inner.get, fields: inner.children, title, setPath: () => {} };
    const element = h(
      "div",
      { class: "record-row" },
      h(
        "div",
        { class: "record-row-head" },
        title,
        h("button", {
          type: "button",
          class: "button is-bare",
          "aria-label": "Remove this entry",
          onclick: () => {
            entries.splice(entries.indexOf(entry), 1);
            element.remove();
            number();
            context.changed();
          },
        }, icon("close", 14)),
      ),
      inner.element,
    );
    entries.push(entry);
    body.append(element);
    number();
  }
  for (const one of value ?? []) addEntry(one);
  control.append(h(
    "button",
    {
      type: "button",
      class: "button is-small",
      onclick: () => {
        addEntry(null);
        context.changed();
      },
    },
    icon("plus", 14),
    "Add",
  ));
  return field;
}

/** A record inside another: its fields in a box; those that are rarely set are folded away. */
export function record(context, schema, value) {
  const fields = pairs(schema.fields).filter(([, one]) => !one.deprecation && one.type !== "function").map((
    [name, one],
  ) =>
    make(
      {
        ...context,
        name,
        label: undefined,
        bare: false,
        help: undefined,
        path: context.path ? `${context.path}.${name}` : name,
      },
      one,
      value?.[name],
    )
  );
  const get = () => {
    const out = {};
    let any = false;
    for (const field of fields) {
      const one = field.get();
      out[field.path.split(".").at(-1)] = one;
      if (!nothing(one)) any = true;
    }
    return any || schema.required || (value !== null && value !== undefined) ? out : null;
  };
  if (context.bare) {
    return {
      element: h("div", { class: "fields" }, fields.map((one) => one.element)),
      get,
      path: context.path,
      children: fields,
      show() {},
      focus() {},
    };
  }
  const field = frame(context, schema, h("div", { class: "fields" }, fields.map((one) => one.element)), {
    group: true,
    get,
    wide: true,
  });
  field.children = fields;
  return field;
}

/** The field for a schema. `context`: { name, path, type, changed, fresh, help }. */
export function make(context, schema, value) {
  const elements = schema.elements;
  switch (schema.type) {
    case "foreign":
      return reference(context, schema, value);
    case "boolean":
      return flag(context, schema, value);
    case "record":
      return schema.fields?.length ? record(context, schema, value) : raw(context, schema, value);
    case "map":
      return map(context, schema, value);
    case "set":
    case "array":
      if (elements?.type === "record") return records(context, schema, value);
      if (elements?.one_of && elements.one_of.length <= 12) return boxes(context, schema, value);
      if (!elements || ["array", "set", "map", "foreign"].includes(elements.type)) {
        return raw(context, schema, value);
      }
      return wordList(context, schema, value);
    case "integer":
    case "number":
      return schema.one_of ? choice(context, schema, value) : numeric(context, schema, value);
    case "string":
      return schema.one_of ? choice(context, schema, value) : text(context, schema, value);
    default:
      return raw(context, schema, value);
  }
}
