#!/bin/sh
# dismiss.sh UPN deletes a user of the tenant, as somebody does in the portal.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
token=$(curl -sS --cacert "$(value caFile)" "$(value authority)/$(value tenantId)/oauth2/v2.0/token" -d grant_type=client_credentials \
	-d "client_id=$(value clientId)" --data-urlencode "client_secret=$(value clientSecret)" -d scope=https://graph.microsoft.com/.default |
	sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
curl -sS --fail --cacert "$(value caFile)" -X DELETE "$(value graphEndpoint)/v1.0/users/$1" -H "Authorization: Bearer $token"
echo "deleted $1"
