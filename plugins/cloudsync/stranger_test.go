package cloudsync_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// engineInFolder is the variable that makes this program an engine, alone in its process, whose memory can be measured.
const engineInFolder = "TANDEM_TEST_ENGINE"

const aloneBase = "DC=contoso,DC=test"

// serveAlone is that engine: it writes an invitation for each line that it reads, and ends with its input.
func serveAlone(dir string) {
	ctx := context.Background()
	e := cloudsync.New(cloudsync.Options{})
	defer e.Close()
	if err := e.Configure(ctx, engine.Config{Engine: "cloudsync", DataDir: dir, Settings: []byte(noEmbedded),
		Directories: []engine.Directory{{Name: "contoso", Base: aloneBase, URLs: []string{"ldaps://127.0.0.1:1"}}}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		out := make(chan []byte, 1)
		if err := e.Call(ctx, "invite", nil, out); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s\n", <-out)
	}
}

// alone is an engine in a process of its own.
type alone struct {
	t       *testing.T
	pid     int
	ask     func() cloudsync.Invitation
	listens string
}

func startAlone(t *testing.T) *alone {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), engineInFolder+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	a := &alone{t: t, pid: cmd.Process.Pid}
	a.ask = func() cloudsync.Invitation {
		t.Helper()
		fmt.Fprintln(in)
		if !lines.Scan() {
			t.Fatal("the engine's process ended")
		}
		var i cloudsync.Invitation
		check(t, json.Unmarshal(lines.Bytes(), &i))
		return i
	}
	a.listens = a.ask().Listen
	return a
}

func (a *alone) enrol() {
	a.t.Helper()
	i := a.ask()
	_, err := agent.Enroll(a.t.Context(), i.Listen, i.Token, directory.Connection{Base: aloneBase})
	check(a.t, err)
}

// peak is the most memory that the process ever held, in bytes.
func (a *alone) peak() int {
	a.t.Helper()
	for _, l := range strings.Split(string(read(a.t, "/proc", strconv.Itoa(a.pid), "status")), "\n") {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "VmHWM:" {
			n, err := strconv.Atoi(f[1])
			check(a.t, err)
			return n << 10
		}
	}
	a.t.Fatal("no VmHWM")
	return 0
}

func (a *alone) files() int {
	a.t.Helper()
	all, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(a.pid), "fd"))
	check(a.t, err)
	return len(all)
}

// ready is a codec whose messages are one encoded request, made once: the test's own memory is not what is tested.
type ready struct {
	encoding.CodecV2
	request mem.BufferSlice
}

func (r ready) Marshal(any) (mem.BufferSlice, error) {
	r.request.Ref()
	return r.request, nil
}

// bigRequest is an enrolment whose secret has almost 64 MiB.
func bigRequest(t *testing.T) ready {
	t.Helper()
	b, err := proto.Marshal(&linepb.EnrollRequest{Secret: make([]byte, line.MaxMessage-1024), Base: aloneBase})
	check(t, err)
	return ready{encoding.GetCodecV2("proto"), mem.BufferSlice{mem.SliceBuffer(b)}}
}

// refuses expects that strangers hear what is wrong with their calls.
func (a *alone) refuses(token line.Token) {
	a.t.Helper()
	conn, err := line.Dial(a.listens, line.ClientTLS(token.Pin, nil))
	check(a.t, err)
	defer conn.Close()
	client := linepb.NewLineClient(conn)
	if _, err := client.Enroll(a.t.Context(), &linepb.EnrollRequest{Secret: []byte("wrong"), Base: aloneBase}); status.Code(err) != codes.PermissionDenied {
		a.t.Errorf("a wrong token: %v", err)
	}
	if _, err := client.Enroll(a.t.Context(), &linepb.EnrollRequest{Secret: make([]byte, 17<<10), Base: aloneBase}); status.Code(err) != codes.ResourceExhausted {
		a.t.Errorf("a message of 17 KiB: %v", err)
	}
	stream, err := client.Answer(a.t.Context())
	check(a.t, err)
	_ = stream.Send(&linepb.Part{Is: &linepb.Part_Alive{Alive: &linepb.Alive{}}}) // its error says only that the answer tells why
	if _, err := stream.CloseAndRecv(); status.Code(err) != codes.Unauthenticated {
		a.t.Errorf("an answer of a stranger: %v", err)
	}
}

// mostForStrangers is what all strangers together may cost an engine.
const mostForStrangers = 64 << 20

func TestStrangersCostAnEngineLittleAndKeepNobodyOut(t *testing.T) {
	e := startAlone(t)
	token, err := line.ParseToken(e.ask().Token)
	check(t, err)
	e.enrol()
	before, files := e.peak(), e.files()

	var calls sync.WaitGroup
	big := bigRequest(t)
	for range 24 {
		calls.Go(func() {
			conn, err := line.Dial(e.listens, line.ClientTLS(token.Pin, nil))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, err = linepb.NewLineClient(conn).Enroll(t.Context(), &linepb.EnrollRequest{}, grpc.ForceCodecV2(big))
			if c := status.Code(err); c != codes.ResourceExhausted && c != codes.Unavailable {
				t.Errorf("a message of 64 MiB: %v", err)
			}
		})
	}
	calls.Wait()
	e.refuses(token)
	for range 900 {
		c, err := net.Dial("tcp", e.listens)
		check(t, err)
		t.Cleanup(func() { c.Close() })
	}
	e.enrol() // while all of them are open
	if n := e.files(); n > files+200 {
		t.Errorf("%d connections of strangers are kept", n-files)
	}
	if more := e.peak() - before; more > mostForStrangers {
		t.Errorf("strangers cost %d MiB", more>>20)
	} else {
		t.Logf("strangers cost %d KiB beyond %d MiB", more>>10, before>>20)
	}
}
