#!/usr/bin/env bash
# Makes the certificates of the tests anew. `openssl ca` because it alone lets them begin in the past.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >openssl.cnf <<'CONFIG'
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
[holder]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
CONFIG
touch index.txt

request() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
    -keyout "$1.key" -out "$1.csr"
}

sign() {
  openssl ca -config openssl.cnf -batch -notext -startdate 20200101000000Z -enddate 21200101000000Z \
    -in "$1.csr" -out "$1.crt" -extensions "$2" "${@:3}"
}

for authority in ca other-ca; do
  request $authority
  sign $authority authority -selfsign -keyfile $authority.key
done
for holder in server renewed client; do
  request $holder
  sign $holder holder -cert ca.crt -keyfile ca.key
done
request stranger
sign stranger holder -cert other-ca.crt -keyfile other-ca.key

# The keys of the authorities are not kept: nothing more is to be issued.
cp ca.crt other-ca.crt {server,renewed,client,stranger}.{crt,key} "$folder"
