package rpc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm/ntlmtest"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/rpc/rpctest"
	"github.com/tandem-sync/tandem/plugins/secret"
)

var account = []byte("an NT hash, 16 b")

func handshake() *ntlm.Handshake {
	return ntlm.Begin(ntlm.Account{User: "Ann", Hash: secret.Take(bytes.Clone(account))},
		ntlm.Options{Target: "ldap/dc1.contoso.test", Random: rand.Reader, Now: time.Now})
}

// serve lets s serve one connection over TCP, and waits for its end when the test ends.
func serve(t testing.TB, s *rpctest.Server) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		l.Close()
		if err == nil {
			err = s.Serve(conn)
		}
		ended <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := <-ended; err != nil {
			t.Log("server:", err) // a client that ends in the middle
		}
	})
	return conn
}

func echo(_ uint16, arguments []byte) rpctest.Answer { return rpctest.Answer{Results: arguments} }

func TestCallsOfAnyLengthComeBack(t *testing.T) {
	for _, signedIn := range []bool{true, false} {
		s := &rpctest.Server{Hash: account, Call: echo, Fragment: 777}
		h := handshake()
		if !signedIn {
			h = nil
		}
		c, err := rpc.Bind(t.Context(), serve(t, s), rpc.Mapper, h, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, size := range []int{0, 1, 15, 16, 5000, 5808, 100_000} {
			sent := make([]byte, size)
			if _, err := rand.Read(sent); err != nil {
				t.Fatal(err)
			}
			got, err := c.Call(t.Context(), 7, sent)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
			}
		}
		if signedIn && !c.Key().Equal(secret.Take(s.Key)) || !signedIn && c.Key() != nil {
			t.Error("another session key")
		}
	}
}

