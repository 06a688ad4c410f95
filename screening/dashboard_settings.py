"""Where the dashboard listens, who may look, and who may do what."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LOCAL_ADDRESS: Final = "127.0.0.1"
PERSON: Final = "person:"  # before the name of a person among groups, so that no name passes for a group


class Role(StrEnum):
    """What somebody comes for; a person may have several."""

    VIEWER = "viewer"  # sees the worklist and patients
    REVIEWER = "reviewer"  # sees them and decides
    QUALITY = "quality"  # sees them, asks the database in SQL, sees who looked at whom
    RESEARCH = "research"  # sees no identifier; asks a pseudonymised database in SQL


class Authentication(StrEnum):
    """How the dashboard knows who somebody is."""

    NONE = "none"  # on this machine alone: whoever can log in to it
    OIDC = "oidc"  # a sign-in service by OpenID Connect
    PROXY = "proxy"  # a reverse proxy that has signed the person in and says so in a header


class DashboardSettings(BaseModel):
    """The dashboard's door."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = Field(LOCAL_ADDRESS, description="Address to listen on; another than this machine's needs sign-in.")
    port: int = Field(8501, ge=1, le=65535, description="Port to listen on.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Names under which browsers may reach it, e.g. bones.hospital.org; none: any."
    )
    authentication: Authentication = Field(Authentication.NONE, description="none, oidc or proxy.")
    oidc_secrets: Path | None = Field(
        None, description="TOML file with the section [auth] of Streamlit: redirect_uri, client_secret and so on."
    )
    name_claim: str = Field("email", description="Claim of the OIDC token that names the person.")
    groups_claim: str = Field("groups", description="Claim of the OIDC token with the groups of the person.")
    session_hours: float = Field(12.0, gt=0, description="A sign-in by OIDC holds for so many hours.")
    name_header: str = Field("X-Forwarded-User", description="Header in which the proxy names the person.")
    groups_header: str = Field(
        "X-Forwarded-Groups", description="Header with the groups of the person, separated by commas."
    )
    proxy_secret: Path | None = Field(
        None,
        description="File with a password that the proxy sends in the header X-Proxy-Secret: whoever else reaches the "
        "port could send its other headers.",
    )
    roles: dict[Role, tuple[str, ...]] = Field(
        default_factory=dict, description="Role = groups that have it, and persons as person:NAME."
    )

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        if address != "localhost":
            ipaddress.ip_address(address)  # a ValueError says what is wrong with it
        return address

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if self.authentication is Authentication.NONE and not self.local:
            raise ValueError(
                f"the dashboard does not listen on {self.address} without sign-in: set authentication to oidc or "
                f"proxy, or address to {LOCAL_ADDRESS}"
            )
        if self.authentication is Authentication.OIDC and self.oidc_secrets is None:
            raise ValueError("authentication oidc needs oidc_secrets")
        if self.authentication is Authentication.PROXY and self.proxy_secret is None:
            raise ValueError("authentication proxy needs proxy_secret")
        if self.authentication is not Authentication.NONE and not self.roles:
            raise ValueError("with sign-in, roles must say who may look")
        return self

    @property
    def local(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        return self.address == "localhost" or ipaddress.ip_address(self.address).is_loopback
