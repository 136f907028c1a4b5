package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/seed"
)

// world is a lab in a process of its own, and Tandem beside it, one process for each command.
type world struct {
	self, dir string
	people    seed.World
	lab       *exec.Cmd
	labEnded  chan error
}

// modelled names what a world stands on.
func modelled(people int) []string {
	return []string{fmt.Sprintf("a generated directory of %d people with their groups and OUs: the lab's embedded one, in the lab's process", people),
		"the lab's tenant, in the lab's process; it answers at once"}
}

// startLimit bounds how long a lab may take to fill its directory.
const startLimit = 30 * time.Minute

// begin starts a lab and puts its policy in force. Its work shares the machine's cores with what is measured.
func begin(ctx context.Context, o Options, people int) (*world, error) {
	w := &world{self: o.Self, dir: filepath.Join(o.Dir, fmt.Sprint("lab-", people)), people: seed.Plan(people, 1, lab.DefaultDomain), labEnded: make(chan error, 1)}
	o.say("a lab with %d people", people)
	w.lab = exec.Command(w.self, "lab", "up", "--dir", w.dir, "--users", fmt.Sprint(people))
	var said bytes.Buffer
	w.lab.Stderr = &said
	if err := w.lab.Start(); err != nil {
		return nil, fmt.Errorf("starting the lab: %w", err)
	}
	go func() { w.labEnded <- w.lab.Wait() }()
	if err := w.await(ctx, "lab.json", &said); err != nil {
		return nil, errors.Join(err, w.end())
	}
	if _, err := w.tandem(ctx, nil, "import", filepath.Join(w.dir, "policy.yaml")); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// await waits for a file that the lab writes when it is ready.
func (w *world) await(ctx context.Context, name string, said *bytes.Buffer) error {
	tick, late := time.NewTicker(100*time.Millisecond), time.NewTimer(startLimit)
	defer tick.Stop()
	defer late.Stop()
	for {
		if _, err := os.Stat(filepath.Join(w.dir, name)); err == nil {
			return nil
		}
		select {
		case err := <-w.labEnded:
			w.labEnded <- err
			return fmt.Errorf("the lab ended: %v: %s", err, strings.TrimSpace(said.String()))
		case <-late.C:
			return fmt.Errorf("the lab was not ready within %s", startLimit)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// end stops the lab and waits for it.
func (w *world) end() error {
	_ = w.lab.Process.Signal(syscall.SIGTERM) // it may have ended
	return <-w.labEnded
}

// done is one command that ended.
type done struct {
	took   time.Duration
	cpu    time.Duration // processor time of it and of those whose end it waited for
	memory memory
}

// tandem runs one command; its document goes to out.
func (w *world) tandem(ctx context.Context, out any, args ...string) (done, error) {
	stdout, d, err := w.command(ctx, append([]string{"--output", "json"}, args...)...)
	if err != nil {
		return d, err
	}
	if out != nil {
		if err := json.Unmarshal(stdout, out); err != nil {
			return d, fmt.Errorf("what tandem %s says is not understood: %w", args[0], err)
		}
	}
	return d, nil
}

// command runs one command and returns what it printed, also where it failed.
func (w *world) command(ctx context.Context, args ...string) ([]byte, done, error) {
	cmd := exec.CommandContext(ctx, w.self, append([]string{"--no-progress"}, args...)...)
	cmd.Env = append(os.Environ(), "TANDEM_CONFIG="+filepath.Join(w.dir, "tandem.yaml"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, done{}, fmt.Errorf("starting tandem %s: %w", strings.Join(args, " "), err)
	}
	over, seen := make(chan struct{}), make(chan memory, 1)
	go func() { seen <- watch(cmd.Process.Pid, over) }()
	err := cmd.Wait()
	d := done{took: time.Since(began)}
	close(over)
	d.memory, d.cpu = <-seen, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if err != nil {
		err = fmt.Errorf("tandem %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), d, err
}

// ran is what a run says of itself.
type ran struct {
	Applied   int   `json:"applied"`
	Unchanged int   `json:"unchanged"`
	Held      int   `json:"held"`
	Failed    int   `json:"failed"`
	Millis    int64 `json:"durationMillis"`
}

func (w *world) sync(ctx context.Context, profile string) (r ran, d done, err error) {
	if d, err = w.tandem(ctx, &r, "sync", "connect", "--profile", profile); err == nil && r.Held+r.Failed > 0 {
		err = fmt.Errorf("a %s run left %d held and %d failed", profile, r.Held, r.Failed)
	}
	return r, d, err
}

// records returns how many records the log has.
func (w *world) records(ctx context.Context) (int, error) {
	var v struct {
		Records int `json:"records"`
	}
	_, err := w.tandem(ctx, &v, "audit", "verify")
	return v.Records, err
}

// serve starts the daemon and waits until it answers; end stops it and waits for its end.
func (w *world) serve(ctx context.Context, flags ...string) (end func() error, err error) {
	cmd := exec.CommandContext(ctx, w.self, append([]string{"serve"}, flags...)...)
	cmd.Env = append(os.Environ(), "TANDEM_CONFIG="+filepath.Join(w.dir, "tandem.yaml"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting tandem serve: %w", err)
	}
	end = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		return cmd.Wait()
	}
	var s struct {
		Holder struct {
			Daemon bool `json:"daemon"`
		} `json:"holder"`
	}
	for late := time.Now().Add(startLimit); !s.Holder.Daemon && time.Now().Before(late); { // until then each of these commands may hold the state itself
		if _, err := w.tandem(ctx, &s, "status"); err != nil {
			return nil, errors.Join(err, end())
		}
	}
	return end, nil
}

// edit changes the title of the first n people, over LDAP.
func (w *world) edit(n int, title string) error {
	b, err := os.ReadFile(filepath.Join(w.dir, "lab.json"))
	if err != nil {
		return err
	}
	var info struct {
		DirectoryURL, DirectoryAdmin, DirectoryPassword, CAFile string
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return fmt.Errorf("reading lab.json: %w", err)
	}
	conn, err := dial(info.DirectoryURL, info.CAFile)
	if err != nil {
		return err
	}
	err = conn.Bind(info.DirectoryAdmin, info.DirectoryPassword)
	changed := 0
	for _, u := range w.people.Users {
		if err != nil || changed == n {
			break
		}
		if len(u.Attributes["userPrincipalName"]) == 0 || strings.Contains(u.DN, ",OU=Service,") {
			continue // left out, or unmanaged by the lab's policy: nothing would be written
		}
		r := ldap.NewModifyRequest(u.DN, nil)
		r.Replace("title", []string{title})
		err = conn.Modify(r)
		changed++
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("changing the lab's directory: %w", err)
	}
	return nil
}
