// Fields of many values: boxes to tick, words as chips, names with values.

import { freshID, h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { frame, label } from "./field_frame.js";

/** A set of known words: boxes to tick. */
export function boxes(context, schema, value) {
  const chosen = new Set(value ?? schema.default ?? []);
  const inputs = schema.elements.one_of.map((
    one,
  ) => [one, h("input", { type: "checkbox", checked: chosen.has(one), onchange: context.changed })]);
  const control = h(
    "div",
    { class: "boxes" },
    inputs.map(([one, input]) => h("label", { class: "box" }, input, String(one))),
  );
  return frame(context, schema, control, {
    group: true,
    get: () => {
      const list = inputs.filter(([, input]) => input.checked).map(([one]) => one);
      return list.length === 0 && !schema.required ? null : list;
    },
  });
}

/** Words or numbers, each becomes a chip on Enter or comma. */
export function wordList(context, schema, value) {
  const id = freshID("field");
  const isNumber = ["integer", "number"].includes(schema.elements?.type);
  const isTags = context.name === "tags";
  const list = [
    ...(Array.isArray(value)
      ? value
      : Array.isArray(schema.default) && context.fresh
      ? schema.default
      : value ?? []),
  ];
  const input = h("input", {
    id,
    class: "chips-input",
    autocomplete: "off",
    spellcheck: "false",
    list: schema.elements?.one_of ? `${id}-list` : null,
    placeholder: list.length ? "" : isTags ? "zone=eu" : "",
    onkeydown: (event) => {
      if (event.key === "Enter" || (event.key === "," && context.name !== "paths")) {
        if (input.value.trim() === "") {
          if (event.key === ",") event.preventDefault();
          return;
        }
        event.preventDefault();
        take();
      } else if (event.key === "Backspace" && input.value === "" && list.length) {
        list.pop();
        draw();
        context.changed();
      }
    },
    onblur: () => take(),
    onpaste: (event) => {
      const parts = event.clipboardData.getData("text").split(/[\n]+/).map((one) => one.trim()).filter(
        Boolean,
      );
      if (parts.length > 1) {
        event.preventDefault();
        parts.forEach(addOne);
        draw();
        context.changed();
      }
    },
  });
  const holder = h("div", {
    class: "input chips-field",
    onclick: (event) => {
      if (event.target === holder) input.focus();
    },
  });
  function addOne(textValue) {
    const one = isNumber && Number.isFinite(Number(textValue)) ? Number(textValue) : textValue;
    if (!list.includes(one)) list.push(one);
  }
  function take() {
    const textValue = input.value.trim();
    if (textValue === "") return;
    addOne(textValue);
    input.value = "";
    draw();
    context.changed();
  }
  function draw() {
    const hadFocus = document.activeElement === input;
    put(
      holder,
      list.map((one, index) =>
        h(
          "span",
          { class: "chip" },
          String(one),
          h("button", {
            type: "button",
            class: "chip-remove",
            "aria-label": `Remove ${one}`,
            onclick: () => {
              list.splice(index, 1);
              draw();
              context.changed();
              input.focus();
            },
          }, icon("close", 10)),
        )
      ),
      input,
      schema.elements?.one_of && h(
        "datalist",
        { id: `${id}-list` },
        schema.elements.one_of.map((one) => h("option", { value: String(one) })),
      ),
    );
    input.placeholder = list.length ? "" : isTags ? "zone=eu" : "type, then Enter";
    if (hadFocus) input.focus();
  }
  draw();
  return frame(context, schema, holder, {
    id,
    get: () => {
      const now = input.value.trim() === "" ? list : [
        ...list,
        isNumber && Number.isFinite(Number(input.value)) ? Number(input.value) : input.value.trim(),
      ];
      if (now.length) return [...now];
      return schema.required || (Array.isArray(value) && value.length === 0) ? [] : null;
    },
  });
}

/** Names and values, a row each. */
export function map(context, schema, value) {
  const rows = [];
  const body = h("div", { class: "rows" });
  const isList = ["array", "set"].includes(schema.values?.type);
  const isNumber = ["integer", "number"].includes(schema.values?.type);
  const isRecord = ["record", "map"].includes(schema.values?.type);
  function row(key = "", one = "") {
    const name = h("input", {
      class: "input",
      value: key,
      placeholder: "name",
      "aria-label": `${label(context.name)}: name`,
      oninput: context.changed,
      autocomplete: "off",
    });
    const shown = isRecord
      ? (one === "" ? "{}" : JSON.stringify(one))
      : isList
      ? [one].flat().join(", ")
      : one;
    const content = h("input", {
      class: "input",
      value: shown,
      placeholder: isList ? "value, value" : "value",
      "aria-label": `${label(context.name)}: value`,
      oninput: context.changed,
      autocomplete: "off",
    });
    const entry = { name, content };
    const element = h(
      "div",
      { class: "row-pair" },
      name,
      content,
      h("button", {
        type: "button",
        class: "button is-bare",
        "aria-label": `Remove ${key || "this row"}`,
        onclick: () => {
          rows.splice(rows.indexOf(entry), 1);
          element.remove();
          context.changed();
        },
      }, icon("close", 14)),
    );
    rows.push(entry);
    body.append(element);
    return entry;
  }
  for (const [key, one] of Object.entries(value ?? {})) row(key, one);
  const control = h(
    "div",
    body,
    h(
      "button",
      {
        type: "button",
        class: "button is-small",
        onclick: () => {
          row().name.focus();
          context.changed();
        },
      },
      icon("plus", 14),
      "Add",
    ),
  );
  return frame(context, schema, control, {
    group: true,
    get: () => {
      const out = {};
      for (const { name, content } of rows) {
        if (name.value.trim() === "") continue;
        let one = content.value;
        if (isList) one = one.split(",").map((part) => part.trim()).filter(Boolean);
        else if (isNumber && one !== "" && Number.isFinite(Number(one))) one = Number(one);
        else if (isRecord) {
          try {
            one = JSON.parse(one);
          } catch { /* the control plane says what is wrong */ }
        }
        out[name.value.trim()] = one;
      }
      return Object.keys(out).length || schema.required ? out : null;
    },
  });
}
