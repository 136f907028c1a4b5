#!/bin/sh
# signin.sh UPN PASSWORD signs a person in to the lab's tenant, and says what the tenant answers.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
answer=$(curl -sS --cacert "$(value caFile)" "$(value authority)/$(value tenantId)/oauth2/v2.0/token" \
	-d grant_type=password -d "client_id=$(value clientId)" --data-urlencode "client_secret=$(value clientSecret)" \
	-d scope=https://graph.microsoft.com/.default --data-urlencode "username=$1" --data-urlencode "password=$2")
case "$answer" in
*access_token*) echo "$1 signs in" ;;
*) echo "$answer" | sed -e 's/.*"error_description": *"\([^"]*\)".*/\1/' -e 's/ Trace ID:.*//' ;;
esac
