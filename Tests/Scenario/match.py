"""`seaway gateway match` and the running gateway never disagree: random files, random requests, a real socket."""

import json
import os
import random
import subprocess
import unittest

from gateway import SEAWAY, Gateway, kong
from wire import Client, Origin

HOSTS = ["a.example", "b.example", "x.a.example", "a.example:8123", "A.Example", "c.test", "deep.x.a.example",
         "a.example.", "A.Example.:8123", "x.a.example."]
ROUTE_HOSTS = ["a.example", "b.example", "*.a.example", "a.*", "a.example:8123", "c.test", "b.example."]
SEGMENTS = ["a", "b", "ab", "c", "1", "22", "%61", "a%20b", "x.y", ".", "..", "", "a-b", "%2F", "~t"]
ROUTE_PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/c", "/a/b/c", "~/a/\\d+", "~/(?<name>[a-z]+)/x$", "~/c", "~/a/(b|c)", "/x.y"]
HEADERS = ["X-Kind", "X-Other"]
VALUES = ["one", "two", "ONE", "three"]


class Agreement(unittest.TestCase):
    ROUNDS, REQUESTS = 25, 40

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"  match: SEED={cls.seed}")

    @classmethod
    def tearDownClass(cls):
        cls.origin.close()

    def config(self, chance, gateway_round):
        services, count = [], chance.randint(1, 4)
        for s in range(count):
            routes = []
            for r in range(chance.randint(1, 4)):
                route = {"name": f"r{gateway_round}-{s}-{r}"}
                if chance.random() < 0.4:
                    route["hosts"] = chance.sample(ROUTE_HOSTS, chance.randint(1, 2))
                if chance.random() < 0.8 or len(route) == 1:
                    route["paths"] = chance.sample(ROUTE_PATHS, chance.randint(1, 3))
                if chance.random() < 0.3:
                    route["methods"] = chance.sample(["GET", "POST", "PUT", "DELETE"], chance.randint(1, 2))
                if chance.random() < 0.3:
                    route["headers"] = {chance.choice(HEADERS): chance.sample(VALUES[:2], 1)}
                if chance.random() < 0.2:
                    route["protocols"] = ["https"]
                if chance.random() < 0.3:
                    route["regex_priority"] = chance.randint(0, 3)
                route["strip_path"] = chance.random() < 0.5
                route["preserve_host"] = chance.random() < 0.5
                route["path_handling"] = chance.choice(["v0", "v1"])
                routes.append(route)
            path = chance.choice(["", "/", "/s", "/s/", "/s/t"])
            services.append({"name": f"s{s}", "url": self.origin.url + path, "routes": routes, "retries": 0})
        return kong(services)

    def request(self, chance):
        path = "/" + "/".join(chance.choice(SEGMENTS) for _ in range(chance.randint(0, 4)))
        if chance.random() < 0.3:
            path += chance.choice(["?", "?q=1", "?a/../b", "?x=%20"])
        headers = {h: [chance.choice(VALUES) for _ in range(chance.randint(1, 2))] for h in HEADERS if chance.random() < 0.5}
        return {"method": chance.choice(["GET", "GET", "POST", "PUT"]), "host": chance.choice(HOSTS), "path": path,
                "scheme": "http", "headers": headers}

    def explained(self, gateway, requests):
        done = subprocess.run(
            [SEAWAY, "gateway", "match", "--config", str(gateway.config), "--requests", "-"],
            input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def served(self, client, request):
        self.origin.clear()
        headers = [(n, v) for n, values in request["headers"].items() for v in values]
        answer = client.ask(request["path"], request["method"], host=request["host"], headers=headers,
                            body=b"" if request["method"] != "GET" else None)
        seen = self.origin.seen()
        return answer, seen[0] if seen else None

    def test_explained_and_served_agree(self):
        chance = random.Random(self.seed)
        gateway = Gateway(kong(), "--access-log", "access.log")
        self.addCleanup(gateway.stop)
        answered, routed, names = 0, 0, []
        expected = []
        client = None
        for n in range(self.ROUNDS):
            config = self.config(chance, n)
            gateway.reload(config)
            requests = [self.request(chance) for _ in range(self.REQUESTS)]
            explained = self.explained(gateway, requests)
            self.assertEqual(len(explained), len(requests))
            client = client or Client(gateway.port)
            for request, said in zip(requests, explained):
                answer, head = self.served(client, request)
                where = f"seed {self.seed}, round {n}: {request}\nexplained {said}\n{json.dumps(config)}"
                self.assertEqual(answer.status, said["status"], where)
                self.assertEqual(head is not None, said["status"] == 200, where)
                if head is not None:
                    self.assertEqual(head.target, said["upstream_uri"], where)
                    self.assertEqual(head.get("Host"), said["upstream_host"], where)
                    routed += 1
                answered += 1
                expected.append((said["route"], where))
                if "close" in answer.tokens("Connection"):
                    client.close()
                    client = Client(gateway.port)
        client.close()
        # Which route answered, the access log knows.
        path = gateway.folder / "access.log"
        from gateway import eventually
        eventually("the log", lambda: path.read_text().count("\n") >= answered)
        names = [json.loads(line).get("route", {}).get("name") for line in path.read_text().splitlines()]
        for (want, where), got in zip(expected, names):
            self.assertEqual(got, want, where)
        print(f"  match: {answered} requests over {self.ROUNDS} files agree, {routed} of them proxied")
        self.assertGreater(routed, answered // 10)
