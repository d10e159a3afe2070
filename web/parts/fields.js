// One input for each kind of value that a schema knows. A field: { element, get(), show(errors) }.

import { freshID, h, put, settle } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { LONG_FIELDS, SECRET_FIELDS, titleOf, TYPES } from "../lib/types.js";
import { all } from "../lib/resources.js";

const words = (name) => {
  const text = name.replaceAll("_", " ");
  return (text[0] ?? "").toUpperCase() + text.slice(1);
};
const UPPER = /\b(id|ip|url|uri|ttl|sni|snis|tls|http|https|http2|tcp|dns|jwk|pem|ca|api|cors|ssl)\b/gi;
export const label = (name) => words(name).replace(UPPER, (word) => (word.toLowerCase() === "snis" ? "SNIs" : word.toUpperCase()));

const nothing = (value) => value === undefined || value === null || value === "";
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** A schema's list of fields, `[{name: {…}}, …]`, as pairs. */
export const pairs = (fields) => (fields ?? []).map((one) => Object.entries(one)[0]);

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
function frame(context, schema, control, { get, group = false, id, wide = false }) {
  const errorID = freshID("error");
  const hintID = freshID("hint");
  const error = h("p", { class: "field-error", id: errorID, hidden: true });
  const text = hint(schema, context.help);
  const title = [context.label ?? label(context.name), schema.required && !group && !("default" in schema) && h("span", { class: "required" }, " required")];
  const element = h(group ? "fieldset" : "div", { class: ["field", group && "is-group", wide && "is-wide"], data: { path: context.path } },
    group ? h("legend", title) : h("label", { for: id }, title),
    group && text && h("p", { class: "hint", id: hintID }, text), control, !group && text && h("p", { class: "hint", id: hintID }, text), error);
  const target = group ? element : control.matches?.("input, select, textarea") ? control : control.querySelector("input, select, textarea");
  const describe = (failed) => {
    const ids = [text && hintID, failed && errorID].filter(Boolean).join(" ");
    if (ids) target?.setAttribute("aria-describedby", ids); else target?.removeAttribute("aria-describedby");
  };
  describe(false);
  return {
    element, path: context.path, get,
    show(messages) {
      error.hidden = messages.length === 0;
      put(error, messages.length ? [icon("error", 14), " ", messages.join(" ")] : null);
      element.classList.toggle("has-error", messages.length > 0);
      if (target && !group) { if (messages.length) target.setAttribute("aria-invalid", "true"); else target.removeAttribute("aria-invalid"); }
      describe(messages.length > 0);
      if (messages.length) for (let node = element.parentElement; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    },
    focus() { target?.focus(); },
    children: [],
  };
}

const placeholder = (schema) => (nothing(schema.default) || typeof schema.default === "object" ? null : String(schema.default));

function text(context, schema, value) {
  const id = freshID("field");
  const secret = SECRET_FIELDS.has(context.name) || schema.encrypted;
  const long = LONG_FIELDS.has(context.name) || (context.name === "key" && context.type === "certificates");
  const changed = context.changed;
  const input = long
    ? h("textarea", { id, class: "input is-code", rows: 6, spellcheck: "false", value: value ?? "", oninput: changed, placeholder: /cert|key/.test(context.name) ? "-----BEGIN …" : null })
    : h("input", { id, class: ["input", secret && "is-code"], type: secret ? "password" : "text", autocomplete: "off", spellcheck: "false", value: value ?? "", placeholder: placeholder(schema), oninput: changed });
  const control = secret && !long
    ? h("div", { class: "input-group" }, input, h("button", {
        type: "button", class: "button", "aria-pressed": "false",
        onclick: (event) => {
          const shown = input.type === "password";
          input.type = shown ? "text" : "password";
          event.currentTarget.setAttribute("aria-pressed", String(shown));
        },
      }, "Show"))
    : input;
  return frame(context, schema, control, { id, wide: long, get: () => (input.value === "" ? null : input.value) });
}

function numeric(context, schema, value) {
  const id = freshID("field");
  const input = h("input", {
    id, class: "input is-number", type: "text", inputmode: schema.type === "integer" ? "numeric" : "decimal", autocomplete: "off",
    value: value ?? "", placeholder: placeholder(schema), oninput: context.changed,
  });
  // What is no number goes to the control plane as it stands: its message says what is expected.
  return frame(context, schema, input, { id, get: () => (input.value.trim() === "" ? null : Number.isFinite(Number(input.value)) ? Number(input.value) : input.value) });
}

function choice(context, schema, value) {
  const id = freshID("field");
  const values = schema.one_of;
  const free = nothing(schema.default) && !schema.required;
  const select = h("select", { id, class: "input", onchange: context.changed },
    (free || nothing(value ?? schema.default)) && h("option", { value: "" }, free ? "not set" : "choose"),
    values.map((one) => h("option", { value: JSON.stringify(one), selected: same(one, value ?? schema.default) }, String(one))));
  return frame(context, schema, select, { id, get: () => (select.value === "" ? null : JSON.parse(select.value)) });
}

function flag(context, schema, value) {
  const id = freshID("field");
  if (schema.required || typeof schema.default === "boolean") {
    const input = h("input", { id, type: "checkbox", role: "switch", class: "switch", checked: value ?? schema.default ?? false, onchange: context.changed });
    const field = frame(context, schema, input, { id, get: () => input.checked });
    field.element.classList.add("is-switch");
    return field;
  }
  const select = h("select", { id, class: "input", onchange: context.changed },
    [["", "not set"], ["true", "yes"], ["false", "no"]].map(([key, title]) => h("option", { value: key, selected: String(value ?? "") === key }, title)));
  return frame(context, schema, select, { id, get: () => (select.value === "" ? null : select.value === "true") });
}

/** A set of known words: boxes to tick. */
function boxes(context, schema, value) {
  const chosen = new Set(value ?? schema.default ?? []);
  const inputs = schema.elements.one_of.map((one) => [one, h("input", { type: "checkbox", checked: chosen.has(one), onchange: context.changed })]);
  const control = h("div", { class: "boxes" }, inputs.map(([one, input]) => h("label", { class: "box" }, input, String(one))));
  return frame(context, schema, control, { group: true, get: () => {
    const list = inputs.filter(([, input]) => input.checked).map(([one]) => one);
    return list.length === 0 && !schema.required ? null : list;
  } });
}

/** Words or numbers, each becomes a chip on Enter or comma. */
function words_(context, schema, value) {
  const id = freshID("field");
  const isNumber = ["integer", "number"].includes(schema.elements?.type);
  const isTags = context.name === "tags";
  let list = [...(Array.isArray(value) ? value : Array.isArray(schema.default) && context.fresh ? schema.default : value ?? [])];
  const input = h("input", {
    id, class: "chips-input", autocomplete: "off", spellcheck: "false", list: schema.elements?.one_of ? `${id}-list` : null,
    placeholder: list.length ? "" : isTags ? "zone=eu" : "",
    onkeydown: (event) => {
      if (event.key === "Enter" || (event.key === "," && context.name !== "paths")) {
        if (input.value.trim() === "") { if (event.key === ",") event.preventDefault(); return; }
        event.preventDefault();
        take();
      } else if (event.key === "Backspace" && input.value === "" && list.length) {
        list.pop(); draw(); context.changed();
      }
    },
    onblur: () => take(),
    onpaste: (event) => {
      const parts = event.clipboardData.getData("text").split(/[\n]+/).map((one) => one.trim()).filter(Boolean);
      if (parts.length > 1) { event.preventDefault(); parts.forEach(addOne); draw(); context.changed(); }
    },
  });
  const holder = h("div", { class: "input chips-field", onclick: (event) => { if (event.target === holder) input.focus(); } });
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
    put(holder, list.map((one, index) => h("span", { class: "chip" }, String(one), h("button", {
      type: "button", class: "chip-remove", "aria-label": `Remove ${one}`,
      onclick: () => { list.splice(index, 1); draw(); context.changed(); input.focus(); },
    }, icon("close", 10)))), input,
    schema.elements?.one_of && h("datalist", { id: `${id}-list` }, schema.elements.one_of.map((one) => h("option", { value: String(one) }))));
    input.placeholder = list.length ? "" : isTags ? "zone=eu" : "type, then Enter";
    if (hadFocus) input.focus();
  }
  draw();
  return frame(context, schema, holder, { id, get: () => {
    const now = input.value.trim() === "" ? list : [...list, isNumber && Number.isFinite(Number(input.value)) ? Number(input.value) : input.value.trim()];
    if (now.length) return [...now];
    return schema.required || (Array.isArray(value) && value.length === 0) ? [] : null;
  } });
}

