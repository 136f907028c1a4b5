#!/bin/sh
# account.sh NUMBER shows the account in the directory of whoever has an employee's number.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
# LDIF writes what is not ASCII in base64, behind two colons.
plain() {
	while read -r name text; do
		case "$name" in
		*::) echo "${name%:} $(echo "$text" | base64 -d)" ;;
		*) echo "$name $text" ;;
		esac
	done
}
LDAPTLS_CACERT=lab/lab-ca.pem ldapsearch -LLL -o ldif-wrap=no -x -H "$(value directoryURL)" -D "$(value directoryUser)" -w "$(value directoryPassword)" \
	-b "$(value directoryBase)" "(employeeID=$1)" sAMAccountName title department manager userAccountControl | plain | grep -v -e '^dn:' -e '^#' -e '^ $' |
	sed -e 's/,OU=.*//' -e 's/userAccountControl: 512/account: enabled/' -e 's/userAccountControl: 514/account: disabled/' | sort
