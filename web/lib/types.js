// What the UI knows of each type beyond its schema: names, columns, which fields come first, what hangs below it.

/** `first`: fields shown at once, the others under "More settings". `below`: types whose `field` points here. */
export const TYPES = {
  roles: {
    kind: "Role",
    one: "role",
    many: "Roles",
    icon: "tokens",
    lead: "What a token or a person may do: verbs on types, for some labels.",
    first: ["name", "description", "rules"],
    empty: "There are admin, operator, viewer and gateway already. A role of your own can do less.",
  },
  services: {
    kind: "Service",
    one: "service",
    many: "Services",
    icon: "services",
    lead: "Where requests go: an application behind the gateways.",
    first: ["name", "protocol", "host", "port", "path", "enabled", "tags"],
    below: [["routes", "service"], ["plugins", "service"]],
    empty: "A service is an application that requests are sent to. Create one, then give it a route.",
    help: {
      host: "Host name, IP address, or the name of an upstream.",
      path: "Put before the path of every request.",
      retries: "How often another target is tried when one fails.",
    },
  },
  routes: {
    kind: "Route",
    one: "route",
    many: "Routes",
    icon: "routes",
    lead: "Which requests a service gets: by host, path, method, header.",
    first: ["name", "service", "protocols", "hosts", "paths", "methods", "headers", "strip_path", "tags"],
    below: [["plugins", "route"]],
    empty: "A route leads requests to a service. Start with a path such as /api and choose the service.",
    help: {
      hosts: "example.com, *.example.com or example.*",
      paths: "A prefix such as /api, or a regular expression after ~ such as ~/users/\\d+",
      strip_path: "Takes the matched prefix off the path before the request goes on.",
      headers: "All of them must match.",
    },
  },
  upstreams: {
    kind: "Upstream",
    one: "upstream",
    many: "Upstreams",
    icon: "upstreams",
    lead: "Several targets behind one name: balanced, checked for health.",
    first: ["name", "algorithm", "hash_on", "slots", "tags"],
    below: [["targets", "upstream"]],
    empty:
      "An upstream spreads requests over targets. Create it, add targets, and write its name as a service's host.",
  },
  targets: {
    kind: "Target",
    one: "target",
    many: "Targets",
    icon: "targets",
    lead: "One instance behind an upstream.",
    first: ["target", "weight", "upstream", "tags"],
    empty: "A target is one instance: host:port and a weight.",
    help: { target: "host:port; port 8000 when there is none.", weight: "0 takes it out of rotation." },
  },
  consumers: {
    kind: "Consumer",
    one: "consumer",
    many: "Consumers",
    icon: "consumers",
    lead: "Who calls: people and programs with credentials.",
    first: ["username", "custom_id", "tags"],
    below: [
      ["keyauth_credentials", "consumer"],
      ["basicauth_credentials", "consumer"],
      ["hmacauth_credentials", "consumer"],
      ["jwt_secrets", "consumer"],
      ["oauth2_credentials", "consumer"],
      ["acls", "consumer"],
      ["plugins", "consumer"],
    ],
    empty:
      "A consumer is somebody who calls your services. Create one, give it a credential, and add an authentication plugin.",
  },
  plugins: {
    kind: "Plugin",
    one: "plugin",
    many: "Plugins",
    icon: "plugins",
    lead: "What gateways do with requests on their way: authentication, limits, changes.",
    first: ["instance_name", "enabled", "service", "route", "consumer", "config", "tags"],
    empty: "A plugin works on requests: on all of them, or on those of one service, route or consumer.",
    help: {
      service: "Empty: every service.",
      route: "Empty: every route.",
      consumer: "Empty: everybody.",
    },
  },
  certificates: {
    kind: "Certificate",
    one: "certificate",
    many: "Certificates",
    icon: "certificates",
    lead: "What gateways show to clients over TLS, and when it ends.",
    first: ["cert", "key", "tags"],
    below: [["snis", "certificate"]],
    empty: "A certificate with its key, and the server names that it is shown for.",
  },
  snis: {
    kind: "SNI",
    one: "server name",
    many: "Server names",
    icon: "certificates",
    lead: "The names that a certificate is shown for.",
    first: ["name", "certificate", "tags"],
    empty: "Server names say which certificate a client sees.",
  },
  ca_certificates: {
    kind: "CACertificate",
    one: "CA certificate",
    many: "CA certificates",
    icon: "certificates",
    lead: "Authorities that gateways check services by.",
    first: ["cert", "tags"],
    empty: "Upload the authority that issued your services' certificates.",
  },
  keyauth_credentials: credential("KeyAuthCredential", "key", "Keys", ["key", "ttl", "tags"]),
  basicauth_credentials: credential("BasicAuthCredential", "password", "Passwords", [
    "username",
    "password",
    "tags",
  ]),
  hmacauth_credentials: credential("HMACAuthCredential", "HMAC secret", "HMAC secrets", [
    "username",
    "secret",
    "tags",
  ]),
  jwt_secrets: credential("JWTSecret", "JWT secret", "JWT secrets", [
    "key",
    "algorithm",
    "secret",
    "rsa_public_key",
    "tags",
  ]),
  oauth2_credentials: credential("OAuth2Credential", "OAuth 2 application", "OAuth 2 applications", [
    "name",
    "client_id",
    "client_secret",
    "redirect_uris",
    "tags",
  ]),
  acls: credential("ACL", "group", "Groups", ["group", "tags"]),
  vaults: {
    kind: "Vault",
    one: "vault",
    many: "Vaults",
    icon: "certificates",
    lead: "Where secrets are read from.",
    first: ["name", "prefix", "description", "config", "tags"],
    empty: "A vault gives secrets to fields that refer to it.",
  },
  key_sets: {
    kind: "KeySet",
    one: "key set",
    many: "Key sets",
    icon: "tokens",
    lead: "Keys under one name.",
    first: ["name", "tags"],
    below: [["keys", "set"]],
    empty: "A key set holds keys that plugins use.",
  },
  keys: {
    kind: "Key",
    one: "key",
    many: "Keys",
    icon: "tokens",
    lead: "One key of a set.",
    first: ["name", "kid", "set", "jwk", "pem", "tags"],
    empty: "A key, as JWK or PEM.",
  },
};

