// Logging in: with a token, or through an identity provider.

import { call, forgetWho, whoami } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { go, query } from "../lib/router.js";
import { code, notice } from "../parts/bits.js";

/** Only addresses of this UI: nobody is sent elsewhere by a crafted link. */
function next() {
  const wanted = query().get("next") ?? "";
  return wanted.startsWith("/ui/") && !wanted.startsWith("/ui/login") ? wanted : "/ui/";
}

function enter() {
  const url = new URL(next(), location.origin);
  go(url.pathname.slice(3) || "/", { query: Object.fromEntries(url.searchParams), replace: true });
}

export default function login(page) {
  const problem = h("div");
  const field = h("input", {
    id: "token",
    class: "input is-code",
    type: "password",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
    placeholder: "sw_…",
    "data-focus": true,
  });
  const submit = h("button", { class: "button is-primary is-block", type: "submit" }, "Log in");
  const form = h(
    "form",
    {
      class: "login-form",
      onsubmit: async (event) => {
        event.preventDefault();
        submit.disabled = true;
        put(problem);
        try {
          await call("POST", "/session", { body: { token: field.value.trim() } });
          forgetWho();
          await whoami();
          enter();
        } catch (error) {
          put(
            problem,
            notice(
              "error",
              error.status === 401 ? "This token is not known, has expired, or was revoked." : error.message,
            ),
          );
          field.select();
        } finally {
          submit.disabled = false;
        }
      },
    },
    problem,
    h("label", { for: "token" }, "Token"),
    field,
    h(
      "p",
      { class: "hint" },
      "The first start printed one and keeps it in ",
      code("admin-token"),
      " in its data directory. More are made with ",
      code("seaway token create"),
      ".",
    ),
    submit,
  );
  const other = h("div");
  put(
    page,
    h(
      "div",
      { class: "login" },
      h(
        "div",
        { class: "login-brand" },
        h("span", { class: "brand-mark is-large" }, icon("logo", 34)),
        h("h1", { tabindex: "-1" }, "Seaway"),
        h("p", { class: "lead" }, "One control plane for gateways in many clouds"),
      ),
      form,
      other,
    ),
  );
  const failed = query().get("error");
  if (failed) put(problem, notice("error", failed));
  call("GET", "/session").then(({ data }) => {
    if (data?.oidc) {
      put(
        other,
        h("div", { class: "login-or" }, "or"),
        h("a", {
          class: "button is-block",
          href: `/v1/oidc/login?next=${encodeURIComponent(next())}`,
          target: "_self",
        }, data.oidc.name ?? "Log in with your organisation"),
      );
    }
  }).catch(() => {});
}
