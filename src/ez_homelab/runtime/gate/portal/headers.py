"""Headers that every answer of the portal carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_BY_BROWSERS = "public, max-age=31536000, immutable"


def security_headers(domain: str) -> Mapping[str, str]:
    """Return what tells a browser to run nothing but the portal's own files and to show it in no frame.

    `form-action` names the lab's hosts because browsers apply it to the redirect that follows a sign-in as well.
    """
    policy = (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        f"form-action 'self' https://{domain} https://*.{domain}",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), publickey-credentials-get=(self)",
        # Not `no-referrer`: with that, browsers send `Origin: null` with the portal's own forms. No other host sees it.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
    }
