#!/bin/sh
# portal.sh change UPN OLD NEW | reset UPN NEW | unlock UPN does in the lab's tenant what people do for themselves in the portal.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
case "$1" in
change) body="{\"user\":\"$2\",\"oldPassword\":\"$3\",\"newPassword\":\"$4\"}" ;;
reset) body="{\"user\":\"$2\",\"newPassword\":\"$3\"}" ;;
unlock) body="{\"user\":\"$2\"}" ;;
esac
answer=$(curl -sS --cacert "$(value caFile)" "$(value graphEndpoint)/lab/sspr/$1" -H "Authorization: Bearer $(value labToken)" \
	-H 'Content-Type: application/json' -d "$body" -w ' %{http_code}')
case "$answer" in
*' 200') echo "done" ;;
*) echo "$answer" | sed -e 's/.*"message": *"\([^"]*\)".*/\1/' ;;
esac
