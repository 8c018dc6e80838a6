#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts as files. What exists is kept, so that running it again is safe.
#
#   deploy/make-secrets.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
folder=${1:-secrets}
umask 077
mkdir -p "$folder"
# Nobody else on this machine enters the folder. The files themselves are readable, because containers see them with
# the permissions they have here and run as users of their own.
chmod 700 "$folder"
cd "$folder"

random() { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }

# Writes what comes in, unless the file is there.
keep() {
  if [ -e "$1" ]; then
    cat >/dev/null
  else
    cat >"$1"
    chmod 644 "$1"
    printf 'made %s\n' "$1"
  fi
}

for name in auth_token postgres_password engine_password api_password nats_password redis_password s3_secret_key \
  grafana_password; do
  random | keep "$name"
done

# The first key encrypts; put a new one before it, never take away one that still opens something.
printf 'k1:%s\n' "$(head -c 32 /dev/urandom | base64 | tr -d '\n')" | keep encryption_keys
# Empty: no key. Put the key of your model provider in.
printf '' | keep openai_api_key

printf 'postgres://gateway:%s@postgres:5432/gateway' "$(cat postgres_password)" | keep database_url_owner
printf 'postgres://gateway_engine:%s@postgres:5432/gateway' "$(cat engine_password)" | keep database_url_engine
printf 'postgres://gateway_api:%s@postgres:5432/gateway' "$(cat api_password)" | keep database_url_api
printf 'nats://gateway:%s@nats:4222' "$(cat nats_password)" | keep nats_url
printf 'redis://:%s@redis:6379' "$(cat redis_password)" | keep redis_url
printf 'abstractgateway' | keep s3_access_key

# The same secrets in the servers' own words.
printf 'users: [ { user: gateway, password: "%s" } ]\n' "$(cat nats_password)" | keep nats_users.conf
printf 'user default on >%s ~* &* +@all\n' "$(cat redis_password)" | keep redis_users.acl
printf '{"identities": [{"name": "gateway", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin", "Read", "Write", "List"]}]}\n' \
  "$(cat s3_access_key)" "$(cat s3_secret_key)" | keep s3_identities.json
