# Calls of Graph with the lab's application, for adoption.md and operate.md.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" lab/lab.json; }
token() {
  curl -s --cacert lab/lab-ca.pem "$(field authority)/$(field tenantId)/oauth2/v2.0/token" -d grant_type=client_credentials -d "client_id=$(field clientId)" \
    --data-urlencode "client_secret=$(field clientSecret)" --data-urlencode "scope=$(field graphEndpoint)/.default" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'
}
graph() { curl -s --cacert lab/lab-ca.pem -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' "$@"; }
# person ANCHOR SIGN-IN-NAME NAME: somebody makes a user in the cloud.
person() {
  graph "$(field graphEndpoint)/v1.0/users" -d "{\"accountEnabled\": true, \"displayName\": \"$3\", \"mailNickname\": \"${2%@*}\", \"userPrincipalName\": \"$2\",
    ${1:+\"onPremisesImmutableId\": \"$1\",} \"passwordProfile\": {\"password\": \"Xk3-$RANDOM-long-enough\"}}" | sed 's/.*"displayName":"\([^"]*\)".*/made \1/'
}
# id SIGN-IN-NAME: of a user of the tenant.
id() { graph "$(field graphEndpoint)/v1.0/users/$1?\$select=id" | sed 's/.*"id":"\([^"]*\)".*/\1/'; }
# gone SIGN-IN-NAME: somebody deletes a user in the cloud.
gone() { graph -X DELETE "$(field graphEndpoint)/v1.0/users/$1"; }
# dn ACCOUNT: of a user of the directory.
dn() {
  LDAPTLS_CACERT=lab/lab-ca.pem ldapsearch -LLL -o ldif-wrap=no -x -w "$(cat lab/ad-password)" -H "$(field directoryURL)" -D "$(field directoryUser)" \
    -b "$(field directoryBase)" "(sAMAccountName=$1)" 1.1 | sed -n 's/^dn: //p'
}
