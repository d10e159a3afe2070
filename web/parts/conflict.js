// Somebody else saved first: what they changed, what was changed here, and how to go on.

import { h } from "../lib/dom.js";
import { compare } from "./diff.js";
import { dialog } from "./layers.js";
import { brief } from "../lib/format.js";
import { notice } from "./bits.js";

const OWN = /^(updated_at|created_at|id)$/;

/** `base` was loaded, `theirs` is stored now, `mine` was to be saved. Resolves `{ spec }`, `{ reload: true }` or null. */
export function resolve(base, theirs, mine) {
  const their = compare(base, theirs).filter((one) => !OWN.test(one.path));
  const own = compare(base, mine).filter((one) => !OWN.test(one.path));
  const both = new Set(
    own.map((one) => one.path).filter((path) =>
      their.some((one) =>
        one.path === path || one.path.startsWith(`${path}.`) || path.startsWith(`${one.path}.`)
      )
    ),
  );
  const merged = structuredClone(theirs);
  for (const change of own) assign(merged, change.path.split("."), change.after);
  return dialog(
    "Somebody else changed this meanwhile",
    (close) =>
      h(
        "div",
        { class: "dialog-body stack" },
        h(
          "p",
          "It was saved after you opened it. Nothing of yours is lost, and nothing of theirs is overwritten yet.",
        ),
        both.size
          ? notice("warning", `You both changed ${[...both].join(", ")}: there yours would be kept.`)
          : notice("done", "You changed different fields: both can be kept."),
        h(
          "table",
          { class: "plain" },
          h(
            "thead",
            h("tr", ["Field", "Before", "Theirs", "Yours"].map((text) => h("th", { scope: "col" }, text))),
          ),
          h(
            "tbody",
            [...new Set([...their, ...own].map((one) => one.path))].map((path) => {
              const [a, b] = [their.find((one) => one.path === path), own.find((one) => one.path === path)];
              return h(
                "tr",
                h("th", { scope: "row" }, path),
                h("td", brief((a ?? b).before)),
                h("td", a ? h("ins", brief(a.after)) : ""),
                h("td", b ? h("ins", brief(b.after)) : ""),
              );
            }),
          ),
        ),
        h(
          "footer",
          { class: "dialog-foot" },
          h(
            "button",
            { class: "button", type: "button", onclick: () => close({ reload: true }) },
            "Drop mine, load theirs",
          ),
          h("button", {
            class: "button is-primary",
            type: "button",
            "data-focus": true,
            onclick: () => close({ spec: merged }),
          }, both.size ? "Keep mine where we differ" : "Keep both"),
        ),
      ),
    { wide: true },
  );
}

function assign(target, path, value) {
  const [key, ...rest] = path;
  if (rest.length === 0) target[key] = value;
  else {
    if (target[key] === null || typeof target[key] !== "object") target[key] = {};
    assign(target[key], rest, value);
  }
}
