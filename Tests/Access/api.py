"""The Resource API of a control plane that the tests start."""

from control_plane import ControlPlane


class API(ControlPlane):
    """Asks the Resource API; `admin=True` asks the Admin API."""

    def ask(self, method, path, json_body=None, admin=False, token=None, **options):
        """`token`: nil is the first admin's, "" is none."""
        headers = dict(options.pop("headers", None) or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.request(
            method, path, json_body=json_body, headers=headers, token=token is None,
            to=self.admin if admin else self.api, **options)

    def make_token(self, name, *roles, **fields) -> dict:
        answer = self.ask("POST", "/v1/tokens", {"name": name, "roles": list(roles), **fields})
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json

    def apply(self, text, query="", **options):
        return self.ask(
            "POST", "/v1/apply" + query, body=text, headers={"Content-Type": "application/yaml"}, **options)
