// Package tandem_test holds what is true of the repository as a whole: its documents and its import arrows.
package tandem_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var packageFolder = flag.String("packages", "", "a folder with packages of versions 0.0.1 and 0.0.2, which TestTheWalkthroughShowsWhatCommandsPrint installs in this system")

var update = flag.Bool("update", false, "write what the commands print into the documents")

// TestDocumentsShowWhatCommandsPrint runs every console block of the documents, in order, and compares what is printed.
// What differs from run to run (times, durations, ids) is compared by shape.
func TestDocumentsShowWhatCommandsPrint(t *testing.T) {
	bin := buildTandem(t)
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		file  string
		dir   func(t *testing.T) string
		samba bool // it needs one
	}{
		{"README.md", func(*testing.T) string { return root }, false},
		{"examples/contoso/README.md", func(t *testing.T) string { return copyOf(t, "examples/contoso") }, false},
		{"examples/contoso/hr/README.md", func(t *testing.T) string { return copyOf(t, "examples/contoso/hr") }, false},
		{"examples/contoso/hr/mappings.md", func(t *testing.T) string { return copyOf(t, "examples/contoso/hr") }, false},
		{"examples/contoso/passwords/README.md", func(t *testing.T) string { return copyOf(t, "examples/contoso/passwords") }, true},
		{"examples/handbook/start.md", handbook, false},
		{"examples/handbook/app-registration.md", handbook, false},
		{"examples/handbook/adoption.md", handbook, false},
		{"examples/handbook/migration.md", handbook, false},
		{"examples/handbook/agents.md", handbook, false},
		{"examples/handbook/operate.md", handbook, false},
	} {
		if d.samba && os.Getenv("TANDEM_NO_SAMBA") != "" {
			t.Logf("%s is not checked: TANDEM_NO_SAMBA is set", d.file)
			continue
		}
		t.Run(d.file, func(t *testing.T) {
			showsWhatIsPrinted(t, d.file, d.dir(t), bin)
		})
	}
}