func TestAFaultLeavesTheConnectionToGoOn(t *testing.T) {
	calls := 0
	s := &rpctest.Server{Hash: account, Call: func(uint16, []byte) rpctest.Answer {
		if calls++; calls == 1 {
			return rpctest.Answer{Fault: 5}
		}
		return rpctest.Answer{Results: []byte("there")}
	}}
	c, err := rpc.Bind(t.Context(), serve(t, s), rpc.Mapper, handshake(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var fault *rpc.Fault
	if _, err := c.Call(t.Context(), 0, nil); !errors.As(err, &fault) || fault.Status != rpc.StatusAccessDenied {
		t.Errorf("%v", err)
	}
	if got, err := c.Call(t.Context(), 0, nil); err != nil || string(got) != "there" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAWrongPasswordShowsWithTheFirstCall(t *testing.T) {
	s := &rpctest.Server{Hash: []byte("another NT hash."), Call: echo}
	c, err := rpc.Bind(t.Context(), serve(t, s), rpc.Mapper, handshake(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var fault *rpc.Fault
	if _, err := c.Call(t.Context(), 0, nil); !errors.As(err, &fault) || fault.Status != rpc.StatusProtocol {
		t.Errorf("%v", err)
	}
	if _, err := c.Call(t.Context(), 0, nil); err == nil {
		t.Error("the connection goes on")
	}
}

// A server, or somebody in between, that breaks the rules is refused by the kind of what it breaks.
func TestWhatIsNotProtectedOrMalformedIsRefused(t *testing.T) {
	response := func(change func(b []byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			if b[2] == 2 {
				return change(b)
			}
			return b
		}
	}
	for name, c := range map[string]struct {
		server rpctest.Server
		want   error
	}{
		"headers that are not signed": {rpctest.Server{NoHeaders: true}, rpc.ErrWeak},
		"a challenge without sealing": {rpctest.Server{NTLM: ntlmtest.Server{Flags: ntlmtest.Flags &^ 0x20}}, ntlm.ErrWeak},
		"a changed response":          {rpctest.Server{Change: response(func(b []byte) []byte { b[30] ^= 1; return b })}, ntlm.ErrSignature},
		"a changed header":            {rpctest.Server{Change: response(func(b []byte) []byte { b[17] ^= 1; return b })}, ntlm.ErrSignature},
		"a response of another call":  {rpctest.Server{Change: response(func(b []byte) []byte { b[12] ^= 1; return b })}, rpc.ErrProtocol},
		"a middle without beginning":  {rpctest.Server{Change: response(func(b []byte) []byte { b[3] = 2; return b })}, rpc.ErrProtocol},
		"a response in plain text": {rpctest.Server{Change: response(func(b []byte) []byte {
			b = b[:40]
			binary.LittleEndian.PutUint16(b[8:], 40)
			binary.LittleEndian.PutUint16(b[10:], 0)
			return b
		})}, rpc.ErrProtocol},
		"a PDU shorter than its token": {rpctest.Server{Change: response(func(b []byte) []byte { b[8], b[9] = 20, 0; return b })}, rpc.ErrProtocol},
		"big-endian":                   {rpctest.Server{Change: response(func(b []byte) []byte { b[4] = 0; return b })}, rpc.ErrProtocol},
		"an end in the middle":         {rpctest.Server{Change: response(func(b []byte) []byte { return b[:len(b)-1] })}, rpc.ErrSilent},
		"nothing":                      {rpctest.Server{Change: response(func([]byte) []byte { return nil })}, rpc.ErrSilent},
		"another PDU": {rpctest.Server{Change: response(func(b []byte) []byte {
			b[2] = 12
			return b
		})}, rpc.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.server
			s.Hash, s.Call = account, echo
			conn, err := rpc.Bind(t.Context(), serve(t, &s), rpc.Mapper, handshake(), 200*time.Millisecond)
			if err == nil {
				_, err = conn.Call(t.Context(), 0, []byte("twenty bytes and more"))
				if _, again := conn.Call(t.Context(), 0, nil); again == nil {
					t.Error("the connection goes on")
				}
				conn.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestARefusalToBindTellsItsReason(t *testing.T) {
	_, err := rpc.Bind(t.Context(), serve(t, &rpctest.Server{Refuse: rpc.ReasonAuthentication}), rpc.Mapper, handshake(), time.Minute)
	var refused *rpc.Refused
	if !errors.As(err, &refused) || refused.Reason != rpc.ReasonAuthentication {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerWithoutEndIsGivenUp(t *testing.T) {
	s := &rpctest.Server{Hash: account, Call: func(uint16, []byte) rpctest.Answer { return rpctest.Answer{Results: make([]byte, 1<<20+1)} }, Fragment: 60_000}
	c, err := rpc.Bind(t.Context(), serve(t, s), rpc.Mapper, handshake(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rpc.Limit(c, 1<<20)
	if _, err := c.Call(t.Context(), 0, nil); !errors.Is(err, rpc.ErrTooLong) {
		t.Errorf("%v", err)
	}
}

func TestAContextEndsACallInTheMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &rpctest.Server{Hash: account, Call: func(uint16, []byte) rpctest.Answer { cancel(); return rpctest.Answer{Results: []byte("late")} }}
	s.Change = func(b []byte) []byte {
		if b[2] == 2 {
			return nil // it never answers
		}
		return b
	}
	c, err := rpc.Bind(ctx, serve(t, s), rpc.Mapper, handshake(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(ctx, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := c.Call(t.Context(), 0, nil); err == nil {
		t.Error("the connection goes on")
	}
	if _, err := rpc.Bind(ctx, serve(t, &rpctest.Server{}), rpc.Mapper, nil, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// mapped is an endpoint mapper's answer with one tower.
func mapped(port uint16, status uint32) []byte {
	var w ndr.Writer
	w.Zeros(20)
	tower := []byte{5, 0}
	for range 3 {
		tower = append(tower, 1, 0, 0x0d, 0, 0)
	}
	tower = append(tower, 1, 0, 7, 2, 0)
	tower = binary.BigEndian.AppendUint16(tower, port)
	tower = append(tower, 1, 0, 9, 4, 0, 127, 0, 0, 1)
	for _, n := range []uint32{1, 8, 0, 1} {
		w.Uint32(n)
	}
	w.Pointer()
	w.Uint32(uint32(len(tower)))
	w.Uint32(uint32(len(tower)))
	w.Bytes(tower)
	w.Uint32(status)
	return w.Data()
}

func TestTheEndpointMapperTellsAPort(t *testing.T) {
	for _, c := range []struct {
		answer []byte
		port   int
		want   error
	}{
		{mapped(49153, 0), 49153, nil},
		{mapped(0, 0), 0, rpc.ErrNoInterface},
		{mapped(1, 0x16c9a0d6), 0, rpc.ErrNoInterface},
		{mapped(1, 5), 0, rpc.ErrProtocol},
		{mapped(1, 0)[:50], 0, rpc.ErrProtocol},
	} {
		s := &rpctest.Server{Call: func(operation uint16, _ []byte) rpctest.Answer {
			if operation != 3 {
				return rpctest.Answer{Fault: 1}
			}
			return rpctest.Answer{Results: c.answer}
		}}
		conn, err := rpc.Bind(t.Context(), serve(t, s), rpc.Mapper, nil, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		port, err := conn.Port(t.Context(), rpc.Interface{})
		if port != c.port || !errors.Is(err, c.want) {
			t.Errorf("%d, %v", port, err)
		}
		conn.Close()
	}
}

func FuzzMap(f *testing.F) {
	f.Add(mapped(49153, 0))
	f.Add(mapped(1, 5))
	f.Fuzz(func(t *testing.T, answer []byte) {
		port, err := rpc.ParseMap(answer)
		if (port > 0 && port < 1<<16) != (err == nil) {
			t.Errorf("%d, %v", port, err)
		}
	})
}

// answers is a connection from which fixed bytes come, whatever is sent.
type answers struct {
	net.Conn
	from io.Reader
}

func (a answers) Read(b []byte) (int, error) { return a.from.Read(b) }
func (answers) Write(b []byte) (int, error)  { return len(b), nil }
func (answers) Close() error                 { return nil }
func (answers) SetDeadline(time.Time) error  { return nil }
func (answers) RemoteAddr() net.Addr         { return &net.TCPAddr{} }

// What a server sends before and without any protection never panics, and never becomes an answer of somebody who signed in.
func FuzzServer(f *testing.F) {
	for _, s := range []*rpctest.Server{{Hash: account, Call: echo}, {Refuse: 8}, {Hash: account, Call: func(uint16, []byte) rpctest.Answer { return rpctest.Answer{Fault: 5} }}} {
		var sent bytes.Buffer
		s.Change = func(b []byte) []byte { sent.Write(b); return b }
		if c, err := rpc.Bind(f.Context(), serve(f, s), rpc.Mapper, handshake(), time.Minute); err == nil {
			_, err = c.Call(f.Context(), 0, []byte("x"))
			c.Close()
			if err != nil && fmt.Sprint(err) == "" {
				f.Fatal("an error without text")
			}
		}
		f.Add(sent.Bytes(), true)
		f.Add(sent.Bytes(), false)
	}
	f.Fuzz(func(t *testing.T, sent []byte, signIn bool) {
		h := handshake()
		if !signIn {
			h = nil
		}
		c, err := rpc.Bind(t.Context(), answers{from: bytes.NewReader(sent)}, rpc.Mapper, h, time.Minute)
		if err != nil {
			return
		}
		defer c.Close()
		if got, err := c.Call(t.Context(), 0, nil); err == nil && signIn {
			t.Errorf("%d bytes are taken for an answer", len(got))
		}
	})
}
