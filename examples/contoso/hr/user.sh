#!/bin/sh
# user.sh NUMBER asks Graph for the tenant's users with an employee's number, and prints what a directory would be given of each.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
token=$(curl -sS --cacert "$(value caFile)" "$(value authority)/$(value tenantId)/oauth2/v2.0/token" -d grant_type=client_credentials \
	-d "client_id=$(value clientId)" --data-urlencode "client_secret=$(value clientSecret)" -d scope=https://graph.microsoft.com/.default |
	sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
curl -sSG --cacert "$(value caFile)" "$(value graphEndpoint)/v1.0/users" -H "Authorization: Bearer $token" \
	--data-urlencode "\$filter=employeeId eq '$1'" --data-urlencode '$expand=manager($select=employeeId)' \
	--data-urlencode '$select=userPrincipalName,accountEnabled,jobTitle,department,city,usageLocation,onPremisesSyncEnabled' |
	sed -e 's/.*"value":\[//' -e 's/\]}$//' -e 's/},{/}\n{/g' | tr -d '"{}' | sed -e 's/@odata.type:#microsoft.graph.user,//' -e 's/manager:employeeId:/manager:/' | tr ',' '\n' | sort