function credential(kind, one, many, first) {
  return {
    kind,
    one,
    many,
    icon: "tokens",
    lead: "",
    first: [...first],
    owned: "consumer",
    empty: `No ${many.toLowerCase()} yet.`,
  };
}

/** Fields that the store writes itself. */
export const OWN_FIELDS = new Set(["id", "created_at", "updated_at", "cert_digest"]);
/** Fields that hold secrets: shown as dots until asked for. */
export const SECRET_FIELDS = new Set([
  "key",
  "secret",
  "password",
  "client_secret",
  "private_key",
  "redis.password",
]);
/** Fields of several lines. */
export const LONG_FIELDS = new Set([
  "cert",
  "cert_alt",
  "key_alt",
  "rsa_public_key",
  "public_key",
  "private_key",
  "jwk",
  "expression",
  "body",
  "csr",
]);

/** How a resource is called: its name, or what stands for one. */
export function titleOf(resource) {
  const spec = resource?.spec ?? {};
  return (
    resource?.name || spec.name || spec.username || spec.custom_id || spec.target || spec.instance_name ||
    spec.group ||
    spec.prefix || spec.kid || (resource?.id ?? "").slice(0, 8)
  );
}

/** The plugin's own name is its kind; an instance may have a name of its own. */
export const pluginTitle = (resource) =>
  resource.spec?.instance_name
    ? `${resource.spec.name} · ${resource.spec.instance_name}`
    : resource.spec?.name;

export const pathOf = (type, id) => `/${type}/${encodeURIComponent(id)}`;

/** What a resource is stored under in `type:` documents. */
export function documentOf(type, spec, labels) {
  const rest = Object.fromEntries(Object.entries(spec).filter(([key]) => !OWN_FIELDS.has(key)));
  const name = rest.name ?? rest.username ?? rest.prefix ?? undefined;
  return { type: TYPES[type]?.kind ?? type, name, labels, spec: rest };
}
