"""Logins by an OpenID provider of the tests' own: authorization code with PKCE, and attacks on it."""

import base64
import hashlib
import http.server
import json
import pathlib
import secrets
import socket
import tempfile
import threading
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import API

CLIENT, SECRET = "seaway", "s3cret: of/the client"


class Provider:
    """Issues ID tokens for whoever `claims` says; `twist` makes them wrong."""

    def __init__(self):
        self.keys = {"k1": rsa.generate_private_key(public_exponent=65537, key_size=2048),
                     "k2": ec.generate_private_key(ec.SECP256R1())}
        self.foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.codes, self.used, self.twist, self.claims = {}, set(), lambda claims: None, {}
        self.key, self.algorithm, self.problems = "k1", "RS256", []
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, value, status=200):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/.well-known/openid-configuration":
                    return self.answer({
                        "issuer": provider.url, "authorization_endpoint": provider.url + "/authorize",
                        "token_endpoint": provider.url + "/token", "jwks_uri": provider.url + "/keys"})
                if self.path == "/keys":
                    return self.answer({"keys": provider.published()})
                self.answer({}, 404)

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.answer(*provider.exchange(form, self.headers.get("Authorization", "")))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def published(self):
        rsa_key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.keys["k1"].public_key()))
        ec_key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.keys["k2"].public_key()))
        # A symmetric key in the set must never be used.
        shared = {"kty": "oct", "kid": "k3", "k": base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")}
        return [{**rsa_key, "kid": "k1", "use": "sig"}, {**ec_key, "kid": "k2", "use": "sig"}, shared]

    def authorize(self, location):
        """What a browser and a person do: the code, and the state that goes back with it."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return code, query

    def exchange(self, form, authorization):
        expected = "Basic " + base64.b64encode(
            f"{CLIENT}:{urllib.parse.quote(SECRET, safe='')}".encode()).decode()
        query = self.codes.get(form.get("code"))
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        for name, good in [("client", authorization == expected), ("code", query is not None),
                           ("once", form.get("code") not in self.used),
                           ("grant", form.get("grant_type") == "authorization_code"),
                           ("redirect", query and form.get("redirect_uri") == query["redirect_uri"]),
                           ("pkce", query and challenge == query["code_challenge"])]:
            if not good:
                self.problems.append(name)
                return {"error": "invalid_grant"}, 400
        self.used.add(form["code"])
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "42", "email": "ada@example.com", "email_verified": True,
                  "groups": ["platform"], "iat": now, "exp": now + 300, "nonce": query["nonce"], **self.claims}
        replaced = self.twist(claims)
        token = replaced or jwt.encode(claims, self.keys[self.key], algorithm=self.algorithm, headers={"kid": self.key})
        return {"access_token": "a", "token_type": "Bearer", "id_token": token}, 200


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test(program, check):
    provider = Provider()
    port = free_port()
    public = f"http://localhost:{port}"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "secret"
        file.write_text(SECRET + "\n")
        arguments = ["--api", f"127.0.0.1:{port}", "--oidc-issuer", provider.url, "--oidc-client-id", CLIENT,
                     "--oidc-client-secret-file", str(file), "--oidc-role-map", "platform=operator",
                     "--oidc-role-map", "readers=viewer", "--public-url", public]
        with API(program, arguments) as plane:
            flow(plane, provider, public, check)
            attacks(plane, provider, check)


def begin(plane, provider, next_page=""):
    start = plane.ask("GET", "/v1/oidc/login" + next_page, token="")
    assert start.status == 303, (start.status, start.body)
    code, query = provider.authorize(start.headers["location"])
    return code, query, start.headers["set-cookie"]


def finish(plane, code, state, cookie, more=""):
    path = "/v1/oidc/callback?" + urllib.parse.urlencode({"code": code, "state": state}) + more
    return plane.ask("GET", path, token="", headers={"Cookie": cookie.split(";")[0]} if cookie else {})


def flow(plane, provider, public, check):
    ways = plane.ask("GET", "/v1/session", token="").json
    check("the login page knows of it", ways["oidc"] and ways["token"], ways)
    code, query, cookie = begin(plane, provider, "?next=/ui/routes")
    check("PKCE with S256", query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43, query)
    check("a state and a nonce, long and different",
          len(query["state"]) >= 43 and len(query["nonce"]) >= 43 and query["state"] != query["nonce"], query)
    check("a code is asked for", query["response_type"] == "code" and "openid" in query["scope"].split(), query)
    check("the way back is ours", query["redirect_uri"] == public + "/v1/oidc/callback", query)
    check("the browser is remembered", "HttpOnly" in cookie and "SameSite=Lax" in cookie, cookie)
    done = finish(plane, code, query["state"], cookie)
    session = done.headers.get("set-cookie", "")
    check("the login succeeds", done.status == 200 and session.startswith("seaway_session="), done.body)
    check("the session is strict", "SameSite=Strict" in session and "HttpOnly" in session, session)
    check("and leads on", b"/ui/routes" in done.body, done.body)
    jar = {"Cookie": session.split(";")[0]}
    who = plane.ask("GET", "/v1/whoami", headers=jar, token="").json
    check("the person is known by name", who["name"] == "user:ada@example.com", who)
    made = plane.ask("POST", "/v1/services", {"name": "s", "spec": {"host": "h"}}, token="",
                     headers={**jar, "X-Seaway-Request": "1"})
    check("and may do what the role may", made.status == 201, made.body)
    check("no more", plane.ask("GET", "/v1/audit", headers=jar, token="").status == 403)
    revision = plane.ask("GET", "/v1/revisions?limit=1").json["items"][0]
    check("history has the name", (revision["actor"], revision["source"]) == ("user:ada@example.com", "ui"), revision)
    logins = plane.ask("GET", "/v1/audit?action=login").json["items"]
    check("the login is in the audit log", logins and logins[0]["actor"] == "user:ada@example.com", logins)
    check("the code cannot be replayed", finish(plane, code, query["state"], cookie).status == 401)
    provider.key, provider.algorithm = "k2", "ES256"
    code, query, cookie = begin(plane, provider)
    check("other keys and algorithms work", finish(plane, code, query["state"], cookie).status == 200)
    provider.key, provider.algorithm = "k1", "RS256"
    provider.claims = {"email_verified": False}
    code, query, cookie = begin(plane, provider)
    done = finish(plane, code, query["state"], cookie)
    jar = {"Cookie": done.headers["set-cookie"].split(";")[0]}
    who = plane.ask("GET", "/v1/whoami", headers=jar, token="").json
    check("an unverified address is no name", who["name"] == "user:42", who)
    provider.claims = {}
    for wish in ("https://evil.example/", "//evil.example", "/\\evil.example", "/v1/tokens", "/ui/%0d%0aX:1\"><script>"):
        code, query, cookie = begin(plane, provider, "?" + urllib.parse.urlencode({"next": wish}))
        body = finish(plane, code, query["state"], cookie).body
        check(f"the way on is a page of ours, not {wish}", b"evil" not in body and b"<script" not in body and b"tokens" not in body, body)


def attacks(plane, provider, check):
    def refused(name, answer):
        check(f"{name} is refused", answer.status == 401 and "set-cookie" not in answer.headers, (answer.status, answer.body))

    code, query, cookie = begin(plane, provider)
    refused("a state of one's own", finish(plane, code, "x" * 43, cookie))
    refused("another browser", finish(plane, code, query["state"], None))
    other = begin(plane, provider)
    refused("the cookie of another login", finish(plane, code, query["state"], other[2]))
    done = finish(plane, code, query["state"], cookie)
    check("the right one still works", done.status == 200, done.body)
    code, query, cookie = begin(plane, provider)
    refused("an answer of another issuer", finish(plane, code, query["state"], cookie, "&iss=https%3A%2F%2Fevil.example"))
    _, query, cookie = begin(plane, provider)
    refused("a code that was never given", finish(plane, "made-up", query["state"], cookie))

    def sign(claims, key, algorithm, **headers):
        return jwt.encode(claims, key, algorithm=algorithm, headers=headers)

    pem = provider.keys["k1"].public_key().public_numbers().n.to_bytes(256, "big")
    def broken(claims):
        good = sign(claims, provider.keys["k1"], "RS256", kid="k1")
        return good[:-8] + ("A" * 8)
    twists = {
        "a token without a signature": lambda c: sign(c, None, "none", kid="k1"),
        "a public key as a shared secret": lambda c: sign(c, pem, "HS256", kid="k1"),
        "a shared secret of the key set": lambda c: sign(c, b"x" * 32, "HS256", kid="k3"),
        "another's key": lambda c: sign(c, provider.foreign, "RS256", kid="k1"),
        "another's key under no name": lambda c: sign(c, provider.foreign, "RS256"),
        "an algorithm that is not the key's": lambda c: sign(c, provider.keys["k2"], "ES256", kid="k1"),
        "a broken signature": broken,
        "an extension that must be understood": lambda c: sign(c, provider.keys["k1"], "RS256", kid="k1", crit=["x"], x=1),
        "no token at all": lambda c: "x.y.z",
    }
    changes = {
        "a nonce of another login": {"nonce": "n" * 43}, "another issuer": {"iss": "https://evil.example"},
        "another audience": {"aud": "someone"}, "several audiences without azp": {"aud": [CLIENT, "someone"]},
        "another authorised party": {"azp": "someone"}, "an expired token": {"exp": int(time.time()) - 3600},
        "a token of the future": {"iat": int(time.time()) + 3600}, "no groups": {"groups": []},
        "groups without a role": {"groups": ["visitors"]}, "nobody's token": {"sub": "", "email": ""},
        "a name with a line feed": {"sub": "a\nb", "email_verified": False},
    }
    for name, fields in changes.items():
        twists[name] = lambda claims, fields=fields: claims.update(fields)
    for name, twist in twists.items():
        provider.twist = twist
        code, query, cookie = begin(plane, provider)
        refused(name, finish(plane, code, query["state"], cookie))
    provider.twist = lambda claims: None
    code, query, cookie = begin(plane, provider)
    check("a good login works after all that", finish(plane, code, query["state"], cookie).status == 200)
    check("the provider saw nothing wrong but the made-up code", provider.problems == ["code"], provider.problems)
    denied = plane.ask("GET", "/v1/audit?outcome=denied&target=/v1/oidc/callback&limit=100").json["items"]
    check("every failed login is in the audit log", len(denied) >= len(twists) + 4, len(denied))

