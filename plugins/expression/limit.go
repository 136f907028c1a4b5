package expression

import (
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Fit trims a value and cuts it to what the tenant's attribute can hold. One whose limit is not known is only trimmed.
func Fit(name, value string) string {
	n := attribute.Limit(name)
	if n == 0 {
		n = len(value) + 1
	}
	return Truncate(value, n)
}

// UsageLocation gives an ISO 3166 alpha-2 country code in upper case, or "" for anything else.
func UsageLocation(value string) string {
	v := strings.ToUpper(strings.TrimSpace(value))
	if len(v) != 2 || v[0] < 'A' || v[0] > 'Z' || v[1] < 'A' || v[1] > 'Z' {
		return ""
	}
	return v
}

// groupSecurityEnabled is the GROUP_TYPE_SECURITY_ENABLED bit of groupType, the sign bit (MS-ADTS 2.2.12).
const groupSecurityEnabled = 0x80000000

// SecurityGroup says whether a groupType value is a security group's. A value that is absent or no number is not.
func SecurityGroup(groupType string) bool {
	n, err := strconv.ParseInt(strings.TrimSpace(groupType), 10, 64)
	return err == nil && uint32(n)&groupSecurityEnabled != 0
}
