// The route tester: which route would answer a request, what the service would get, why not another route.

import { call, Problem } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { all } from "../lib/resources.js";
import { address, amend, query } from "../lib/router.js";
import { pathOf, titleOf } from "../lib/types.js";
import { badge, button, card, code, facts, findings, head, notice } from "../parts/bits.js";
import { copy } from "../parts/layers.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

export default async function match(page) {
  const from = query();
  const method = h(
    "select",
    { id: "method", class: "input" },
    METHODS.map((one) => h("option", { value: one, selected: one === (from.get("method") ?? "GET") }, one)),
  );
  const scheme = h(
    "select",
    { id: "scheme", class: "input" },
    ["http", "https", "grpc", "grpcs"].map((one) =>
      h("option", { value: one, selected: one === (from.get("scheme") ?? "http") }, one)
    ),
  );
  const host = h("input", {
    id: "host",
    class: "input",
    value: from.get("host") ?? "",
    placeholder: "example.com",
    spellcheck: "false",
    autocomplete: "off",
  });
  const path = h("input", {
    id: "path",
    class: "input is-code",
    value: from.get("path") ?? "/",
    required: true,
    spellcheck: "false",
    autocomplete: "off",
    "data-focus": true,
  });
  const headers = h("textarea", {
    id: "headers",
    class: "input is-code",
    rows: 3,
    spellcheck: "false",
    placeholder: "x-tenant: blue",
    value: from.get("headers") ?? "",
  });
  const result = h("div", { class: "stack", "aria-live": "polite" });

  const question = () => {
    const fields = {};
    for (const line of headers.value.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) (fields[line.slice(0, colon).trim()] ??= []).push(line.slice(colon + 1).trim());
    }
    return {
      method: method.value,
      scheme: scheme.value,
      host: host.value.trim(),
      path: path.value || "/",
      headers: fields,
    };
  };
  async function test() {
    const asked = question();
    amend({
      method: asked.method === "GET" ? "" : asked.method,
      scheme: asked.scheme === "http" ? "" : asked.scheme,
      host: asked.host,
      path: asked.path,
      headers: headers.value.trim(),
    });
    try {
      const [{ data }, routes, services] = await Promise.all([
        call("POST", "/match", { body: asked }),
        all("routes").catch(() => []),
        all("services").catch(() => []),
      ]);
      draw(data, routes, services, asked);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      put(result, notice("error", error.message, error.findings.length ? findings(error.findings) : null));
    }
  }
  function draw(answer, routes, services, asked) {
    const link = (type, list, name) => {
      const found = list.find((one) => titleOf(one) === name || one.id === name);
      return found ? h("a", { href: address(pathOf(type, found.id)) }, name) : name;
    };
    const good = answer.status === 200 && answer.route;
    put(
      result,
      card(
        null,
        { kind: good ? "is-good" : "is-bad" },
        h(
          "p",
          { class: "verdict" },
          badge(String(answer.status), good ? "good" : answer.status < 400 ? "info" : "bad"),
          " ",
          good
            ? [
              "Route ",
              h("b", link("routes", routes, answer.route)),
              answer.service && [" leads to service ", h("b", link("services", services, answer.service))],
            ]
            : answer.redirect || answer.location
            ? ["Redirected to ", code(answer.location ?? answer.redirect)]
            : answer.message || "No route takes this request.",
        ),
        facts([
          answer.upstream_uri && ["The service gets", code(`${asked.method} ${answer.upstream_uri}`)],
          answer.upstream_host && ["with Host", code(answer.upstream_host)],
          answer.strip_prefix && ["Taken off the path", code(answer.strip_prefix)],
          ...Object.entries(answer.captures ?? {}).filter(([key]) => key !== "0").map((
            [key, value],
          ) => [`Group ${key}`, code(value)]),
        ]),
      ),
      answer.considered?.length > 0 &&
        card(
          "Others that came close",
          {},
          h(
            "ul",
            { class: "reasons" },
            answer.considered.map((one) =>
              h(
                "li",
                h("b", link("routes", routes, one.route)),
                h("span", one.lost_because ?? one.lostBecause ?? ""),
              )
            ),
          ),
        ),
      !good && !answer.considered?.length && routes.length === 0 &&
        notice("info", "There are no routes yet. ", h("a", { href: address("/routes/new") }, "Create one")),
    );
  }
  const field = (label, input, wide) =>
    h("div", { class: ["field", wide && "is-wide"] }, h("label", { for: input.id }, label), input);
  put(
    page,
    head("Route tester", { lead: "Asks the table that gateways run. Nothing is sent to a service." }),
    h(
      "div",
      { class: "columns is-even" },
      card(
        "Request",
        {},
        h(
          "form",
          {
            class: "fields",
            "aria-label": "Request",
            onsubmit: (event) => {
              event.preventDefault();
              test();
            },
          },
          field("Method", method),
          field("Scheme", scheme),
          field("Host", host, true),
          field("Path and query", path, true),
          field("Headers, one a line", headers, true),
          h(
            "div",
            { class: "save-bar is-on" },
            button("Copy as command", {
              icon: "copy",
              action: () => copy(command(question()), "Copied as command"),
            }),
            h("span", { class: "spring" }),
            h("button", { class: "button is-primary", type: "submit" }, "Test"),
          ),
        ),
      ),
      result,
    ),
  );
  if (from.has("path")) await test();
  else {put(
      result,
      h(
        "div",
        { class: "empty is-small" },
        h(
          "p",
          "The answer comes here: the route, what the service gets, and why other routes do not answer.",
        ),
      ),
    );}
}

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const command = (asked) =>
  `seaway gateway match -c kong.yml --method ${asked.method} --scheme ${asked.scheme}${
    asked.host ? ` --host ${quoted(asked.host)}` : ""
  } --path ${quoted(asked.path)}${
    Object.entries(asked.headers).flatMap(([name, values]) =>
      values.map((value) => ` --header ${quoted(`${name}: ${value}`)}`)
    ).join("")
  }`;
