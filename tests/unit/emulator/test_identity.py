from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest

from local.emulator.identity import JWT_AUDIENCES
from local.emulator.status import Code
from tests.unit.emulator.emulated_cloud import IMAGES, START, EmulatedCloud

NOW = int(START.timestamp())
LIST = f"{IMAGES}?folderId=b1gtarget"


def list_images(cloud: EmulatedCloud, authorization: str | None) -> tuple[int, dict[str, Any]]:
    cloud.client.headers.pop("Authorization", None)
    headers = {} if authorization is None else {"Authorization": authorization}
    response = cloud.client.get(LIST, headers=headers)
    return response.status_code, response.json()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer garbage", "Api-Key x", "Basic dTpw"])
def test_calls_without_a_token_that_was_issued(cloud: EmulatedCloud, header: str | None) -> None:
    status, error = list_images(cloud, header)
    assert (status, error["code"]) == (401, Code.UNAUTHENTICATED)


@pytest.mark.parametrize(
    "path",
    [
        LIST,
        f"{IMAGES}/x",
        "/operations/x",
        "/operations/x:cancel",
        "/compute/v1/images",
        "/compute/v1/images/x",
        "/compute/v1/images:latestByFamily",
        "/quota-manager/v1/quotaLimits",
        "/quota-manager/v1/quotaLimits/services",
        "/quota-manager/v1/quotaLimits/x",
    ],
)
def test_every_service_wants_a_token(cloud: EmulatedCloud, path: str) -> None:
    del cloud.client.headers["Authorization"]
    assert cloud.call("GET", path, status=401)["code"] == Code.UNAUTHENTICATED


def test_a_token_lives_twelve_hours(cloud: EmulatedCloud) -> None:
    cloud.pass_time(12 * 3600 - 1)
    cloud.call("GET", LIST)
    cloud.pass_time(1)
    assert "expired" in cloud.call("GET", LIST, status=401)["message"]


def test_the_static_token() -> None:
    cloud = EmulatedCloud(static_token="given")
    assert list_images(cloud, "Bearer given")[0] == 200
    assert list_images(cloud, "Bearer giver")[0] == 401
    cloud.world.identity.revoke_tokens()
    assert list_images(cloud, "Bearer given")[0] == 401


def test_an_empty_static_token_is_none() -> None:
    assert list_images(EmulatedCloud(static_token=""), "Bearer ")[0] == 401


class Signer:
    """Signs JWTs with an authorized key, each time with something changed."""

    def __init__(self, cloud: EmulatedCloud) -> None:
        self.cloud = cloud
        self.key = cloud.world.issue_service_account_key()

    def sign(self, *, algorithm: str = "PS256", kid: str | None = None, **changes: Any) -> str:
        claims = {
            "iss": self.key["service_account_id"],
            "aud": JWT_AUDIENCES[0],
            "iat": NOW,
            "exp": NOW + 3600,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": kid or self.key["id"]}
        return jwt.encode(claims, self.key["private_key"], algorithm=algorithm, headers=headers)

    def exchange(self, token: str, *, status: int = 200) -> Any:
        return self.cloud.call("POST", "/iam/v1/tokens", {"jwt": token}, status=status)


@pytest.fixture
def signer(cloud: EmulatedCloud) -> Signer:
    return Signer(cloud)


def test_an_authorized_key_looks_like_the_documented_one(signer: Signer) -> None:
    assert signer.key.keys() == {
        "id",
        "service_account_id",
        "created_at",
        "key_algorithm",
        "public_key",
        "private_key",
    }
    preamble, begin, *_ = signer.key["private_key"].splitlines()
    assert preamble.startswith("PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID")
    assert begin == "-----BEGIN PRIVATE KEY-----"


@pytest.mark.parametrize("audience", [*JWT_AUDIENCES, "https://cloud.test/iam/v1/tokens"])
def test_a_signed_jwt_becomes_a_token(signer: Signer, audience: str) -> None:
    token = signer.exchange(signer.sign(aud=audience))
    assert token["expiresAt"] == "2026-08-01T22:00:00.000000000Z"
    assert list_images(signer.cloud, f"Bearer {token['iamToken']}")[0] == 200


def test_the_caller_shows_in_the_operation(signer: Signer) -> None:
    token = signer.exchange(signer.sign())["iamToken"]
    signer.cloud.client.headers["Authorization"] = f"Bearer {token}"
    assert signer.cloud.copy()["createdBy"] == signer.key["service_account_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.test/iam/v1/tokens"},
        {"aud": None},
        {"iss": "ajesomebodyelse"},
        {"iss": None},
        {"exp": NOW + 3601},
        {"exp": NOW},
        {"exp": None},
        {"iat": None},
        {"iat": NOW + 61, "exp": NOW + 120},
        {"kid": "ajeunknown"},
        {"algorithm": "RS256"},
    ],
)
def test_jwts_that_are_refused(signer: Signer, changes: dict[str, Any]) -> None:
    assert signer.exchange(signer.sign(**changes), status=401)["code"] == Code.UNAUTHENTICATED


