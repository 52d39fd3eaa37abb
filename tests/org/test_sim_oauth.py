"""Every way to a token of a practice org, and every way to be refused one."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.orgs import PracticeOrg, PracticeOrgs

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BACK = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 64


@dataclass
class Door:
    """An org and the app that every practice org has."""

    org: PracticeOrg
    identity: dict[str, Any]

    @property
    def app(self) -> dict[str, str]:
        return {k: self.identity[k] for k in ("client_id", "client_secret")}

    def token(self, **form: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the token endpoint."""
        answer = self.org.http.request(
            "POST", f"{self.org.url}/services/oauth2/token", body=urlencode(form), headers=FORM
        )
        return answer.status, json.loads(answer.data)

    def opens(self, token: str) -> bool:
        """Whether the API takes the token."""
        return self.org.request("GET", "limits", token=token).status == 200

    def code(self, **more: str) -> str:
        """What the person's Allow leads to."""
        query = {
            "response_type": "code",
            "client_id": self.identity["client_id"],
            "redirect_uri": BACK,
            "state": "s1",
            "scope": "api refresh_token",
            **more,
        }
        form = {"user_id": self.identity["user_id"], "answer": "allow"}
        answer = self.org.http.request(
            "POST", f"{self.org.url}/services/oauth2/authorize?{urlencode(query)}",
            body=urlencode(form), headers=FORM, redirect=False,
        )  # fmt: skip
        said = parse_qs(urlsplit(answer.headers["location"]).query)
        assert said["state"] == ["s1"]
        return said["code"][0]


@pytest.fixture(scope="module")
def door(module_practice_org: PracticeOrgs) -> Door:
    org = module_practice_org(schema="standard: [Account]")
    return Door(org, org.json("GET", "/_sim/org"))


def challenge() -> str:
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_code_with_pkce_is_good_once(door: Door) -> None:
    code = door.code(code_challenge=challenge(), code_challenge_method="S256")
    form = {"grant_type": "authorization_code", "redirect_uri": BACK, "code": code, **door.app}

    status, said = door.token(**form, code_verifier=VERIFIER)
    again, refusal = door.token(**form, code_verifier=VERIFIER)

    assert status == 200
    assert said["access_token"].startswith(door.identity["organization_id"][:15] + "!")
    assert said["issued_at"].isdigit()
    assert "expires_in" not in said
    assert door.opens(said["access_token"])
    assert (again, refusal["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "wrong", [{"code_verifier": "other"}, {"redirect_uri": "http://127.0.0.1:9/else"}]
)
def test_a_code_is_bound_to_verifier_and_address(door: Door, wrong: dict[str, str]) -> None:
    code = door.code(code_challenge=challenge())
    form = {"grant_type": "authorization_code", "redirect_uri": BACK, "code": code,
            "code_verifier": VERIFIER, **door.app}  # fmt: skip

    status, said = door.token(**{**form, **wrong})

    assert status == 400
    assert said["error"] in ("invalid_grant", "redirect_uri_mismatch")


def test_a_refresh_token_is_rotated_and_the_old_one_is_dead(door: Door) -> None:
    _, first = door.token(
        grant_type="authorization_code", redirect_uri=BACK, code=door.code(), **door.app
    )
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **door.app}

    status, second = door.token(**form)
    dead, refusal = door.token(**form)

    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert door.opens(second["access_token"])
    assert (dead, refusal["error_description"]) == (400, "expired access/refresh token")


def test_client_credentials_need_the_secret(door: Door) -> None:
    status, said = door.token(grant_type="client_credentials", **door.app)
    refused, refusal = door.token(
        grant_type="client_credentials", **{**door.app, "client_secret": "no"}
    )

    assert status == 200
    assert "refresh_token" not in said
    assert door.opens(said["access_token"])
    assert (refused, refusal["error"]) == (400, "invalid_client")


def test_a_password_is_checked(door: Door) -> None:
    (user,) = door.org.query(f"SELECT Username FROM User WHERE Id = '{door.identity['user_id']}'")
    form = {"grant_type": "password", "username": user["Username"], **door.app}

    status, said = door.token(**form, password="practice")
    refused, refusal = door.token(**form, password="wrong")

    assert status == 200
    assert door.opens(said["access_token"])
    assert refused == 400
    assert refusal["error_description"].startswith("authentication failure")


def test_a_jwt_signed_by_the_apps_key_opens_the_org(door: Door) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    door.org.json("POST", "/_sim/apps", {"client_id": "jwt-app", "public_key": pem.decode()})
    (user,) = door.org.query(f"SELECT Username FROM User WHERE Id = '{door.identity['user_id']}'")
    claims = {"iss": "jwt-app", "sub": user["Username"], "exp": int(time.time()) + 120,
              "aud": "https://login.salesforce.com"}  # fmt: skip

    def ask(**changed: Any) -> tuple[int, dict[str, Any]]:
        grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return door.token(grant_type=grant, assertion=_signed(key, {**claims, **changed}))

    status, said = ask()

    assert status == 200
    assert door.opens(said["access_token"])
    for wrong in ({"aud": "https://elsewhere.example"}, {"exp": 1}, {"sub": "nobody@x.example"}):
        refused, refusal = ask(**wrong)
        assert (refused, refusal["error"]) == (400, "invalid_grant")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert door.token(grant_type=grant, assertion=_signed(other, claims))[0] == 400


def test_a_revoked_token_opens_nothing(door: Door) -> None:
    _, said = door.token(grant_type="client_credentials", **door.app)

    def revoke() -> int:
        answer = door.org.http.request(
            "POST", f"{door.org.url}/services/oauth2/revoke",
            body=urlencode({"token": said["access_token"]}), headers=FORM,
        )  # fmt: skip
        return answer.status

    assert revoke() == 200
    assert not door.opens(said["access_token"])
    assert revoke() == 400


def test_identity_and_userinfo_tell_who_the_token_is(door: Door) -> None:
    _, said = door.token(grant_type="client_credentials", **door.app)
    path = urlsplit(said["id"]).path

    identity = json.loads(door.org.request("GET", path, token=said["access_token"]).data)
    userinfo = json.loads(
        door.org.request("GET", "/services/oauth2/userinfo", token=said["access_token"]).data
    )

    assert identity["user_id"] == userinfo["user_id"] == door.identity["user_id"]
    assert identity["organization_id"] == door.identity["organization_id"]
    assert identity["urls"]["rest"].endswith("/services/data/v{version}/")
    assert door.org.request("GET", path, token="nonsense").status == 403


def test_unknown_apps_and_grants_are_refused(door: Door) -> None:
    for form, error in (
        ({"grant_type": "client_credentials", "client_id": "?"}, "invalid_client_id"),
        ({"grant_type": "magic", **door.app}, "unsupported_grant_type"),
    ):
        status, said = door.token(**form)
        assert (status, said["error"]) == (400, error)


def _signed(key: rsa.RSAPrivateKey, claims: dict[str, Any]) -> str:
    def part(value: Any) -> str:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    body = f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{body}.{part(signature)}"
