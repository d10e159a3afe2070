// Puts the page together: navigation, keys, the page for the address.

import { call, forgetWho, whoami } from "./lib/api.js";
import { h, put } from "./lib/dom.js";
import { icon } from "./lib/icons.js";
import { startKeys } from "./lib/keys.js";
import * as live from "./lib/live.js";
import { PLACES } from "./lib/places.js";
import { address, go, here, onEnter, reload, route, start } from "./lib/router.js";
import { failure } from "./parts/bits.js";
import { palette } from "./parts/palette.js";
import { menu, toast } from "./parts/layers.js";

const entities = () => import("./pages/entities.js");
const entity = () => import("./pages/entity.js");

route("/", () => import("./pages/overview.js"), { title: "Overview" });
route("/login", () => import("./pages/login.js"), { title: "Log in", isOpen: true });
route("/gateways", () => import("./pages/gateways.js"), { title: "Gateways" });
route("/gateways/:id", () => import("./pages/gateway.js"), { title: "Gateway" });
route("/history", () => import("./pages/history.js"), { title: "History" });
route("/history/:revision", () => import("./pages/revision.js"), { title: "Revision" });
route("/diff", () => import("./pages/revision.js"), { title: "Difference" });
route("/apply", () => import("./pages/apply.js"), { title: "Apply" });
route("/rollouts", () => import("./pages/rollouts.js"), { title: "Rollouts" });
route("/match", () => import("./pages/match.js"), { title: "Route tester" });
route("/audit", () => import("./pages/audit.js"), { title: "Audit" });
route("/tokens", () => import("./pages/tokens.js"), { title: "Tokens" });
route("/certificates", () => import("./pages/certificates.js"), { title: "Certificates" });
route("/plugins/new", () => import("./pages/plugin_new.js"), { title: "New plugin" });
route("/:type", entities, {});
route("/:type/new", entity, { isNew: true });
route("/:type/:id", entity, {});

const app = document.getElementById("app");
const content = document.getElementById("content");
const side = document.getElementById("side");

function drawSide() {
  put(
    side,
    h(
      "a",
      { class: "brand", href: address("/") },
      h("span", { class: "brand-mark" }, icon("logo", 22)),
      "Seaway",
    ),
    h(
      "nav",
      { "aria-label": "Main" },
      PLACES.map(([group, places]) =>
        h(
          "div",
          { class: "nav-group" },
          h("h2", { class: "nav-title" }, group),
          places.map(([path, text, image, key]) =>
            h(
              "a",
              {
                class: "nav-link",
                href: address(path),
                data: { path },
                "aria-keyshortcuts": `g ${key}`,
              },
              icon(image),
              h("span", text),
            )
          ),
        )
      ),
    ),
    h(
      "div",
      { class: "side-foot" },
      h("p", { class: "connection", id: "connection" }),
      h(
        "div",
        { class: "side-tools" },
        h(
          "button",
          {
            class: "button is-bare theme",
            type: "button",
            "aria-label": "Light or dark",
            title: "Light or dark",
            onclick: () => seawayTheme(),
          },
          icon("sun"),
          icon("moon"),
        ),
        h("button", {
          class: "button is-bare",
          type: "button",
          "aria-label": "Search everything",
          title: "Search everything (Ctrl K)",
          onclick: palette,
        }, icon("search")),
        h("button", {
          class: "button is-bare",
          type: "button",
          "aria-label": "Keys",
          title: "Keys (?)",
          onclick: () => import("./parts/keys_help.js").then((m) => m.default()),
        }, icon("help")),
        h("span", { class: "spring" }),
        h("span", { id: "who" }),
      ),
    ),
  );
}

const bar = h(
  "div",
  { class: "top" },
  h("button", {
    class: "button is-bare",
    type: "button",
    "aria-label": "Menu",
    "aria-expanded": "false",
    "aria-controls": "side",
    onclick: (event) => toggleSide(event.currentTarget.getAttribute("aria-expanded") !== "true"),
  }, icon("menu", 22)),
  h("a", { class: "brand", href: address("/") }, icon("logo", 20), "Seaway"),
  h("span", { class: "spring" }),
  h("button", {
    class: "button is-bare",
    type: "button",
    "aria-label": "Search everything",
    onclick: palette,
  }, icon("search", 20)),
);

function toggleSide(open) {
  app.classList.toggle("is-open", open);
  bar.firstElementChild.setAttribute("aria-expanded", String(open));
  if (open) side.querySelector("a.nav-link")?.focus();
}

function mark() {
  const path = here();
  for (const link of side.querySelectorAll("[data-path]")) {
    const own = link.dataset.path;
    const on = own === "/"
      ? path === "/"
      : path === own || path.startsWith(`${own}/`) || (own === "/history" && path === "/diff");
    if (on) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function drawWho() {
  const who = await whoami();
  const { name } = who;
  me = name;
  put(
    document.getElementById("who"),
    menu(name, [
      { text: `Logged in as ${name}`, icon: "consumers", action: () => go("/tokens") },
      { text: "Log out", icon: "leave", action: logOut },
    ], { bare: true, icon: "consumers" }),
  );
}

async function logOut() {
  await call("DELETE", "/session").catch(() => {});
  forgetWho();
  live.stop();
  go("/login");
}

async function show(visit) {
  const isOpen = visit.details.isOpen;
  app.classList.toggle("is-plain", Boolean(isOpen));
  toggleSide(false);
  if (!isOpen) {
    try {
      await whoami();
    } catch (error) {
      if (visit.isCurrent() && error.status !== 401) put(content, failure(error, reload));
      return;
    }
    if (!visit.isCurrent()) return;
    live.start();
    drawWho();
  }
  mark();
  try {
    const module = await visit.load();
    if (!visit.isCurrent()) return;
    const title = (text) => {
      document.title = `${text} · Seaway`;
    };
    title(visit.details.title ?? visit.parameters.type ?? "Seaway");
    const holder = h("div", { class: "page" });
    put(content, holder);
    app.classList.remove("is-starting");
    await module.default(holder, { ...visit, title });
    if (!visit.isCurrent()) return;
    scrollTo(0, 0);
    if (!content.contains(document.activeElement)) {
      (holder.querySelector("[data-focus]") ?? holder.querySelector("h1") ?? content).focus({
        preventScroll: true,
      });
    }
  } catch (error) {
    if (error.name === "AbortError" || !visit.isCurrent()) return;
    if (error.status === undefined) console.error(error);
    put(content, h("div", { class: "page" }, failure(error, reload)));
  }
}

/** What was saved here a moment ago has been told already. */
let me = "";
const ownRevision = (revision) => revision.source === "ui" && revision.actor === me;

onEnter(mark);
drawSide();
document.querySelector(".deck").prepend(bar);
startKeys(PLACES, palette);

live.listen(null, (kind, data) => {
  const line = document.getElementById("connection");
  if (kind === "connection" && line) {
    put(
      line,
      data.state === "live"
        ? [h("span", { class: "dot is-good" }), "Live"]
        : data.state === "lost"
        ? [h("span", { class: "dot is-warn" }), "Connecting…"]
        : null,
    );
  }
  if (kind === "revision") {
    if (ownRevision(data)) return;
    toast(`Revision ${data.number} by ${data.actor}`, {
      kind: "news",
      link: { text: "See it", href: address(`/history/${data.number}`) },
    });
  }
});

start(show);
