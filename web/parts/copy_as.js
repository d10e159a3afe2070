// "Copy as": what a form says, as YAML, as a command, as a request.

import { h } from "../lib/dom.js";
import { documentOf, TYPES } from "../lib/types.js";
import { json, yaml } from "../lib/yaml.js";
import { copy, dialog, menu } from "./layers.js";
import { snippet } from "./bits.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function texts(type, spec) {
  const document = documentOf(type, spec);
  const text = yaml(document);
  const name = document.name;
  return {
    yaml: text,
    kong: yaml({
      _format_version: "3.0",
      [type]: [Object.fromEntries(
        Object.entries(spec).filter(([key]) => !["id", "created_at", "updated_at"].includes(key)).map((
          [key, value],
        ) => [key, value?.id && Object.keys(value).length === 1 ? value.id : value]),
      )],
    }),
    cli: `seaway apply -f - <<'EOF'\n${text}EOF\n`,
    curl: `curl -X ${name ? "PUT" : "POST"} ${location.origin}/v1/${type}${
      name ? `/${encodeURIComponent(name)}` : ""
    } \\\n  -H "Authorization: Bearer $SEAWAY_TOKEN" -H 'Content-Type: application/json' \\\n  -d ${
      quoted(JSON.stringify({ spec: document.spec }))
    }\n`,
    json: json(document),
  };
}

/** `spec()` gives what is to be copied, as it is then. */
export function copyAs(type, spec) {
  const say = (key, what) => ({
    text: `Copy as ${what}`,
    icon: "copy",
    action: () => copy(texts(type, spec())[key], `Copied as ${what}`),
  });
  return menu("Copy as", [
    say("cli", "seaway command"),
    say("yaml", "YAML"),
    say("kong", "kong.yml"),
    say("curl", "curl command"),
    say("json", "JSON"),
    { text: "Show them", icon: "code", action: () => showAll(type, spec()) },
  ], { icon: "down" });
}

export function showAll(type, spec) {
  const all = texts(type, spec);
  return dialog(
    `This ${TYPES[type]?.one ?? type} elsewhere`,
    () =>
      h(
        "div",
        { class: "dialog-body stack" },
        h("h3", "Command line"),
        snippet(all.cli),
        h("h3", "kong.yml"),
        snippet(all.kong),
        h("h3", "Request"),
        snippet(all.curl),
      ),
    { wide: true },
  );
}
