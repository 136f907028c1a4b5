package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
)

// hashes is B13: what an engine or agent does to hand N passwords over, without the tenant. The directory is Samba, on the same cores.
func hashes(ctx context.Context, o Options, r *Report) (err error) {
	r.Modelled = []string{fmt.Sprintf("Samba on this machine with %d people who have passwords, in processes of its own", o.Objects)}
	r.Beside = "the same reading without credentials, which shows who has which password"
	o.say("Samba with %d people", o.Objects)
	l, err := lab.Up(ctx, lab.Options{Dir: filepath.Join(o.Dir, "lab"), Users: o.Objects, Seed: 1, Directory: lab.Samba})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	o.say("setting %d passwords", o.Objects)
	if err := setPasswords(ctx, l); err != nil {
		return err
	}
	connection, accounts := l.Connection()
	reader, err := passwordhash.DirectTo(connection, accounts)
	if err != nil {
		return err
	}
	var since []byte
	for _, x := range []struct {
		name string
		aim  float64
		q    passwordhash.Query
	}{
		{"read, without credentials", 4000, passwordhash.Query{}},
		{"read, with their credentials", 0, passwordhash.Query{Credentials: true}},
	} {
		o.say("%s", x.name)
		before := processorTime()
		n, took, reading, err := readPasswords(ctx, reader, x.q)
		if err != nil {
			return err
		}
		alone := processorTime() - before
		if n < o.Objects {
			return fmt.Errorf("%d of %d passwords were read", n, o.Objects)
		}
		since = reading.Since
		r.note(x.name, float64(n)/took.Seconds(), "passwords/s") // how fast Samba is, above all
		r.note(x.name+": time", took.Seconds(), "s")
		each := "a second of the reader's processor time"
		switch {
		case alone <= 0: // not told on this operating system
		case x.aim > 0:
			r.least(x.name+", "+each, float64(n)/alone.Seconds(), "passwords/s", x.aim)
		default:
			r.note(x.name+", "+each, float64(n)/alone.Seconds(), "passwords/s")
		}
	}
	o.say("what changed since, which is nothing")
	_, took, _, err := readPasswords(ctx, reader, passwordhash.Query{Since: since})
	r.note("what changed since, nothing: time", took.Seconds(), "s")
	return err
}

// processorTime is what this process used of processors so far, in steps of a hundredth of a second (proc(5)); 0 where that is not told. The relay to Samba, which passes on
// what is read, is in it.
func processorTime() (sum time.Duration) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // behind the program's name
	for i, f := range strings.Fields(rest) {
		if i == 11 || i == 12 { // utime, stime
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// setPasswords sets a password for each user.
func setPasswords(ctx context.Context, l *lab.Lab) (err error) {
	c, err := l.Dial()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for i, u := range l.World.Users {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		m := ldap.NewModifyRequest(u.DN, nil)
		m.Replace("unicodePwd", []string{directory.EncodePassword(fmt.Sprintf("aA1!of-number-%d", i))})
		if err := c.Modify(m); err != nil {
			return fmt.Errorf("the password of %s: %w", u.DN, err)
		}
	}
	return nil
}

// readPasswords counts the passwords that are read, and wipes them.
func readPasswords(ctx context.Context, d *passwordhash.Direct, q passwordhash.Query) (n int, took time.Duration, reading passwordhash.Reading, err error) {
	began := time.Now()
	reading, err = d.Read(ctx, q, func(passwordhash.Reading) error { return nil }, func(us []passwordhash.User) error {
		for _, u := range us {
			if !u.Stamp.IsZero() && !u.Gone {
				n++
			}
			u.Credential.Wipe()
		}
		return nil
	})
	return n, time.Since(began), reading, err
}
