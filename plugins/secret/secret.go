// Package secret holds values that must not be shown, written down, or sent by accident: passwords, password hashes, and
// what is derived from them.
//
// A [Value] begins with [Take], which takes over a slice of bytes, lends them to functions by [Value.Use], and ends with
// [Value.Wipe], which its holder owes on every path. It formats as "[secret]" whatever the verb, and it has no String and no
// encoding: JSON shows an empty object, gob refuses it. It is handled as a pointer, and its bytes lie behind another one,
// since a panic's trace prints arguments, of arrays and strings by value up to ten bytes, of pointers only the address.
//
// Code that has the bytes keeps three rules: they travel as slices, never as arrays, numbers or strings; no error is made of
// them; copies are cleared before the function returns.
//
// [Protect] keeps the process's memory out of core dumps and from other processes of the same user; processes that hold secrets
// call it first.
//
// Not promised: copies that Go's heap, the compiler or a library of Go made, swapped memory, and root on the same machine.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tandem-sync/tandem/plugins/secret/internal/taken"
)

const shown = "[secret]"

// ErrWiped is returned for a value that was wiped or never set.
var ErrWiped = errors.New("the secret was wiped already")

// Value is one secret. Handle it as a pointer. Its methods may be called from any goroutine; the zero value is a wiped one.
type Value struct{ held *held }

type held struct {
	mu sync.RWMutex
	// bytes is nil once wiped. It is a pointer, since fmt follows one pointer where a verb does not fit a field, and no second one.
	bytes *[]byte
}

// Take makes a secret of b and takes it over: the caller must not use b any more.
func Take(b []byte) *Value {
	if taken.Now != nil {
		taken.Now()
	}
	return &Value{held: &held{bytes: &b}}
}

// Use lends the bytes to f and returns what f returns, or [ErrWiped]. f must neither change nor keep them. Wiping waits
// until f is over, so f must not wipe the value that it uses.
func (v *Value) Use(f func(b []byte) error) error {
	if v == nil || v.held == nil {
		return ErrWiped
	}
	v.held.mu.RLock()
	defer v.held.mu.RUnlock()
	if v.held.bytes == nil {
		return ErrWiped
	}
	return f(*v.held.bytes)
}

// Wipe overwrites the bytes with zeros. Wiping twice, or nothing, is allowed.
func (v *Value) Wipe() {
	if v == nil || v.held == nil {
		return
	}
	v.held.mu.Lock()
	defer v.held.mu.Unlock()
	if v.held.bytes != nil {
		clear(*v.held.bytes)
		v.held.bytes = nil
	}
}

// Equal reports whether both hold the same bytes, in a time that depends on their lengths only. A wiped value equals none.
func (v *Value) Equal(other *Value) bool {
	same := false
	err := v.Use(func(a []byte) error {
		return other.Use(func(b []byte) error {
			same = subtle.ConstantTimeCompare(a, b) == 1
			return nil
		})
	})
	return err == nil && same
}

// Format writes "[secret]" for every verb of package fmt. It has a value receiver, so that a copy is hidden too.
func (v Value) Format(f fmt.State, _ rune) {
	// What fmt writes to is a buffer of its own: its failures are told by the call that formats.
	_, _ = f.Write([]byte(shown))
}

// LogValue writes "[secret]" to slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(shown) }
