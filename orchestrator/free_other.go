//go:build !unix

package orchestrator

import "errors"

func spaceOf(string) (free, total uint64, err error) {
	return 0, 0, errors.New("not known on this system")
}
