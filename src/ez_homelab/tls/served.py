"""The one file from which Traefik takes the lab's certificate: chain and key together, replaced in one rename.

Two files could be read as a mismatched pair between two renames, and Traefik does not notice files replaced outside
the folder it watches (measured), so both stand inline in a file of that folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ez_homelab.tls.authority import PrivateKeyPem
from ez_homelab.tls.certificate import DamagedCertificate, inspect_certificate

if TYPE_CHECKING:
    from ez_homelab.tls.certificate import CertificateFacts, IssuedCertificate


def served_file(issued: IssuedCertificate) -> bytes:
    """The watched file for this certificate (Traefik: `certFile` and `keyFile` take a path or the PEM itself)."""
    pair = {"certFile": issued.chain_pem.decode(), "keyFile": issued.key_pem.reveal().decode()}
    document = {"tls": {"stores": {"default": {"defaultCertificate": pair}}}}
    about = "# The lab's certificate and its key, made and renewed by EZ-Homelab.\n"
    return (about + yaml.safe_dump(document, default_style="|", width=1000)).encode()


def read_served(content: bytes | None) -> CertificateFacts | DamagedCertificate | None:
    """What the certificate in the watched file says; None where there is no file."""
    if content is None:
        return None
    try:
        pair = yaml.safe_load(content)["tls"]["stores"]["default"]["defaultCertificate"]
        chain, key = pair["certFile"].encode(), PrivateKeyPem(pair["keyFile"].encode())
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        # The parser's own message could quote the key.
        return DamagedCertificate("its file cannot be read")
    return inspect_certificate(chain, key)
