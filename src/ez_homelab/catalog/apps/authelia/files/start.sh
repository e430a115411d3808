#!/bin/sh
# Makes what Authelia needs once (people, a key for OpenID Connect where an app of the lab uses it), then starts it.
set -eu
umask 077
export X_AUTHELIA_CONFIG=/etc/authelia/config/configuration.yml
if [ ! -s /config/users.yml ]; then
    cp /etc/authelia/people/users.yml /config/users.yml
fi
if grep -q '^  smtp:' "$X_AUTHELIA_CONFIG" && [ -s /run/secrets/smtp_password ]; then
    export AUTHELIA_NOTIFIER_SMTP_PASSWORD_FILE=/run/secrets/smtp_password
fi
if grep -q '^identity_providers:' "$X_AUTHELIA_CONFIG"; then
    if [ ! -s /config/oidc.yml ]; then
        authelia crypto pair rsa generate --bits 3072 --directory /tmp > /dev/null
        {
            printf 'identity_providers:\n  oidc:\n    jwks:\n      - key: |\n'
            sed 's/^/          /' /tmp/private.pem
        } > /config/oidc.yml.new
        mv /config/oidc.yml.new /config/oidc.yml
        rm /tmp/private.pem /tmp/public.pem
    fi
    export X_AUTHELIA_CONFIG="$X_AUTHELIA_CONFIG,/config/oidc.yml"
    export AUTHELIA_IDENTITY_PROVIDERS_OIDC_HMAC_SECRET_FILE=/run/secrets/oidc_secret
fi
exec authelia