/** Names and values, a row each. */
function map(context, schema, value) {
  const rows = [];
  const body = h("div", { class: "rows" });
  const isList = ["array", "set"].includes(schema.values?.type);
  const isNumber = ["integer", "number"].includes(schema.values?.type);
  const isRecord = ["record", "map"].includes(schema.values?.type);
  function row(key = "", one = "") {
    const name = h("input", { class: "input", value: key, placeholder: "name", "aria-label": `${label(context.name)}: name`, oninput: context.changed, autocomplete: "off" });
    const shown = isRecord ? (one === "" ? "{}" : JSON.stringify(one)) : isList ? [one].flat().join(", ") : one;
    const content = h("input", { class: "input", value: shown, placeholder: isList ? "value, value" : "value", "aria-label": `${label(context.name)}: value`, oninput: context.changed, autocomplete: "off" });
    const entry = { name, content };
    const element = h("div", { class: "row-pair" }, name, content, h("button", {
      type: "button", class: "button is-bare", "aria-label": `Remove ${key || "this row"}`,
      onclick: () => { rows.splice(rows.indexOf(entry), 1); element.remove(); context.changed(); },
    }, icon("close", 14)));
    rows.push(entry);
    body.append(element);
    return entry;
  }
  for (const [key, one] of Object.entries(value ?? {})) row(key, one);
  const control = h("div", body, h("button", { type: "button", class: "button is-small", onclick: () => { row().name.focus(); context.changed(); } }, icon("plus", 14), "Add"));
  return frame(context, schema, control, { group: true, get: () => {
    const out = {};
    for (const { name, content } of rows) {
      if (name.value.trim() === "") continue;
      let one = content.value;
      if (isList) one = one.split(",").map((part) => part.trim()).filter(Boolean);
      else if (isNumber && one !== "" && Number.isFinite(Number(one))) one = Number(one);
      else if (isRecord) { try { one = JSON.parse(one); } catch { /* the control plane says what is wrong */ } }
      out[name.value.trim()] = one;
    }
    return Object.keys(out).length || schema.required ? out : null;
  } });
}

