// Ctrl K: any page, any resource by name.

import { freshID, h, put, settle } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { all } from "../lib/resources.js";
import { go } from "../lib/router.js";
import { pathOf, pluginTitle, titleOf, TYPES } from "../lib/types.js";
import { PLACES } from "../lib/places.js";
import { dialog } from "./layers.js";

const SEARCHED = ["services", "routes", "upstreams", "consumers", "plugins", "snis"];

export function palette() {
  if (document.querySelector("dialog[open]")) return;
  const listID = freshID("palette");
  const pages = PLACES.flatMap(([, places]) => places).map(([path, text, image]) => ({
    text,
    image,
    note: "page",
    path,
  }));
  let found = [];
  let active = 0;
  const box = h("div", { class: "palette-list", role: "listbox", id: listID, "aria-label": "Found" });
  dialog("Search everything", (close) => {
    const input = h("input", {
      class: "input",
      "data-focus": true,
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": listID,
      "aria-label": "Name of a page or resource",
      placeholder: "Name of a page or resource",
      autocomplete: "off",
      spellcheck: "false",
      oninput: settle(search, 60),
      onkeydown: (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
          active = Math.max(0, Math.min(found.length - 1, active + step));
          mark();
          event.preventDefault();
        }
        if (event.key === "Enter") {
          event.preventDefault();
          open(active);
        }
      },
    });
    function open(index) {
      if (!found[index]) return;
      close();
      go(found[index].path);
    }
    function mark() {
      [...box.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === active)));
      if (box.children[active]) {
        input.setAttribute("aria-activedescendant", box.children[active].id);
        box.children[active].scrollIntoView({ block: "nearest" });
      }
    }
    async function search() {
      const word = input.value.trim().toLowerCase();
      const parts = word
        ? await Promise.all(
          SEARCHED.map(async (type) =>
            (await all(type).catch(() => [])).map((resource) => ({
              text: type === "plugins" ? pluginTitle(resource) : titleOf(resource),
              image: TYPES[type].icon,
              note: TYPES[type].one,
              path: pathOf(type, resource.id),
              id: resource.id,
            }))
          ),
        )
        : [];
      const rank = (one) => (one.text.toLowerCase().startsWith(word) ? 0 : 1);
      found = [...pages, ...parts.flat()].filter((one) =>
        one.text?.toLowerCase().includes(word) || one.id === word
      ).sort((a, b) => rank(a) - rank(b)).slice(0, 60);
      active = 0;
      put(
        box,
        found.length
          ? found.map((one, index) =>
            h(
              "div",
              {
                class: "option",
                role: "option",
                id: `${listID}-${index}`,
                onclick: () => open(index),
              },
              icon(one.image, 16),
              h("span", one.text),
              h("span", { class: "spring" }),
              h("span", { class: "note" }, one.note),
            )
          )
          : h(
            "div",
            { class: "option is-none", role: "option", "aria-disabled": "true" },
            "Nothing has that name",
          ),
      );
      mark();
    }
    search();
    return h("div", { class: "dialog-body palette" }, input, box);
  });
}
