"""A token endpoint (RFC 6749) that gives tokens which Kafka's unsecured validator takes."""

import base64
import json
from urllib.parse import parse_qs

from tests.support.receiver import Behaviour, Receiver, Seen, reply
from tests.support.secure_kafka import unsecured_token

CLIENT, SECRET = "maskline", "client-secret-of-tests"


class TokenEndpoint(Receiver):
    """Gives tokens of `principal` that live `seconds` to the client that knows `secret`."""

    def __init__(self, *, principal: str = "admin", seconds: float = 60) -> None:
        super().__init__()
        self.secret = SECRET
        self.principal, self.seconds = principal, seconds

    def answer_to(self, request: Seen) -> bytes | Behaviour:
        """Give a token, or say what is wrong as the specification has it."""
        if self.answers:
            return self.answers.popleft()
        form = parse_qs(request.body.decode())
        basic = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        if request.headers["Authorization"] != f"Basic {basic}":
            return reply(401, json.dumps({"error": "invalid_client"}).encode())
        if form.get("grant_type") != ["client_credentials"]:
            return reply(400, json.dumps({"error": "unsupported_grant_type"}).encode())
        token = unsecured_token(self.principal, seconds=self.seconds)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.seconds}
        return reply(200, json.dumps(answer).encode())
