"""HTTPS on a local domain: the lab's own certificate authority, the certificate it signs, and who trusts it."""
