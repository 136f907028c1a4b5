#!/bin/sh
# Registers Tandem in a tenant with the least permissions: register.sh CERTIFICATE.pem, with an administrator's token in TOKEN.
# GRAPH names another cloud's endpoint, CURL the options of curl. What is there already stays as it is.
set -eu
certificate=$1
graph=${GRAPH:-https://graph.microsoft.com}/v1.0
: "${TOKEN:?an access token for Microsoft Graph of somebody who may register applications and consent}"

call() { # METHOD PATH [BODY]
  curl -sS --fail-with-body ${CURL:-} -X "$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' ${3:+-d "$3"} "$graph/$2"
}
first() { call GET "$1" | jq -r '.value[0].id // empty'; }

permissions='
User.ReadWrite.All
Group.ReadWrite.All
GroupMember.ReadWrite.All
RoleManagement.Read.Directory
Organization.Read.All
Domain.Read.All
User.DeleteRestore.All
Application.ReadWrite.OwnedBy
OrgContact.Read.All
'

# Microsoft Graph's own service principal knows the ids of its permissions.
microsoft=$(call GET "servicePrincipals?\$filter=appId%20eq%20'00000003-0000-0000-c000-000000000000'")
resource=$(echo "$microsoft" | jq -r '.value[0].id')
roles=$(for p in $permissions; do
  echo "$microsoft" | jq -ce --arg p "$p" '.value[0].appRoles[] | select(.value == $p) | {id, type: "Role"}' || { echo "Graph has no permission $p" >&2; exit 1; }
done | jq -cs .)

application=$(first "applications?\$filter=displayName%20eq%20'Tandem'")
if [ -z "$application" ]; then
  application=$(call POST applications "$(jq -nc --argjson roles "$roles" '{displayName: "Tandem", signInAudience: "AzureADMyOrg",
    requiredResourceAccess: [{resourceAppId: "00000003-0000-0000-c000-000000000000", resourceAccess: $roles}]}')" | jq -r .id)
fi
client=$(call GET "applications/$application" | jq -r .appId)
call PATCH "applications/$application" "$(jq -nc --arg key "$(openssl x509 -in "$certificate" -outform DER | base64 -w0)" \
  '{keyCredentials: [{type: "AsymmetricX509Cert", usage: "Verify", displayName: "Tandem", key: $key}]}')" >/dev/null

principal=$(first "servicePrincipals?\$filter=appId%20eq%20'$client'")
[ -n "$principal" ] || principal=$(call POST servicePrincipals "$(jq -nc --arg id "$client" '{appId: $id}')" | jq -r .id)

# Consent: each permission is assigned to the service principal.
granted=$(call GET "servicePrincipals/$principal/appRoleAssignments")
echo "$roles" | jq -r '.[].id' | while read -r role; do
  echo "$granted" | jq -e --arg r "$role" '.value[] | select(.appRoleId == $r)' >/dev/null || call POST "servicePrincipals/$principal/appRoleAssignments" \
    "$(jq -nc --arg p "$principal" --arg r "$resource" --arg role "$role" '{principalId: $p, resourceId: $r, appRoleId: $role}')" >/dev/null
done

# The application owns itself, so that it may keep the tenant's mark on its own service principal.
for what in "servicePrincipals/$principal" "applications/$application"; do
  call GET "$what/owners" | jq -e --arg p "$principal" '.value[] | select(.id == $p)' >/dev/null ||
    call POST "$what/owners/\$ref" "$(jq -nc --arg id "$graph/directoryObjects/$principal" '{"@odata.id": $id}')" >/dev/null
done

tenant=$(call GET organization | jq -r '.value[0].id')
printf 'tenant:\n  tenantId: %s\n  clientId: %s\n  certificateFile: %s\n' "$tenant" "$client" "$certificate"