def test_a_jwt_signed_with_another_key(signer: Signer) -> None:
    other = Signer(signer.cloud)
    forged = other.sign(kid=signer.key["id"], iss=signer.key["service_account_id"])
    assert signer.exchange(forged, status=401)["code"] == Code.UNAUTHENTICATED


@pytest.mark.parametrize("body", [{}, {"jwt": ""}, {"jwt": 1}, {"jwt": "j" * 8001}, []])
def test_token_requests_that_are_malformed(cloud: EmulatedCloud, body: Any) -> None:
    assert cloud.call("POST", "/iam/v1/tokens", body, status=400)["code"] == Code.INVALID_ARGUMENT


def test_other_token_requests_that_are_refused(cloud: EmulatedCloud) -> None:
    cloud.call("POST", "/iam/v1/tokens", {"jwt": "not.a.jwt"}, status=401)
    cloud.call("POST", "/iam/v1/tokens", {"yandexPassportOauthToken": "y0_x"}, status=401)


FORM = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "audience": "ajeaccount",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}
ROLE = "arn:aws:iam::123456789012:role/copy"


def exchange(cloud: EmulatedCloud, subject_token: str, **changes: str) -> tuple[int, dict[str, Any]]:
    form = {**FORM, "subject_token": subject_token, **changes}
    response = cloud.client.post("/oauth/token", data={name: value for name, value in form.items() if value})
    return response.status_code, response.json()


def test_a_federated_subject_becomes_its_service_account(cloud: EmulatedCloud) -> None:
    issuer = cloud.world.identity.add_issuer("https://issuer.test", ("yandex",))
    cloud.world.identity.add_federated_credential(issuer=issuer.url, subject=ROLE, service_account_id="ajeaccount")
    status, token = exchange(cloud, issuer.sign(subject=ROLE))

    assert (status, token["token_type"], token["expires_in"]) == (200, "Bearer", 43200)
    cloud.client.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert cloud.copy()["createdBy"] == "ajeaccount"

    stranger = EmulatedCloud().world.identity.add_issuer("https://issuer.test", ("yandex",))
    for refused in (
        issuer.sign(subject=f"{ROLE}-other"),
        issuer.sign(subject=ROLE, audience="aws"),
        issuer.sign(subject=ROLE, lifetime=0),
        stranger.sign(subject=ROLE),
        "not.a.jwt",
    ):
        assert exchange(cloud, refused)[1]["error"] == "invalid_grant"
    assert exchange(cloud, issuer.sign(subject=ROLE), audience="ajeother")[1]["error"] == "invalid_grant"


def test_an_issuer_nobody_trusts(cloud: EmulatedCloud) -> None:
    cloud.world.identity.add_issuer("https://issuer.test", ("yandex",))
    other = EmulatedCloud().world.identity.add_issuer("https://other.test", ("yandex",))
    status, refusal = exchange(cloud, other.sign(subject=ROLE))
    assert (status, refusal["error"]) == (400, "invalid_grant")
    assert "https://other.test" in refusal["error_description"]


def test_without_any_issuer_the_shape_of_the_subject_token_is_checked(cloud: EmulatedCloud) -> None:
    other = EmulatedCloud().world.identity.add_issuer("https://other.test", ("yandex",))
    assert exchange(cloud, other.sign(subject=ROLE))[0] == 200
    assert exchange(cloud, other.sign(subject=ROLE, lifetime=-1))[0] == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"requested_token_type": ""}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"audience": ""}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
    ],
)
def test_exchange_forms_that_are_refused(cloud: EmulatedCloud, changes: dict[str, str], error: str) -> None:
    assert exchange(cloud, changes.pop("subject_token", "a.b.c"), **changes)[1]["error"] == error


def test_the_metadata_service_wants_its_header(cloud: EmulatedCloud) -> None:
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    token = cloud.call("GET", path, Metadata_Flavor="Google")
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 43200)
    assert list_images(cloud, f"Bearer {token['access_token']}")[0] == 200
    cloud.call("GET", path, status=403)


def test_no_secret_shows_in_logs_or_representations(cloud: EmulatedCloud) -> None:
    token = cloud.world.identity.issue_token("ajeaccount", timedelta(hours=1))
    list_images(cloud, f"Bearer {token.text}")
    assert token.text not in repr(token)
    assert token.text not in repr(cloud.world.requests)
