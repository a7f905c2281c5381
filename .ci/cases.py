"""Schemathesis hooks for .ci/api: authentication, and values that random generation would not find."""

import itertools
import json
import os
import re
import urllib.request

import schemathesis

# As in the document's examples, so that the examples of login and password change succeed.
PASSWORD = "a key derived from her password"
USERNAME = re.compile("[a-zA-Z0-9_-]{3,32}")
READING = {"readMailbox", "classicPollMessages"}
REGISTERING = {"registerUser", "classicRegisterUser"}
# These can invalidate the token that they are called with, so each case has its own user.
ENDING = {"changePassword", "deleteOwnUser", "endCurrentSession"}
ENDING_BY_ID = {"deleteDevice": "device", "endSession": "session"}

numbers = itertools.count(1)


def post(path, body, headers=None):
    headers = {"Content-Type": "application/json"} | (headers or {})
    request = urllib.request.Request(os.environ["WOOSH_URL"] + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def register(name):
    keys = {"public_key": "public", "private_key": "private, encrypted"}
    return post("/v1/users", {"username": name, "password": PASSWORD, **keys})


def bearer(login):
    return {"Authorization": f"Bearer {login['token']}"}


# The examples send to alice. The classic API rejects messages to oneself, so its caller is bob.
alice = bearer(register("alice"))
register("bob")


@schemathesis.auth(refresh_interval=None)
class Caller:
    def get(self, case, context):
        operation = context.operation.definition.raw
        name = operation["operationId"]
        if not operation["security"]:
            return {}
        if name in READING:
            # So that the mailbox is not empty.
            recipients = [{"username": user, "contents": "ciphertext"} for user in ("alice", "bob")]
            post("/v1/messages", {"recipients": recipients}, alice)
        if name in ENDING | ENDING_BY_ID.keys():
            user = f"one-{next(numbers)}"
            register(user)
            login = post("/v1/sessions", {"username": user, "password": PASSWORD})
            # Replace half of the valid ids by the user's own.
            id = case.path_parameters.get("id")
            if name in ENDING_BY_ID and isinstance(id, int) and id > 0 and id % 2:
                case.path_parameters["id"] = login[ENDING_BY_ID[name]]["id"]
            return bearer(login)
        return alice if "Bearer" in operation["security"][0] else {"x-user-name": "bob", "x-user-token": PASSWORD}

    def set(self, case, headers, context):
        case.headers.update(headers)


@schemathesis.hook
def before_call(context, case, kwargs):
    name = case.operation.definition.raw["operationId"]
    # Schemathesis reuses values, so that most usernames would be taken.
    if name in REGISTERING and isinstance(case.body, dict) and USERNAME.fullmatch(str(case.body.get("username"))):
        if (number := next(numbers)) % 4:
            case.body["username"] = f"new-{number}"
    # Shorten valid waits, and keep invalid ones, which must be rejected.
    wait = str((case.query or {}).get("wait"))
    if wait.isdecimal() and 1 < int(wait) <= 60:
        case.query["wait"] = 1
