package cloudsync

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func TestAPanicWhileAnAgentsCredentialsAreTakenShowsNone(t *testing.T) {
	credential := []byte("v1;PPH1_MD4,0123456789,1000,Secret-Key-Of-Ann;")
	out := secrettest.CrashTaking(t, 1, "cloudsync.takeUsers", func() {
		fmt.Println(takeUsers(&live{}, reading{users: func([]passwordhash.User) error { return nil }}, []*linepb.User{{Guid: make([]byte, 16), Credential: bytes.Clone(credential)}}))
	})
	secrettest.Absent(t, out, credential, []byte("Secret-Key-Of-Ann"))
}
