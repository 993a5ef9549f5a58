"""SCIM's errors (RFC 7644, section 3.12)."""

SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimError(Exception):
    """A refusal; `kind` is the `scimType` of RFC 7644, empty if none fits."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind

    @property
    def body(self) -> dict[str, object]:
        told: dict[str, object] = {"schemas": [SCHEMA], "status": str(self.status), "detail": self.detail}
        return told | ({"scimType": self.kind} if self.kind else {})


def invalid(detail: str, kind: str = "invalidValue") -> ScimError:
    return ScimError(400, detail, kind)