/** Records of a list, each a box of its own. */
function records(context, schema, value) {
  const entries = [];
  const body = h("div", { class: "rows" });
  const control = h("div", body);
  const field = frame(context, schema, control, { group: true, get: () => (entries.length || schema.required ? entries.map((one) => one.get()) : null) });
  function number() {
    entries.forEach((entry, index) => { entry.title.textContent = `${index + 1}`; entry.setPath(`${context.path}[${index + 1}]`); });
    field.children = entries.flatMap((entry) => entry.fields);
  }
  function addEntry(one) {
    const inner = record({ ...context, name: "", path: `${context.path}[${entries.length + 1}]`, bare: true }, schema.elements, one);
    const title = h("span", { class: "note" });
    const entry = { get: inner.get, fields: inner.children, title, setPath: () => {} };
    const element = h("div", { class: "record-row" }, h("div", { class: "record-row-head" }, title, h("button", {
      type: "button", class: "button is-bare", "aria-label": "Remove this entry",
      onclick: () => { entries.splice(entries.indexOf(entry), 1); element.remove(); number(); context.changed(); },
    }, icon("close", 14))), inner.element);
    entries.push(entry);
    body.append(element);
    number();
  }
  for (const one of value ?? []) addEntry(one);
  control.append(h("button", { type: "button", class: "button is-small", onclick: () => { addEntry(null); context.changed(); } }, icon("plus", 14), "Add"));
  return field;
}

/** A record inside another: its fields in a box; those that are rarely set are folded away. */
export function record(context, schema, value) {
  const fields = pairs(schema.fields).filter(([, one]) => !one.deprecation && one.type !== "function").map(([name, one]) =>
    make({ ...context, name, label: undefined, bare: false, help: undefined, path: context.path ? `${context.path}.${name}` : name }, one, value?.[name]));
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
  if (context.bare) return { element: h("div", { class: "fields" }, fields.map((one) => one.element)), get, path: context.path, children: fields, show() {}, focus() {} };
  const field = frame(context, schema, h("div", { class: "fields" }, fields.map((one) => one.element)), { group: true, get, wide: true });
  field.children = fields;
  return field;
}

