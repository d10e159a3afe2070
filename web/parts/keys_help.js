// What the keys do.

import { h } from "../lib/dom.js";
import { PLACES } from "../lib/places.js";
import { dialog } from "./layers.js";

const GENERAL = [
  [["/"], "Search this page"],
  [["Ctrl", "K"], "Search everything"],
  [["?"], "This list"],
  [["n"], "New"],
  [["↑", "↓"], "Move in a table (also j and k)"],
  [["Enter"], "Open what is chosen"],
  [["Ctrl", "Enter"], "Save a form"],
  [["Esc"], "Close, or one level up"],
];

export default function keysHelp() {
  const row = ([keys, text]) =>
    h("div", { class: "key-row" }, h("span", text), h("span", keys.map((key) => h("kbd", key))));
  return dialog(
    "Keys",
    () =>
      h(
        "div",
        { class: "dialog-body key-columns" },
        h("div", GENERAL.map(row)),
        h(
          "div",
          PLACES.flatMap(([, places]) =>
            places.map(([, text, , key]) => row([["g", key], `Go to ${text.toLowerCase()}`]))
          ),
        ),
      ),
    { wide: true },
  );
}
