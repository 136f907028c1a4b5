package drsr

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc"
	"github.com/tandem-sync/tandem/scoping"
)

// drsuapi is the interface (MS-DRSR 1.9).
var drsuapi = rpc.Interface{ID: [16]byte{0x35, 0x42, 0x51, 0xe3, 0x06, 0x4b, 0xd1, 0x11, 0xab, 0x04, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2}, Major: 4}

// Operations.
const (
	operationBind   = 0 // IDL_DRSBind, MS-DRSR 4.1.3
	operationUnbind = 1 // IDL_DRSUnbind, 4.1.25
	operationChange = 3 // IDL_DRSGetNCChanges, 4.1.10
)

// Capabilities of DRS_EXTENSIONS_INT (MS-DRSR 5.39).
const (
	capabilityBase     = 0x00000001
	capabilityStrong   = 0x00008000 // DRS_EXT_STRONG_ENCRYPTION
	capabilityRequest8 = 0x01000000 // DRS_EXT_GETCHGREQ_V8
	capabilityReply6   = 0x04000000 // DRS_EXT_GETCHGREPLY_V6

	capabilities = capabilityBase | capabilityStrong | capabilityRequest8 | capabilityReply6
)

// clientDSA is the client that is no controller (MS-DRSR 4.1.3, NTDSAPI_CLIENT_GUID).
var clientDSA = [16]byte{0x1a, 0x20, 0x4d, 0xe2, 0xd6, 0x4f, 0xd1, 0x11, 0xa3, 0xda, 0x00, 0x00, 0xf8, 0x75, 0xae, 0x0d}

// Options of a request (MS-DRSR 5.41) and its extended operation (MS-DRSR 4.1.10.2, EXOP_REPL_OBJ).
const (
	optionWritable = 0x00000010 // DRS_WRIT_REP
	optionInitial  = 0x00000020 // DRS_INIT_SYNC
	extendedObject = 6          // EXOP_REPL_OBJ
	extendedDone   = 1          // EXOP_ERR_SUCCESS
)

// How much one reply may hold.
const (
	objectsEach = 1000
	bytesEach   = 8 << 20
)

const handleSize = 20

// bind gets the handle with which everything else is asked. A domain that was renamed has an epoch of its own, which the
// client has to repeat (MS-DRSR 5.39, dwReplEpoch).
func (s *Session) bind(ctx context.Context) error {
	status, epoch, err := s.bindWith(ctx, 0)
	if err == nil && (status == differentEpochs || status == 0 && epoch != 0) {
		status, _, err = s.bindWith(ctx, epoch)
	}
	switch {
	case err != nil:
		return err
	case status.denied():
		return s.fail(Rights, "it may not even bind to replication", status)
	case status != 0:
		return fmt.Errorf("bind to replication: %w", status)
	case s.offered&capabilityStrong == 0:
		return s.fail(Encryption, "the controller does not encrypt secrets strongly", nil)
	case s.offered&capabilityRequest8 == 0 || s.offered&capabilityReply6 == 0:
		return fmt.Errorf("%w: it is too old: its capabilities are %#08x", ErrProtocol, s.offered)
	}
	return nil
}

func (s *Session) bindWith(ctx context.Context, epoch uint32) (Status, uint32, error) {
	var w ndr.Writer
	w.Pointer()
	w.Bytes(clientDSA[:])
	w.Pointer()
	const size = 28
	w.Uint32(size)
	w.Uint32(size)
	w.Uint32(capabilities)
	w.Zeros(16 + 4) // neither site nor process
	w.Uint32(epoch)
	answer, err := s.conn.Call(ctx, operationBind, w.Data())
	if err != nil {
		return 0, 0, err
	}
	r := ndr.Read(answer)
	if r.Pointer() {
		said := r.Count(1)
		n := int(r.Uint32())
		if n != said {
			r.Fail("%d bytes of capabilities instead of %d", n, said)
		}
		extensions := r.Bytes(said)
		if len(extensions) >= 4 {
			s.offered = binary.LittleEndian.Uint32(extensions)
		}
		if len(extensions) >= size {
			epoch = binary.LittleEndian.Uint32(extensions[24:])
		}
	}
	r.Align(4)
	handle := r.Bytes(handleSize)
	status := Status(r.Uint32())
	if r.Err() != nil {
		return 0, 0, fmt.Errorf("%w: the answer to bind: %w", ErrProtocol, r.Err())
	}
	if status == 0 {
		s.handle = handle
	}
	return status, epoch, nil
}

// usns is a USN_VECTOR (MS-DRSR 5).
type usns struct{ object, reserved, property uint64 }

// request is what a call of IDL_DRSGetNCChanges asks for.
type request struct {
	target scoping.GUID // the object, or the naming context's root
	single bool         // the object alone (EXOP_REPL_OBJ), else the naming context
	from   usns         // where the previous reply ended
}

func (s *Session) single(object scoping.GUID) request { return request{target: object, single: true} }

// marshal composes DRS_MSG_GETCHGREQ_V8 (MS-DRSR 4.1.10.2). attributes are ATTRTYPs by the table; none asks for all of them.
func (q request) marshal(handle []byte, c controllerIDs, table []prefix, attributes []uint32) []byte {
	var w ndr.Writer
	w.Bytes(handle)
	w.Uint32(8)
	w.Uint32(8)
	w.Align(8)
	w.Bytes(c.dsa[:])
	w.Bytes(c.invocation[:])
	w.Pointer() // the target
	w.Align(8)
	w.Uint64(q.from.object)
	w.Uint64(q.from.reserved)
	w.Uint64(q.from.property)
	w.Null() // no up-to-dateness
	w.Uint32(optionWritable | optionInitial)
	most, extended := uint32(objectsEach), uint32(0)
	if q.single {
		most, extended = 1, extendedObject
	}
	w.Uint32(most)
	w.Uint32(bytesEach)
	w.Uint32(extended)
	w.Uint64(0) // liFsmoInfo
	if len(attributes) == 0 {
		w.Null()
		w.Null()
		w.Uint32(0)
		w.Null()
		writeName(&w, q.target)
		return w.Data()
	}
	w.Pointer()
	w.Null()
	w.Uint32(uint32(len(table)))
	w.Pointer()
	writeName(&w, q.target)
	w.Uint32(uint32(len(attributes)))
	w.Uint32(1) // version
	w.Uint32(0)
	w.Uint32(uint32(len(attributes)))
	for _, a := range attributes {
		w.Uint32(a)
	}
	writePrefixes(&w, table)
	return w.Data()
}

// controllerIDs name the controller that is asked.
type controllerIDs struct{ dsa, invocation scoping.GUID }

// writeName writes a DSNAME (MS-DRSR 5.50) that has an objectGUID only.
func writeName(w *ndr.Writer, g scoping.GUID) {
	const size = 4 + 4 + 16 + 28 + 4 + 2
	w.Uint32(1) // one character: the end of the text
	w.Uint32(size)
	w.Uint32(0) // no SID
	w.Bytes(g[:])
	w.Zeros(28)
	w.Uint32(0) // an empty DN
	w.Uint16(0)
	w.Align(4)
}
