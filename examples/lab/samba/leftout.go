package samba

import "os"

// LeftOut says whether tests do without Samba: TANDEM_NO_SAMBA=1 on a machine that cannot run it, never where CI=true.
func LeftOut() bool {
	return os.Getenv("TANDEM_NO_SAMBA") == "1" && os.Getenv("CI") != "true"
}
