#!/bin/sh
# Makes the secrets of compose.yaml, in the folder `secrets` beside this file: `sh deploy/compose/secrets.sh`.
# It changes nothing that is there. Delete the folder to make new ones.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
  echo "secrets/ is there already" >&2
  exit 0
fi

# Other users of this machine cannot enter the folder. The files in it are mounted one by one into containers, whose
# users have other numbers than yours and must be able to read them.
new=$(umask 077 && mktemp -d ./secrets.XXXXXX)
trap 'rm -rf "$new"' EXIT
umask 022

login_secret=$(openssl rand -hex 32)
printf 'MCP_AUTH_KEY=%s\nAUDIT_KEY=%s\nLOGIN_SECRET=%s\n' \
  "$(openssl rand -hex 32)" "$(openssl rand -hex 32)" "$login_secret" > "$new/envoy.env"
printf 'LOGIN_SECRET=%s\n' "$login_secret" > "$new/login.env"

# A CA that signs two certificates: of etcd, and of Envoy as its client. Its key is then deleted.
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
key "$new/ca.key"
openssl req -x509 -new -key "$new/ca.key" -days 3650 -subj "/CN=mcp-auth demo store" -out "$new/ca.pem"
signed() {
  key "$new/$1.key"
  openssl req -new -key "$new/$1.key" -subj "/CN=$1" -out "$new/$1.csr"
  printf '%s\n' "$2" > "$new/$1.ext"
  openssl x509 -req -in "$new/$1.csr" -CA "$new/ca.pem" -CAkey "$new/ca.key" -CAcreateserial -days 3650 \
    -extfile "$new/$1.ext" -out "$new/$1.pem" 2> /dev/null
}
# etcd's JSON gateway and its health check are clients of etcd, too.
signed etcd 'subjectAltName=DNS:etcd,DNS:localhost,IP:127.0.0.1,IP:0.0.0.0
extendedKeyUsage=serverAuth,clientAuth'
signed envoy 'extendedKeyUsage=clientAuth'
rm "$new"/ca.key "$new"/*.csr "$new"/*.ext "$new"/*.srl
chmod 644 "$new"/*

mv "$new" secrets
trap - EXIT
echo "made deploy/compose/secrets"