/** Another resource: found by typing a part of its name. */
function reference(context, schema, value) {
  const id = freshID("field");
  const listID = freshID("list");
  const type = schema.reference;
  let chosen = value?.id ?? null;
  let options = [];
  let active = -1;
  const input = h("input", {
    id, class: "input", role: "combobox", "aria-expanded": "false", "aria-controls": listID, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    value: value?.name ?? (chosen ? chosen.slice(0, 8) : ""), placeholder: schema.required ? "choose" : "none",
  });
  const box = h("div", { class: "options", id: listID, role: "listbox", "aria-label": label(context.name), hidden: true });
  const resources = all(type).catch(() => []);
  resources.then((found) => {
    const had = found.find((one) => one.id === chosen || (value?.name && one.name === value.name));
    if (had) { chosen = had.id; input.value = titleOf(had); }
  });
  const filter = settle(async () => {
    const word = input.value.trim().toLowerCase();
    const found = await resources;
    options = found.filter((one) => titleOf(one).toLowerCase().includes(word) || one.id.startsWith(word)).slice(0, 40);
    active = options.length ? 0 : -1;
    put(box, options.length === 0 ? h("div", { class: "option is-none", role: "option", "aria-disabled": "true" }, found.length ? "No such one" : `There are no ${TYPES[type]?.many.toLowerCase() ?? type} yet`)
      : options.map((one, index) => h("div", {
          class: "option", role: "option", id: `${listID}-${index}`, "aria-selected": String(index === active),
          onpointerdown: (event) => { event.preventDefault(); pick(index); },
        }, titleOf(one), h("span", { class: "note" }, one.id.slice(0, 8)))));
    toggle(document.activeElement === input);
    mark();
  }, 60);
  function toggle(open) {
    box.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) input.removeAttribute("aria-activedescendant");
  }
  function mark() {
    [...box.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === active)));
    if (active >= 0 && !box.hidden) { input.setAttribute("aria-activedescendant", `${listID}-${active}`); box.children[active]?.scrollIntoView({ block: "nearest" }); }
  }
  function pick(index) {
    const one = options[index];
    if (!one) return;
    chosen = one.id;
    input.value = titleOf(one);
    toggle(false);
    context.changed();
  }
  input.addEventListener("input", () => { chosen = null; filter(); context.changed(); });
  input.addEventListener("focus", () => { input.select(); filter(); });
  input.addEventListener("blur", () => toggle(false));
  input.addEventListener("keydown", (event) => {
    if (box.hidden) { if (event.key === "ArrowDown") { filter(); event.preventDefault(); } return; }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { active = Math.max(0, Math.min(options.length - 1, active + step)); mark(); }
    else if (event.key === "Enter") pick(active);
    else if (event.key === "Escape") { toggle(false); event.stopPropagation(); }
    else return;
    event.preventDefault();
  });
  return frame(context, schema, h("div", { class: "combo" }, input, box), { id, get: () => {
    if (input.value.trim() === "") return null;
    // A name that was typed and not picked goes as a name: the control plane resolves it, or says there is none.
    return chosen ? { id: chosen } : { name: input.value.trim() };
  } });
}

/** What no other input fits: JSON. */
function raw(context, schema, value) {
  const id = freshID("field");
  const area = h("textarea", { id, class: "input is-code", rows: 4, spellcheck: "false", value: nothing(value) ? "" : JSON.stringify(value, null, 2), oninput: context.changed, placeholder: "JSON" });
  return frame(context, schema, area, { id, wide: true, get: () => {
    if (area.value.trim() === "") return null;
    try { return JSON.parse(area.value); } catch { return area.value; }
  } });
}

/** The field for a schema. `context`: { name, path, type, changed, fresh, help }. */
export function make(context, schema, value) {
  const elements = schema.elements;
  switch (schema.type) {
    case "foreign": return reference(context, schema, value);
    case "boolean": return flag(context, schema, value);
    case "record": return schema.fields?.length ? record(context, schema, value) : raw(context, schema, value);
    case "map": return map(context, schema, value);
    case "set":
    case "array":
      if (elements?.type === "record") return records(context, schema, value);
      if (elements?.one_of && elements.one_of.length <= 12) return boxes(context, schema, value);
      if (!elements || ["array", "set", "map", "foreign"].includes(elements.type)) return raw(context, schema, value);
      return words_(context, schema, value);
    case "integer":
    case "number": return schema.one_of ? choice(context, schema, value) : numeric(context, schema, value);
    case "string": return schema.one_of ? choice(context, schema, value) : text(context, schema, value);
    default: return raw(context, schema, value);
  }
}
