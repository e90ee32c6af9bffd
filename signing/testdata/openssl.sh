#!/bin/sh
# Makes a root, two signers and their detached CMS signatures over a statement with OpenSSL, an implementation that
# shares nothing with this one. Usage: openssl.sh STATEMENT-FILE OUT-DIR
set -eu
statement=$1 out=$2
cd "$out"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -days 3650 -subj "/CN=Test Root" \
  -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign 2>/dev/null
printf 'keyUsage=critical,digitalSignature,nonRepudiation\nbasicConstraints=critical,CA:false\n' >leaf.ext
for kind in ecdsa rsa; do
  case $kind in
  ecdsa) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out cms-$kind.key ;;
  rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out cms-$kind.key 2>/dev/null ;;
  esac
  openssl req -new -utf8 -key cms-$kind.key -subj "/O=UBND xã Yên Sở/CN=Nguyễn Văn An" |
    openssl x509 -req -CA root.pem -CAkey root.key -CAcreateserial -days 365 -extfile leaf.ext -out cms-$kind.pem 2>/dev/null
  openssl cms -sign -binary -in "$statement" -signer cms-$kind.pem -inkey cms-$kind.key -outform DER -md sha256 -out cms-$kind.der
done
