// The pages of the navigation: path, name, icon, and the key that goes there after `g`.

export const PLACES = [
  ["Watch", [
    ["/", "Overview", "overview", "o"],
    ["/gateways", "Gateways", "gateways", "w"],
  ]],
  ["Configure", [
    ["/services", "Services", "services", "s"],
    ["/routes", "Routes", "routes", "r"],
    ["/upstreams", "Upstreams", "upstreams", "u"],
    ["/consumers", "Consumers", "consumers", "c"],
    ["/plugins", "Plugins", "plugins", "p"],
    ["/certificates", "Certificates", "certificates", "e"],
  ]],
  ["Change", [
    ["/apply", "Apply", "apply", "a"],
    ["/history", "History", "history", "h"],
    ["/rollouts", "Rollouts", "rollouts", "l"],
  ]],
  ["Inspect", [
    ["/match", "Route tester", "match", "m"],
    ["/audit", "Audit", "audit", "d"],
    ["/tokens", "Tokens", "tokens", "t"],
  ]],
];
