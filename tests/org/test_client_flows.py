"""The ways to a token, against a login host that answers by script."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from core.errors import ConfigError, RefusedError, SessionLostError, TransientError, UserError
from core.salesforce import flows
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials, TokenFlow
from core.salesforce.identity import PRACTICE_INSTANCE, Environment, environment
from core.salesforce.tokens import TokenEndpoint, instance_of
from core.secret import Secret
from tests.org.scripted_org import Reply, ScriptedOrg

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)


@pytest.fixture
def endpoint() -> TokenEndpoint:
    return TokenEndpoint(sleep=lambda _: None)


def grant(org: ScriptedOrg, **more: str) -> None:
    body = {"access_token": "00D!new", "instance_url": org.url, "id": f"{org.url}/id/1", **more}
    org.on("POST", "/services/oauth2/token", Reply(body=body))


def form_of(org: ScriptedOrg) -> dict[str, str]:
    (seen,) = org.requests("/oauth2/token")
    return {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}


def test_the_browser_flow_proves_that_we_began_it(
    org: ScriptedOrg, endpoint: TokenEndpoint
) -> None:
    grant(org, refresh_token="refresh-1")
    back = "http://127.0.0.1:8501/oauth/callback"
    start = flows.begin_web_server(login_url=org.url, client_id="key", redirect_uri=back)
    asked = {k: v[0] for k, v in parse_qs(urlsplit(start.authorize_url).query).items()}

    held = flows.finish_web_server(
        endpoint,
        Credentials(instance_url=org.url, client_id="key"),
        code="c==",
        verifier=start.verifier,
        redirect_uri=back,
    )

    sent = form_of(org)
    digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"
    assert asked["state"] == start.state and len(start.state) >= 32
    assert 43 <= len(sent["code_verifier"]) <= 128
    assert (sent["code"], sent["redirect_uri"]) == ("c==", back)
    assert held.flow is TokenFlow.WEB_SERVER and held.renewable
    assert held.refresh_token.reveal() == "refresh-1"


def test_a_jwt_is_signed_and_short_lived(org: ScriptedOrg, endpoint: TokenEndpoint) -> None:
    grant(org)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    asked = Credentials(
        instance_url=org.url,
        flow=TokenFlow.JWT,
        client_id="key",
        username="ann@example.com",
        private_key=Secret(pem.decode()),
    )

    held = flows.connect(endpoint, asked, clock=lambda: NOW)

    header, claims, signature = form_of(org)["assertion"].split(".")

    def raw(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    key.public_key().verify(
        raw(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert json.loads(raw(claims)) == {
        "iss": "key",
        "sub": "ann@example.com",
        "aud": org.url,
        "exp": int(NOW.timestamp()) + 180,
    }
    assert held.access_token.reveal() == "00D!new"


def test_client_credentials_go_as_basic_authorization(
    org: ScriptedOrg, endpoint: TokenEndpoint
) -> None:
    grant(org)
    asked = Credentials(
        instance_url=org.url,
        flow=TokenFlow.CLIENT_CREDENTIALS,
        client_id="key",
        client_secret=Secret("hush"),
    )

    flows.connect(endpoint, asked, clock=lambda: NOW)

    (seen,) = org.requests("/oauth2/token")
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"key:hush"


SOAP_LOGIN = (
    '<e xmlns="urn:partner.soap.sforce.com"><result><serverUrl>{url}/services/Soap/u/64.0/00D'
    "</serverUrl><sessionId>00D!soap</sessionId></result></e>"
)


def test_a_password_signs_in_over_soap(org: ScriptedOrg, endpoint: TokenEndpoint) -> None:
    org.on("POST", "/services/Soap/u/64.0", Reply(body=SOAP_LOGIN.format(url=org.url).encode()))
    asked = Credentials(
        instance_url=org.url,
        flow=TokenFlow.PASSWORD,
        username="a&b@example.com",
        password=Secret("p<w"),
        security_token=Secret("tok"),
    )

    held = flows.connect(endpoint, asked, clock=lambda: NOW)

    (seen,) = org.requests("/Soap/u/64.0")
    assert b"<urn:password>p&lt;wtok</urn:password>" in seen.body
    assert held.access_token.reveal() == "00D!soap"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNSUPPORTED_API_VERSION", "no longer signs in by user name"),
        ("INVALID_LOGIN", "refused to sign in"),
    ],
)
def test_a_refused_password_is_explained_and_not_tried_again(
    org: ScriptedOrg, endpoint: TokenEndpoint, code: str, words: str
) -> None:
    """Repeated attempts lock the user."""
    fault = f"<f><faultcode>sf:{code}</faultcode><faultstring>{code}: no</faultstring></f>"
    org.on("POST", "/services/Soap/u/64.0", Reply(500, fault.encode()))
    asked = Credentials(
        instance_url=org.url, flow=TokenFlow.PASSWORD, username="a", password=Secret("wrong-pw")
    )

    with pytest.raises(UserError, match=words) as caught:
        flows.connect(endpoint, asked, clock=lambda: NOW)
    assert "wrong-pw" not in str(caught.value)
    assert len(org.requests("/Soap/")) == 1


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        ("invalid_grant", "expired access/refresh token", SessionLostError),
        ("invalid_grant", "authentication failure - Invalid Password", UserError),
        ("invalid_grant", "user hasn't approved this consumer", UserError),
        ("invalid_client_id", "client identifier invalid", UserError),
        ("invalid_client", "invalid client credentials", UserError),
        ("inactive_org", "", UserError),
        ("something_new", "what is that", RefusedError),
    ],
)
def test_every_refusal_of_a_token_has_its_reason_and_next_step(
    org: ScriptedOrg, endpoint: TokenEndpoint, error: str, description: str, kind: type[Exception]
) -> None:
    body = {"error": error, "error_description": description}
    org.on("POST", "/services/oauth2/token", Reply(400, body))
    held = Credentials(
        instance_url=org.url, flow=TokenFlow.WEB_SERVER, refresh_token=Secret("r"), client_id="k"
    )

    with pytest.raises(kind) as caught:
        flows.renew(endpoint, held, clock=lambda: NOW)
    assert type(caught.value) is kind


def test_a_host_that_is_no_org_is_called_so(org: ScriptedOrg, endpoint: TokenEndpoint) -> None:
    org.on("GET", "/services/data/$", Reply(200, b"<html>hello</html>"))

    with pytest.raises(UserError, match="does not answer like a Salesforce org"):
        flows.negotiated_version(endpoint, org.url)


def test_the_version_is_the_newest_that_both_speak(
    org: ScriptedOrg, endpoint: TokenEndpoint
) -> None:
    offered = [{"version": v} for v in ("20.0", "62.0", "68.0", "71.0")]
    org.on("GET", "/services/data/$", Reply(body=offered))

    assert flows.negotiated_version(endpoint, org.url) == "68.0"
    assert flows.negotiated_version(endpoint, org.url, wanted="62.0") == "62.0"
    org.on("GET", "/services/data/$", Reply(body=offered[:1]))
    with pytest.raises(UserError, match="speaks no API version"):
        flows.negotiated_version(endpoint, org.url)


def test_a_busy_login_host_is_asked_three_times(org: ScriptedOrg, endpoint: TokenEndpoint) -> None:
    org.on("GET", "/services/data/$", Reply(503, b""))

    with pytest.raises(TransientError, match="is busy"):
        flows.negotiated_version(endpoint, org.url)
    assert len(org.requests("/services/data/")) == 3


def test_revoking_takes_the_refresh_token_and_forgives_a_dead_one(
    org: ScriptedOrg, endpoint: TokenEndpoint
) -> None:
    org.on("POST", "/revoke", Reply(400, b"error=invalid_token&error_description=gone"))
    held = Credentials(
        instance_url=org.url, access_token=Secret("a"), refresh_token=Secret("refresh-1")
    )

    flows.revoke(endpoint, held)

    assert org.requests("/revoke")[0].body == b"token=refresh-1"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("force://PlatformCLI::5Aep@x.my.salesforce.com", ("PlatformCLI", "", "5Aep")),
        ("force://key:sec:tok@x.my.salesforce.com/", ("key", "sec", "tok")),
        ("force://tok@x.my.salesforce.com", ("PlatformCLI", "", "tok")),
    ],
)
def test_an_sfdx_url_is_taken_apart(text: str, parts: tuple[str, str, str]) -> None:
    held = flows.from_sfdx_url(text)

    assert (held.client_id, held.client_secret.reveal(), held.refresh_token.reveal()) == parts
    assert held.instance_url == "https://x.my.salesforce.com"


@pytest.mark.parametrize("text", ["", "force://", "https://x", "force://tok@10.0.0.1"])
def test_a_wrong_sfdx_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UserError) as caught:
        flows.from_sfdx_url(text)
    assert "tok@" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", ["https://evil.example.org", "http://127.0.0.1:1", "https://10.0.0.1"]
)
def test_a_token_answer_cannot_send_us_elsewhere(answer: str) -> None:
    with pytest.raises(UserError):
        instance_of(answer, "https://login.salesforce.com")


def test_what_is_missing_is_named_before_anything_is_sent(endpoint: TokenEndpoint) -> None:
    for flow, words in (
        (TokenFlow.ACCESS_TOKEN, "access token"),
        (TokenFlow.JWT, "client id"),
        (TokenFlow.CLIENT_CREDENTIALS, "client id"),
        (TokenFlow.PASSWORD, "username"),
    ):
        asked = Credentials(instance_url="https://x.my.salesforce.com", flow=flow)
        with pytest.raises(UserError, match=words):
            flows.connect(endpoint, asked, clock=lambda: NOW)


def test_credentials_are_written_and_read_without_loss() -> None:
    held = Credentials(
        instance_url="https://x.my.salesforce.com",
        access_token=Secret("a"),
        refresh_token=Secret("r"),
        flow=TokenFlow.JWT,
        private_key=Secret("-----BEGIN"),
    )

    assert Credentials.from_document(held.to_document()) == held
    with pytest.raises(ConfigError):
        Credentials.from_document("garbage")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"IsSandbox": False, "OrganizationType": "Enterprise Edition"}, Environment.PRODUCTION),
        ({"IsSandbox": True, "OrganizationType": "Unlimited Edition"}, Environment.SANDBOX),
        ({"IsSandbox": False, "OrganizationType": "Developer Edition"}, Environment.DEVELOPER),
        (
            {
                "IsSandbox": True,
                "OrganizationType": "Developer Edition",
                "TrialExpirationDate": "2026-12-01",
            },
            Environment.SCRATCH,
        ),
    ],
)
def test_an_org_is_what_its_organization_record_says(
    row: dict[str, object], kind: Environment
) -> None:
    signed = {**row, "InstanceName": PRACTICE_INSTANCE}

    assert environment(row, loopback=False) is kind
    assert environment(row, loopback=True) is kind  # a tunnel on this machine
    assert environment(signed, loopback=False) is kind
    assert environment(signed, loopback=True) is Environment.PRACTICE


def test_identity_is_asked_of_the_org(org: ScriptedOrg) -> None:
    organization = {
        "attributes": {},
        "Id": "00D000000000001",
        "Name": "Northwind",
        "IsSandbox": False,
        "OrganizationType": "Enterprise Edition",
        "InstanceName": "NA135",
    }
    page = {"totalSize": 1, "done": True, "records": [organization]}
    org.on("GET", "/query", Reply(body=page))
    who = {
        "user_id": "005000000000001AAA",
        "preferred_username": "ann@example.com",
        "organization_id": "00D000000000001EAA",
    }
    org.on("GET", "/services/oauth2/userinfo", Reply(body=who))
    client = OrgClient(Credentials(instance_url=org.url, access_token=Secret("t")))

    found = client.identity

    assert len(found.organization_id) == 18
    assert (found.username, found.api_version) == ("ann@example.com", "67.0")
    assert (found.environment, found.is_practice) == (Environment.PRODUCTION, False)
    assert client.identity is found
