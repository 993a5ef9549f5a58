"""Descriptions of the SCIM API for identity providers: configuration, resource types and schemas (RFC 7643)."""

from typing import Any

from control.scim.paths import CORE, ENTERPRISE, GROUP

MAX_RESULTS = 200
_NAMESPACE = "urn:ietf:params:scim:schemas:core:2.0"


def service_provider_config(base: str) -> dict[str, Any]:
    """Return the ServiceProviderConfig: the features that are supported."""
    return {
        "schemas": [f"{_NAMESPACE}:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "API key",
                "description": "An API key with the scope provisioning:write, as bearer token",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_types(base: str) -> list[dict[str, Any]]:
    return [
        _resource_type(base, "User", CORE) | {"schemaExtensions": [{"schema": ENTERPRISE, "required": False}]},
        _resource_type(base, "Group", GROUP),
    ]


def _resource_type(base: str, name: str, schema: str) -> dict[str, Any]:
    return {
        "schemas": [f"{_NAMESPACE}:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
    }


def schemas(base: str) -> list[dict[str, Any]]:
    email = [_attribute("value"), _attribute("type"), _attribute("primary", "boolean")]
    groups = [_attribute(one, fixed="readOnly") for one in ("value", "display", "type")]
    name = [_attribute("formatted"), _attribute("givenName"), _attribute("familyName")]
    user = [
        _attribute("userName", required=True, uniqueness="server"),
        _attribute("externalId", exact=True),
        _attribute("displayName"),
        _attribute("name", "complex", parts=name),
        _attribute("active", "boolean"),
        _attribute("emails", "complex", many=True, parts=email),
        _attribute("roles", "complex", many=True, parts=[_attribute("value")]),
        *(_attribute(one) for one in ("nickName", "title", "userType", "preferredLanguage", "locale", "timezone")),
        *(_attribute(one, "complex", many=True, parts=email) for one in ("phoneNumbers", "addresses")),
        _attribute("groups", "complex", many=True, fixed="readOnly", parts=groups),
    ]
    enterprise = [
        *(_attribute(one) for one in ("employeeNumber", "costCenter", "organization", "division", "department")),
        _attribute("manager", "complex", parts=[_attribute("value"), _attribute("displayName")]),
    ]
    member = [_attribute("value", exact=True, fixed="immutable"), _attribute("type", fixed="immutable")]
    group = [
        _attribute("displayName", required=True, uniqueness="server"),
        _attribute("externalId", exact=True),
        _attribute("members", "complex", many=True, parts=member),
    ]
    return [
        _schema(base, CORE, "User", user),
        _schema(base, ENTERPRISE, "EnterpriseUser", enterprise),
        _schema(base, GROUP, "Group", group),
    ]


def _schema(base: str, urn: str, name: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": [f"{_NAMESPACE}:Schema"],
        "id": urn,
        "name": name,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
    }


def _attribute(
    name: str,
    kind: str = "string",
    *,
    many: bool = False,
    required: bool = False,
    exact: bool = False,
    uniqueness: str = "none",
    fixed: str = "",
    parts: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    described = {
        "name": name,
        "type": kind,
        "multiValued": many,
        "required": required,
        "caseExact": exact,
        "mutability": fixed or "readWrite",
        "returned": "default",
        "uniqueness": uniqueness,
    }
    return described | ({"subAttributes": parts} if parts is not None else {})
