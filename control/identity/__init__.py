"""Identity: passwords, passkeys, one-time codes, OpenID Connect, tokens and keys."""
