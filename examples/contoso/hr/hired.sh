#!/bin/sh
# hired.sh puts the tenant's users with an employee's number into the group "Hired by HR", which it makes when it is not there: in Entra a
# dynamic group or a lifecycle workflow does that.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
graph() {
	method=$1 path=$2
	shift 2
	curl -sS --cacert "$(value caFile)" -X "$method" "$(value graphEndpoint)/v1.0$path" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "$@"
}
ids() { grep -o '"id":"[^"]*"' | cut -d'"' -f4; }
token=$(curl -sS --cacert "$(value caFile)" "$(value authority)/$(value tenantId)/oauth2/v2.0/token" -d grant_type=client_credentials \
	-d "client_id=$(value clientId)" --data-urlencode "client_secret=$(value clientSecret)" -d scope=https://graph.microsoft.com/.default |
	sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
group=$(graph GET '/groups?$filter=displayName%20eq%20%27Hired%20by%20HR%27&$select=id' | ids)
if [ -z "$group" ]; then
	group=$(graph POST /groups -d '{"displayName":"Hired by HR","mailNickname":"hired","mailEnabled":false,"securityEnabled":true}' | ids)
	echo "made the group Hired by HR"
fi
members=$(graph GET "/groups/$group/members?\$select=id&\$top=999" | ids)
for user in $(graph GET '/users?$filter=startswith(employeeId,%27H%27)&$select=id&$top=999' | ids); do
	case "$members" in
	*"$user"*) continue ;;
	esac
	graph POST "/groups/$group/members/\$ref" -d "{\"@odata.id\":\"$(value graphEndpoint)/v1.0/directoryObjects/$user\"}"
	echo "added $(graph GET "/users/$user?\$select=userPrincipalName" | sed 's/.*"userPrincipalName":"\([^"]*\)".*/\1/')"
done
