// Which plugin: chosen from those that gateways run.

import { get, schema } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { address, query } from "../lib/router.js";
import { head } from "../parts/bits.js";
import entity from "./entity.js";

const ABOUT = {
  "key-auth": ["Who calls", "Callers show a key in a header or the query."],
  "basic-auth": ["Who calls", "Callers show a user name and a password."],
  acl: ["Who calls", "Only consumers of certain groups, or all but those."],
  "ip-restriction": ["Who calls", "Only certain addresses, or all but those."],
  cors: ["Browsers", "Which other sites may call from a browser."],
  "rate-limiting": ["Limits", "So many requests a second, minute, hour or day."],
  "request-size-limiting": ["Limits", "Bodies up to a size."],
  "request-transformer": ["Changes", "Adds, replaces, renames and removes headers, query and body fields."],
  "response-transformer": ["Changes", "The same for what services answer."],
  "correlation-id": ["Changes", "Gives each request an id that all services can log."],
  "request-termination": [
    "Changes",
    "Answers in the service's place: for maintenance, for paths that should be closed.",
  ],
  prometheus: ["Numbers", "Counts requests, bytes and latencies for Prometheus."],
};

const GROUPS = ["Who calls", "Limits", "Changes", "Browsers", "Numbers", "Others"];

export default async function pluginNew(page, visit) {
  if (query().get("name")) {
    return entity(page, { ...visit, parameters: { type: "plugins" }, details: { isNew: true } });
  }
  visit.title("New plugin");
  const named = (await get("/schemas", { signal: visit.signal })).plugins;
  const groups = new Map(GROUPS.map((group) => [group, []]));
  for (const name of named) groups.get(ABOUT[name]?.[0] ?? GROUPS.at(-1)).push(name);
  const carried = Object.fromEntries(query());
  const list = h("div", { class: "picks" });
  const draw = (word = "") =>
    put(
      list,
      [...groups].map(([group, names]) => {
        const shown = names.filter((name) => name.includes(word));
        return shown.length > 0 &&
          h(
            "section",
            h("h2", { class: "nav-title" }, group),
            h(
              "div",
              { class: "pick-row" },
              shown.map((name) =>
                h(
                  "a",
                  {
                    class: "pick",
                    href: address("/plugins/new", { ...carried, name }),
                    onpointerenter: () => schema(`plugins/${name}`).catch(() => {}),
                  },
                  h("b", icon("plugins", 16), name),
                  h("span", ABOUT[name]?.[1] ?? ""),
                )
              ),
            ),
          );
      }),
    );
  draw();
  put(
    page,
    head("New plugin", {
      crumbs: [["Plugins", address("/plugins")]],
      lead: "What should gateways do with requests?",
    }),
    h(
      "div",
      { class: "search" },
      icon("search", 16),
      h("input", {
        type: "search",
        class: "input",
        placeholder: "Search plugins",
        "aria-label": "Search plugins",
        data: { search: true },
        oninput: (event) => draw(event.target.value.trim().toLowerCase()),
      }),
      h("kbd", "/"),
    ),
    list,
  );
}
