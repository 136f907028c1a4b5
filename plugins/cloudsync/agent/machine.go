package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// MachineName names the installed machine: the same at each start, another one on another machine, also if that has the same host
// name. It is made of what the operating system calls the machine, which must not leave it as it is (machine-id(5)). Where that is
// not known it is made of the host name.
func MachineName() string {
	id := installedMachine()
	if id == "" {
		id, _ = os.Hostname()
	}
	sum := sha256.Sum256([]byte("tandem-agent\x00" + id))
	return hex.EncodeToString(sum[:6])
}
