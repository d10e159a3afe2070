// A field that names another resource, found by typing a part of its name.

import { freshID, h, put, settle } from "../lib/dom.js";
import { all } from "../lib/resources.js";
import { titleOf, TYPES } from "../lib/types.js";
import { frame, label } from "./field_frame.js";

/** Another resource: found by typing a part of its name. */
export function reference(context, schema, value) {
  const id = freshID("field");
  const listID = freshID("list");
  const type = schema.reference;
  let chosen = value?.id ?? null;
  let options = [];
  let active = -1;
  const input = h("input", {
    id,
    class: "input",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": listID,
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    value: value?.name ?? (chosen ? chosen.slice(0, 8) : ""),
    placeholder: schema.required ? "choose" : "none",
  });
  const box = h("div", {
    class: "options",
    id: listID,
    role: "listbox",
    "aria-label": `Choices for ${label(context.name).toLowerCase()}`,
    hidden: true,
  });
  const resources = all(type).catch(() => []);
  resources.then((found) => {
    const had = found.find((one) => one.id === chosen || (value?.name && one.name === value.name));
    if (had) {
      chosen = had.id;
      input.value = titleOf(had);
    }
  });
  const filter = settle(async () => {
    const word = input.value.trim().toLowerCase();
    const found = await resources;
    options = found.filter((one) => titleOf(one).toLowerCase().includes(word) || one.id.startsWith(word))
      .slice(0, 40);
    active = options.length ? 0 : -1;
    put(
      box,
      options.length === 0
        ? h(
          "div",
          { class: "option is-none", role: "option", "aria-disabled": "true" },
          found.length ? "No such one" : `There are no ${TYPES[type]?.many.toLowerCase() ?? type} yet`,
        )
        : options.map((one, index) =>
          h(
            "div",
            {
              class: "option",
              role: "option",
              id: `${listID}-${index}`,
              "aria-selected": String(index === active),
              onpointerdown: (event) => {
                event.preventDefault();
                pick(index);
              },
            },
            titleOf(one),
            h("span", { class: "note" }, one.id.slice(0, 8)),
          )
        ),
    );
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
    if (active >= 0 && !box.hidden) {
      input.setAttribute("aria-activedescendant", `${listID}-${active}`);
      box.children[active]?.scrollIntoView({ block: "nearest" });
    }
  }
  function pick(index) {
    const one = options[index];
    if (!one) return;
    chosen = one.id;
    input.value = titleOf(one);
    toggle(false);
    context.changed();
  }
  input.addEventListener("input", () => {
    chosen = null;
    filter();
    context.changed();
  });
  input.addEventListener("focus", () => {
    input.select();
    filter();
  });
  input.addEventListener("blur", () => toggle(false));
  input.addEventListener("keydown", (event) => {
    if (box.hidden) {
      if (event.key === "ArrowDown") {
        filter();
        event.preventDefault();
      }
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      active = Math.max(0, Math.min(options.length - 1, active + step));
      mark();
    } else if (event.key === "Enter") pick(active);
    else if (event.key === "Escape") {
      toggle(false);
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
  return frame(context, schema, h("div", { class: "combo" }, input, box), {
    id,
    get: () => {
      if (input.value.trim() === "") return null;
      // A name that was typed and not picked goes as a name: the control plane resolves it, or says there is none.
      return chosen ? { id: chosen } : { name: input.value.trim() };
    },
  });
}
