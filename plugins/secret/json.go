package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrText is returned for what cannot be a secret in a JSON document. It holds nothing of the value.
var ErrText = errors.New("a secret in JSON is a string of valid Unicode text")

// Text is a secret in a JSON document that is read: json.Unmarshal sets a field of this type from a string, without a copy
// beside the one that the field then holds. It stays nil where the document has null or nothing. Text is not written: a
// [Buffer] writes secrets.
type Text struct{ *Value }

// UnmarshalJSON takes a JSON string or null. Text that json would silently replace (a lone surrogate, invalid UTF-8) is
// refused with [ErrText], since a password must arrive as it was sent.
func (t *Text) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return ErrText
	}
	out, ok := unquote(make([]byte, 0, len(raw)), raw[1:len(raw)-1]) // never longer than its spelling: it never grows
	if !ok {
		clear(out)
		return ErrText
	}
	t.Value = Take(out)
	return nil
}

// unquote appends to dst the text that s, the inside of a JSON string, spells.
func unquote(dst, s []byte) ([]byte, bool) {
	for len(s) > 0 {
		if s[0] == '\\' {
			r, size := escaped(s)
			if size == 0 {
				return dst, false
			}
			dst, s = utf8.AppendRune(dst, r), s[size:]
			continue
		}
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size <= 1 || r < ' ' || r == '"' {
			return dst, false
		}
		dst, s = append(dst, s[:size]...), s[size:]
	}
	return dst, true
}

// simple are the escapes of one character (RFC 8259, 7).
var simple = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the escape at the beginning of s; size is 0 if it is none.
func escaped(s []byte) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	if r, ok := simple[s[1]]; ok {
		return r, 2
	}
	high, ok := unit(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	low, ok := unit(s[6:])
	if r = utf16.DecodeRune(high, low); !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// unit reads one \uXXXX.
func unit(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// Buffer collects a text that holds secrets, such as the body of a request. It clears what it outgrows. Its holder owes
// Wipe on every path. The zero value is empty; it is not for several goroutines at once.
type Buffer struct{ b []byte }

// Bytes are what was written, until the next write or Wipe.
func (w *Buffer) Bytes() []byte { return w.b }

// Wipe overwrites the content with zeros and empties the buffer.
func (w *Buffer) Wipe() {
	clear(w.b[:cap(w.b)])
	w.b = nil
}

// room makes room for n more bytes.
func (w *Buffer) room(n int) {
	if cap(w.b)-len(w.b) >= n {
		return
	}
	bigger := make([]byte, len(w.b), max(2*cap(w.b), len(w.b)+n, 512))
	copy(bigger, w.b)
	clear(w.b[:cap(w.b)])
	w.b = bigger
}

// Write implements io.Writer. It never fails.
func (w *Buffer) Write(p []byte) (int, error) {
	w.room(len(p))
	w.b = append(w.b, p...)
	return len(p), nil
}

// WriteString appends text that is no secret.
func (w *Buffer) WriteString(s string) {
	w.room(len(s))
	w.b = append(w.b, s...)
}

// WriteJSON appends a value that is no secret, in JSON.
func (w *Buffer) WriteJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = w.Write(b)
	return err
}

// WriteSecret appends a secret as a JSON string. Errors are [ErrText], for a secret that is no valid UTF-8, and [ErrWiped].
func (w *Buffer) WriteSecret(v *Value) error {
	const digits = "0123456789abcdef"
	return v.Use(func(b []byte) error {
		if !utf8.Valid(b) {
			return ErrText
		}
		w.room(6*len(b) + 2) // the longest spelling
		w.b = append(w.b, '"')
		for _, c := range b {
			switch {
			case c == '"' || c == '\\':
				w.b = append(w.b, '\\', c)
			case c < ' ':
				w.b = append(w.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			default:
				w.b = append(w.b, c)
			}
		}
		w.b = append(w.b, '"')
		return nil
	})
}

// ReadFrom appends what r gives up to its end. It implements io.ReaderFrom, so that io.Copy makes no copy of its own.
func (w *Buffer) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		w.room(512)
		got, err := r.Read(w.b[len(w.b):cap(w.b)])
		w.b = w.b[:len(w.b)+got]
		n += int64(got)
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}
