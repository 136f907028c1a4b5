//go:build linux

package samba

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const stopTimeout = 10 * time.Second

// process is the running domain controller: process 1 of a process namespace, so that its end takes every child with it.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // samba -i ends itself when its standard input does
	done  chan struct{}  // closed when the process has been waited for
	err   error          // its end; valid once done is closed
}

// startProcess starts samba in namespaces of its own. A goroutine locked to its thread starts it and waits for it, because
// the kernel kills it at the death of the starting thread, not of the process.
func startProcess(o Options) (*process, error) {
	// The shell becomes samba: mounts and loopback must be set up from inside the namespaces.
	cmd := exec.Command("sh", "-c",
		`mount --bind "$0" "$1" && cd "$1" && mount -t proc proc /proc && ip link set lo up && exec samba -i --debug-stdout -s "$2"`,
		o.Dir, home, confFile)
	cmd.Stdout, cmd.Stderr = o.Log, o.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		// Mounts made inside must not reach the host.
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for samba: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin, done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting samba in namespaces of its own: %w", err)
	}
	return p, nil
}

func (p *process) run(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, after the process
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// failure says how the process ended; call it only once done is closed.
func (p *process) failure() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// stop asks samba to end, kills it if it does not, and waits for it.
func (p *process) stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err == nil {
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
	}
	// An error here means only that it has ended.
	_ = p.cmd.Process.Kill()
	<-p.done
}

// mountHome lets cmd see dir as home, in a mount namespace of its own, and ties its life to this process.
func mountHome(cmd *exec.Cmd, dir string) {
	cmd.Args = append([]string{"sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, dir, home}, cmd.Args...)
	if sh, err := exec.LookPath("sh"); err == nil {
		cmd.Path, cmd.Err = sh, nil
	} else {
		cmd.Err = err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
}

// runLocked runs cmd on one thread, for the same reason as startProcess.
func runLocked(cmd *exec.Cmd) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		ended <- cmd.Run()
	}()
	return <-ended
}
