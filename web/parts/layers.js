// What lies over the page: dialogs, menus, toasts.

import { freshID, h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/** Opens a modal dialog; the browser keeps the focus inside. Resolves with what `close` was given, null on Esc. */
export function dialog(title, build, { wide = false, danger = false } = {}) {
  return new Promise((resolve) => {
    const name = freshID("dialog");
    const before = document.activeElement;
    let result = null;
    const close = (value = null) => {
      result = value;
      element.close();
    };
    const element = h("dialog", {
      class: ["dialog", wide && "is-wide", danger && "is-danger"],
      "aria-labelledby": name,
    });
    put(
      element,
      h(
        "header",
        { class: "dialog-head" },
        h("h2", { id: name }, title),
        h("button", {
          class: "button is-bare",
          type: "button",
          "aria-label": "Close",
          onclick: () => close(),
        }, icon("close")),
      ),
      build(close),
    );
    element.addEventListener("close", () => {
      element.remove();
      if (before?.isConnected) before.focus();
      resolve(result);
    });
    element.addEventListener("mousedown", (event) => {
      if (event.target === element) close();
    });
    document.getElementById("layers").append(element);
    element.showModal();
    element.querySelector("[data-focus]")?.focus();
  });
}

/** Asks before something that cannot be taken back easily. Resolves true or false. */
export async function ask(title, text, { yes = "Continue", danger = false, more = null } = {}) {
  const answer = await dialog(
    title,
    (close) =>
      h(
        "form",
        {
          class: "dialog-body",
          method: "dialog",
          onsubmit: (event) => {
            event.preventDefault();
            close(true);
          },
        },
        h("p", text),
        more,
        h(
          "footer",
          { class: "dialog-foot" },
          h("button", { class: "button", type: "button", onclick: () => close(false) }, "Cancel"),
          h("button", {
            class: ["button", danger ? "is-danger" : "is-primary"],
            type: "submit",
            "data-focus": !danger,
          }, yes),
        ),
      ),
    { danger },
  );
  return answer === true;
}

/** A word in passing; errors stay until they are closed. */
export function toast(text, { kind = "done", link = null } = {}) {
  const element = h(
    "div",
    { class: ["toast", `is-${kind}`] },
    icon(kind === "error" ? "error" : kind === "news" ? "info" : "check"),
    h("div", { class: "toast-text" }, text, link && [" ", h("a", { href: link.href }, link.text)]),
    h("button", {
      class: "button is-bare",
      type: "button",
      "aria-label": "Dismiss",
      onclick: () => element.remove(),
    }, icon("close", 14)),
  );
  const holder = document.getElementById("toasts");
  while (holder.childElementCount > 3) holder.firstElementChild.remove();
  holder.append(element);
  if (kind !== "error") setTimeout(() => element.remove(), 6000);
}

/** A button with a menu of actions: `[{ text, icon, action, danger }]`. */
export function menu(label, entries, { icon: image = "down", bare = false } = {}) {
  const name = freshID("menu");
  const button = h(
    "button",
    {
      class: ["button", bare && "is-bare"],
      type: "button",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      "aria-controls": name,
    },
    bare ? icon(image) : label,
    !bare && icon(image, 14),
  );
  if (bare) button.setAttribute("aria-label", label);
  const list = h(
    "div",
    { class: "menu", id: name, role: "menu", "aria-label": label, hidden: true },
    entries.map((entry) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          tabindex: "-1",
          class: ["menu-entry", entry.danger && "is-danger"],
          onclick: () => {
            toggle(false);
            entry.action();
          },
        },
        entry.icon && icon(entry.icon, 16),
        h("span", entry.text),
      )
    ),
  );
  const items = () => [...list.querySelectorAll("[role=menuitem]")];
  function toggle(open) {
    list.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) {
      items()[0]?.focus();
      addEventListener("pointerdown", outside, true);
    } else {
      removeEventListener("pointerdown", outside, true);
      if (list.contains(document.activeElement)) button.focus();
    }
  }
  const outside = (event) => {
    if (!holder.contains(event.target)) toggle(false);
  };
  button.addEventListener("click", () => toggle(list.hidden));
  button.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      toggle(true);
    }
  });
  list.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(at + step + all.length) % all.length].focus();
    else if (event.key === "Home") all[0].focus();
    else if (event.key === "End") all.at(-1).focus();
    else if (event.key === "Escape") toggle(false);
    else if (event.key === "Tab") {
      toggle(false);
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const holder = h("div", { class: "menu-holder" }, button, list);
  return holder;
}

/** Puts text on the clipboard, also where the browser forbids its API (plain http to another host). */
export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = h("textarea", { class: "away", value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast(what);
}
