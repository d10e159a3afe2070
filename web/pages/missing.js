// An address that no page has.

import { address } from "../lib/router.js";
import { button, empty, head } from "../parts/bits.js";
import { put } from "../lib/dom.js";

export default function missing(page) {
  put(
    page,
    head("There is no such page"),
    empty("Off the chart", "The address may be mistyped, or the page has moved.", [
      button("To the overview", { href: address("/"), kind: "primary" }),
    ], "logo"),
  );
}
