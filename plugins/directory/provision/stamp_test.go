package provision_test

import (
	"encoding/binary"
	"testing"

	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
)

func FuzzPasswordStamp(f *testing.F) {
	good := binary.LittleEndian.AppendUint64(nil, 1)
	good = binary.LittleEndian.AppendUint64(good, 1)
	good = binary.LittleEndian.AppendUint32(good, 0x9005a)
	good = append(good, make([]byte, 44)...)
	f.Add(good)
	f.Add(good[:20])
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := sink.PasswordStamp(b); ok && len(b) < 64 {
			t.Errorf("%d bytes have the stamp %s", len(b), s)
		}
	})
}

// What Windows says was not seen here but is written down: MS-ADTS 3.1.1.5, Microsoft's pages and published logs. What Samba says was seen.
func TestAnswersBecomeCodes(t *testing.T) {
	for _, a := range []struct {
		result     uint16
		diagnostic string
		want       provision.Code
	}{
		{68, "00000524: UpdErr: DSID-031A11FA, problem 6005 (ENTRY_EXISTS), data 0", provision.TakenName},
		{68, "00002071: UpdErr: DSID-0305038D, problem 6005 (ENTRY_EXISTS), data 0", provision.TakenName},
		{19, "000021C8: AtrErr: DSID-03200BBA, #1:\n\t0: 000021C8: DSID-03200BBA, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 90290 (userPrincipalName)", provision.TakenName},
		{19, "00002082: AtrErr: DSID-031519B8, #1:\n\t0: 00002082: DSID-031519B8, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 23 (employeeID)", provision.Invalid},
		{10, "0000202B: RefErr: DSID-0310082F, data 0, 1 access points", provision.ReadOnly},
		{1, "0000202B: referral", provision.ReadOnly},
		{16, "00002085: AtrErr: DSID-03152804, #1:\n\t0: 00002085: DSID-03152804, problem 1001 (NO_ATTRIBUTE_OR_VAL), data 0, Att 90296", provision.Precondition},
		{16, "0000200A: attribute 'x' on entry 'y' was not found in the schema!", provision.NoAttribute},
		{20, "", provision.Precondition},
		{32, "0000208D: NameErr: DSID-03100241, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''", provision.Vanished},
		{50, "00002098: SecErr: DSID-03150BC1, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0", provision.NoRights},
		{53, "00000005: SvcErr: DSID-031A1256, problem 5003 (WILL_NOT_PERFORM), data 0", provision.NoRights},
		{66, "00002015: UpdErr: DSID-031A1236, problem 6003 (CANT_ON_NON_LEAF), data 0", provision.NotEmpty},
		{64, "00002037: x", provision.Invalid}, {65, "00002014: x", provision.Invalid}, {21, "00000057: x", provision.Invalid}, {34, "", provision.Invalid}, {17, "", provision.NoAttribute},
		{53, "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0", provision.Failed},
		{51, "", provision.Failed},
	} {
		if got := sink.Classify(a.result, a.diagnostic); got != a.want {
			t.Errorf("%d %q: %s, want %s", a.result, a.diagnostic, got, a.want)
		}
	}
}
