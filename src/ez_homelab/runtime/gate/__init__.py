"""The gate: sign-on in front of every app, by the same forward-auth contract that Authelia keeps."""
