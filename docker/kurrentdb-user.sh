#!/bin/sh
# Makes the user that `answerable serve` is on KurrentDB, who is in no group; `answerable init` lets them read and write the
# ledger's streams, and not delete or truncate them. Run again it sets the password anew. It wants curl, and
#   ADMIN_PASSWORD, LEDGER_PASSWORD   letters and digits
#   NODES                             host:port of each node, one of which has to answer
#   CA                                the certificate of the nodes' authority
set -eu
request() { # what, path, document; prints the status
  curl --silent --show-error --location-trusted --cacert "$CA" --user "admin:$ADMIN_PASSWORD" --output /dev/null --write-out '%{http_code}' \
    --max-time 10 --header 'Content-Type: application/json' --request "$1" --data "$3" "https://$node$2" || true
}
for attempt in $(seq "${ATTEMPTS:-60}"); do
  for node in $NODES; do
    said=$(request POST /users/ "{\"loginName\":\"ledger\",\"fullName\":\"answerable serve\",\"groups\":[],\"password\":\"$LEDGER_PASSWORD\"}")
    [ "$said" != 409 ] || said=$(request POST /users/ledger/command/reset-password "{\"newPassword\":\"$LEDGER_PASSWORD\"}")
    case $said in
    200 | 201) echo "the user ledger is there"; exit 0 ;;
    401) echo "KurrentDB does not accept the password of admin" >&2; exit 1 ;;
    esac
    echo "KurrentDB at $node answered $said, trying again" >&2
  done
  sleep 2
done
exit 1
