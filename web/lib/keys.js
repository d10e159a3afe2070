// Keys that work on every page. What is typed into a field stays there.

import { go } from "./router.js";

const isTyping = (target) =>
  target.closest?.("input, textarea, select, [contenteditable]") !== null && target.type !== "checkbox";

export function startKeys(places, palette) {
  let before = "";
  let timer = 0;
  const paths = new Map(places.flatMap(([, entries]) => entries.map(([path, , , key]) => [key, path])));
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && isTyping(event.target)) {
      event.target.blur();
      return;
    }
    if (isTyping(event.target) || document.getElementById("app").classList.contains("is-plain")) return;
    if (before === "g") {
      before = "";
      const path = paths.get(event.key);
      if (path) {
        event.preventDefault();
        go(path);
      }
      return;
    }
    switch (event.key) {
      case "g":
        before = "g";
        clearTimeout(timer);
        timer = setTimeout(() => {
          before = "";
        }, 1200);
        break;
      case "/": {
        event.preventDefault();
        const field = document.querySelector("[data-search]");
        if (field) {
          field.focus();
          field.select();
        } else palette();
        break;
      }
      case "?":
        import("../parts/keys_help.js").then((module) => module.default());
        break;
      case "n": {
        const target = document.querySelector(`#content [aria-keyshortcuts="${event.key}"]`);
        if (target) {
          event.preventDefault();
          target.click();
        }
        break;
      }
      case "Escape": {
        const crumb = document.querySelector("#content .crumbs a:last-of-type");
        if (crumb) crumb.click();
        break;
      }
      default:
    }
  });
}
