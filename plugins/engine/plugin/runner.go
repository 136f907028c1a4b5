package plugin

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// drainLimit bounds how long the output of an ended process is still read: something that it started may hold the pipe open.
const drainLimit = 500 * time.Millisecond

// child owns one operating system process for go-plugin (it is a go-plugin runner.Runner). Unlike go-plugin's own it holds
// the engine's standard input open, notices the death at once, and ends the whole process group with the process.
type child struct {
	cmd    *exec.Cmd
	hello  firstLine
	exited chan struct{} // closed when the process has been reaped
	ended  chan struct{} // closed when its output has been read, too
	drain  sync.Once

	stdin, stdout, stderr *os.File // this side's ends

	mu     sync.Mutex
	begun  bool
	doomed bool
	reaped bool
	state  string
}

func newChild(cmd *exec.Cmd) *child {
	return &child{cmd: cmd, exited: make(chan struct{}), ended: make(chan struct{})}
}

// Start starts the process. It is gone when its starting thread ends (Pdeathsig), so that thread is kept until then.
func (r *child) Start(context.Context) error {
	theirs, err := r.pipes()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go r.own(theirs, started)
	return <-started
}

func (r *child) pipes() (theirs []*os.File, err error) {
	var ours []*os.File
	for range 3 {
		reader, writer, e := os.Pipe()
		if e != nil {
			closeAll(append(ours, theirs...))
			return nil, e
		}
		if len(ours) == 0 {
			ours, theirs = append(ours, writer), append(theirs, reader)
		} else {
			ours, theirs = append(ours, reader), append(theirs, writer)
		}
	}
	r.stdin, r.stdout, r.stderr = ours[0], ours[1], ours[2]
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	return theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// own starts the process, waits for its end and reaps it.
func (r *child) own(theirs []*os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := r.begin()
	closeAll(theirs)
	if err != nil {
		closeAll([]*os.File{r.stdin, r.stdout, r.stderr})
		started <- err
		return
	}
	started <- nil
	awaitExit(r.cmd)
	r.mu.Lock()
	killGroup(r.cmd) // before reaping: the process id is still taken, so the group is still its own
	_ = r.cmd.Wait()
	r.reaped, r.state = true, r.cmd.ProcessState.String()
	r.mu.Unlock()
	limit := time.Now().Add(drainLimit)
	_ = r.stdout.SetReadDeadline(limit)
	_ = r.stderr.SetReadDeadline(limit)
	close(r.exited)
}

func (r *child) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doomed {
		return errors.New("given up before it began")
	}
	bindToHost(r.cmd)
	err := r.cmd.Start()
	r.begun = err == nil
	return err
}

// endSession closes the engine's standard input: it ends itself within a second.
func (r *child) endSession() { r.stdin.Close() }

// Kill ends the process and its group at once, or keeps it from beginning. It does not wait.
func (r *child) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doomed = true
	if r.begun && !r.reaped {
		killGroup(r.cmd)
	}
	return nil
}

// Wait is called by go-plugin when it has read the output to its end.
func (r *child) Wait(context.Context) error {
	<-r.exited
	r.drain.Do(func() {
		closeAll([]*os.File{r.stdin, r.stdout, r.stderr})
		close(r.ended)
	})
	if state := r.how(); state != "exit status 0" {
		return errors.New(state)
	}
	return nil
}

// how says how the process ended; empty while it lives.
func (r *child) how() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Stdout is read by go-plugin.
func (r *child) Stdout() io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.stdout, &r.hello), r.stdout}
}

// Stderr is read by go-plugin.
func (r *child) Stderr() io.ReadCloser { return r.stderr }

// Name is the executable's path.
func (r *child) Name() string { return r.cmd.Path }

// ID is the process id.
func (r *child) ID() string {
	if r.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(r.cmd.Process.Pid)
}

// Diagnose has nothing to add: the error shows the engine's own lines.
func (r *child) Diagnose(context.Context) string { return "" }

// PluginToHost changes nothing: both sides are on one machine.
func (r *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin changes nothing: both sides are on one machine.
func (r *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// firstLine keeps the beginning of what an executable printed.
type firstLine struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails.
func (f *firstLine) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := 2*tailWidth - len(f.text); room > 0 {
		f.text = append(f.text, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

func (f *firstLine) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.text {
		if c == '\n' {
			return string(f.text[:i])
		}
	}
	return string(f.text)
}
