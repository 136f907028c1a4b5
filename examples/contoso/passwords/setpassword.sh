#!/bin/sh
# setpassword.sh DN PASSWORD [temporary] sets a password in the lab's directory, as its administrator; a temporary one has to be changed at the next sign-in.
set -eu
value() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" lab/lab.json; }
export LDAPTLS_CACERT="$(value caFile)"
{
	printf 'dn: %s\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: %s\n' "$1" "$(printf '"%s"' "$2" | iconv -t UTF-16LE | base64 -w0)"
	if [ "${3:-}" = temporary ]; then
		printf -- '-\nreplace: pwdLastSet\npwdLastSet: 0\n'
	fi
} | ldapmodify -x -H "$(value directoryURL)" -D "$(value directoryAdmin)" -w "$(value directoryPassword)" >/dev/null
echo "set"
