"""The applied record as it lies on a server: which texts and images are ours, and what a person wants kept."""

from __future__ import annotations

import json

from ez_homelab.observe.observed import AppliedRecord


def parse_applied(content: bytes | None) -> AppliedRecord:
    """Our record of earlier applies; an empty one where there is none.

    So is a damaged one: whatever differs then counts as a person's text and is kept aside before it is replaced.
    """
    try:
        record = json.loads(content or b"{}")
        files = {path: tuple(hashes) for path, hashes in record.get("files", {}).items()}
        named = {name: dict(record.get(name, {})) for name in ("images", "kept", "definitions")}
        return AppliedRecord(files, record.get("lab", ""), **named)
    except (ValueError, AttributeError, TypeError):
        return AppliedRecord()


def encode_applied(record: AppliedRecord) -> bytes:
    """The text that `parse_applied` reads."""
    files = {path: [*hashes] for path, hashes in record.files.items()}
    named = {"images": {**record.images}, "kept": {**record.kept}, "definitions": {**record.definitions}}
    return json.dumps({"lab": record.lab, "files": files, **named}, indent=1, sort_keys=True).encode()