// TestTheWalkthroughShowsWhatCommandsPrint installs packages, starts services and upgrades them, so it is for a system that is thrown away: .ci/package/test makes one.
func TestTheWalkthroughShowsWhatCommandsPrint(t *testing.T) {
	if *packageFolder == "" {
		t.Skip("it installs packages: .ci/package/test runs it in a container")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "tandem"), []byte("#!/bin/sh\nexec /usr/bin/tandem --no-progress \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := handbook(t)
	if err := os.Symlink(*packageFolder, filepath.Join(dir, "packages")); err != nil {
		t.Fatal(err)
	}
	showsWhatIsPrinted(t, "examples/handbook/walkthrough.md", dir, bin)
}

// handbook returns a copy of it, beside contoso, to whose files it refers.
func handbook(t *testing.T) string {
	t.Helper()
	examples := t.TempDir()
	for _, folder := range []string{"handbook", "contoso"} {
		if err := os.CopyFS(filepath.Join(examples, folder), os.DirFS(filepath.Join("examples", folder))); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(examples, "handbook")
}

// showsWhatIsPrinted runs the commands of a document in a folder, with the programs of another one, and fails the test where they print something else.
func showsWhatIsPrinted(t *testing.T, file, dir, bin string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &replay{t: t, shell: startShell(t, dir, bin)}
	r.document(string(text))
	if r.commands == 0 {
		t.Fatal("no command in it: what does it test?")
	}
	if *update {
		if err := os.WriteFile(file, []byte(r.out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// buildTandem returns a folder with hr and with a tandem that shows no progress, which the documents leave out.
func buildTandem(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	program := filepath.Join(bin, "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/tandem").CombinedOutput(); err != nil {
		t.Fatalf("building tandem: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin+"/", "./examples/contoso/hr").CombinedOutput(); err != nil {
		t.Fatalf("building hr: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "tandem-agent"), "./cmd/tandem-agent").CombinedOutput(); err != nil {
		t.Fatalf("building tandem-agent: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(bin, "tandem"), []byte("#!/bin/sh\nexec "+program+" --no-progress \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// replay runs the commands of one document.
type replay struct {
	t          *testing.T
	shell      *shell
	out        strings.Builder // the document with what was printed
	commands   int
	told, seen []string // the waves' ids in the document and in reality, by first appearance
}

func (r *replay) document(text string) {
	var block []string
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case line == "```console\n":
			inside, block = true, nil
			r.out.WriteString(line)
		case inside && line == "```\n":
			inside = false
			r.block(block)
			r.out.WriteString(line)
		case inside:
			block = append(block, strings.TrimSuffix(line, "\n"))
		default:
			r.out.WriteString(line)
		}
	}
}

func (r *replay) block(lines []string) {
	for i := 0; i < len(lines); {
		command, shown := []string{lines[i]}, []string(nil)
		if !strings.HasPrefix(lines[i], "$ ") {
			r.t.Fatalf("a block begins with %q instead of a command", lines[i])
		}
		for i++; i < len(lines) && strings.HasSuffix(command[len(command)-1], `\`); i++ {
			command = append(command, lines[i])
		}
		for ; i < len(lines) && !strings.HasPrefix(lines[i], "$ "); i++ {
			shown = append(shown, lines[i])
		}
		r.command(command, shown)
	}
}

var waveID = regexp.MustCompile(`\bw[0-9a-f]{16}-\d+\b`)

func (r *replay) command(command, shown []string) {
	r.commands++
	text := strings.Join(command, "\n")
	r.told = firsts(r.told, text)
	run := waveID.ReplaceAllStringFunc(text, func(id string) string {
		if at := slices.Index(r.told, id); at < len(r.seen) {
			return r.seen[at]
		}
		return id
	})
	r.t.Log(run)
	printed, status := r.shell.run(strings.TrimPrefix(run, "$ "))
	if status != 0 {
		printed = append(printed, fmt.Sprintf("# exit status %d", status))
	}
	r.told, r.seen = firsts(r.told, shown...), firsts(r.seen, printed...)
	if !*update && !slices.Equal(shapes(shown), shapes(printed)) {
		r.t.Errorf("%s\nprints now:\n%s\nand not, as the document says:\n%s\n(go test -run Documents . -update writes it anew)",
			text, strings.Join(printed, "\n"), strings.Join(shown, "\n"))
	}
	for _, line := range append(strings.Split(run, "\n"), printed...) {
		r.out.WriteString(line + "\n")
	}
}

// firsts appends the waves' ids that are new.
func firsts(ids []string, lines ...string) []string {
	for _, l := range lines {
		for _, id := range waveID.FindAllString(l, -1) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// What differs from run to run.
var shifting = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`freezes of \[[\d ]*\] ms`), "freezes of [N] ms"},
	{regexp.MustCompile(`\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?m?s\b`), "DURATION"},
	{regexp.MustCompile(`\bin \d+[mh]\b`), "in DURATION"},
	{regexp.MustCompile(`\d+ [KMGT]iB free of \d+ [KMGT]iB`), "N free of N"},
	{regexp.MustCompile(`\b\d+ ms\b`), "N ms"},
	{regexp.MustCompile(`\b\d+ bytes\b`), "N bytes"},
	{regexp.MustCompile(`\b[\d.]+ s$`), "N s"},
	{regexp.MustCompile(`by \S+ \(uid \d+\)`), "by PERSON"},
	{regexp.MustCompile(`\bhost \S+( since|,)`), "host HOST$1"},
	{regexp.MustCompile(`^(agent-[0-9a-f]+) on \S+:`), "$1 on HOST:"},
	{regexp.MustCompile(`^(agent-[0-9a-f]+ +\S+ +\S+) \S+ `), "$1 HOST "},
	{regexp.MustCompile(`\b\d+ (journal entries|records)\b`), "N $1"},
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12,64}\b`), "HASH"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{22}==`), "ANCHOR"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`^ *\d+ TIME`), "N TIME"},
	{regexp.MustCompile(` +`), " "},
	{waveID, "WAVE"},
}

func shapes(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		for _, s := range shifting {
			l = s.what.ReplaceAllString(l, s.name)
		}
		out[i] = strings.TrimRight(l, " ")
	}
	return out
}

// shell is one bash for a whole document, so that variables and background jobs last.
type shell struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

const endMark = "--- end of output: "

func startShell(t *testing.T, dir, bin string) *shell {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "NO_COLOR=1", "TANDEM_CONFIG=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil { // so that reading ends with the last process that writes
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Whatever the document left running ends with it.
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
		_ = read.Close()
	})
	s := &shell{t: t, in: in, out: bufio.NewReader(read)}
	// go run has no wrapper that leaves out progress, so all that it says beside its output is left out.
	s.run("go() { command go \"$@\" 2>/dev/null; }")
	return s
}

// run gives what a command printed, on both outputs, and its exit status.
func (s *shell) run(command string) (printed []string, status int) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.in, "{ %s\n} </dev/null\nprintf '\\n%%s%%s\\n' '%s' \"$?\"\n", command, endMark); err != nil {
		s.t.Fatal(err)
	}
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s: the shell ended: %v", command, err)
		}
		line = strings.TrimSuffix(line, "\n")
		if code, ended := strings.CutPrefix(line, endMark); ended {
			if _, err := fmt.Sscan(code, &status); err != nil {
				s.t.Fatal(err)
			}
			return slices.Clip(trimmed(printed)), status
		}
		printed = append(printed, line)
	}
}

// trimmed drops the empty line that the end mark brings.
func trimmed(lines []string) []string {
	if n := len(lines); n > 0 && lines[n-1] == "" {
		return lines[:n-1]
	}
	return lines
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	links := 0
	for _, file := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "examples/contoso/README.md", "examples/contoso/hr/README.md", "examples/contoso/hr/mappings.md", "examples/contoso/hr/functions.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
	if links == 0 {
		t.Error("no links at all: is the pattern wrong?")
	}
}
