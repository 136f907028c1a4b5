package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// NewLogger gives a logger for use inside a plugin. Its lines go to w, which should be the os.Stderr that the process began
// with, in the form that the host passes on with their level.
func NewLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: hclogKeys}))
}

func hclogKeys(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().Format(hclog.TimeFormatJSON))
	case slog.LevelKey:
		return slog.String("@level", strings.ToLower(a.Value.String()))
	case slog.MessageKey:
		return slog.Attr{Key: "@message", Value: a.Value}
	}
	return a
}

// bridge gives go-plugin a logger whose lines end in l: what the engine wrote with its level, go-plugin's own as debug.
func bridge(l *slog.Logger) hclog.Logger {
	h := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: pluginName, Level: hclog.Trace, Output: io.Discard})
	h.RegisterSink(sink{l})
	return h
}

type sink struct{ l *slog.Logger }

// Accept takes one line of go-plugin's.
func (s sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	if strings.HasPrefix(name, pluginName+".") && name != pluginName+".stdio" { // named for the executable: its own line
		to = slogLevel(level)
	}
	s.l.Log(context.Background(), to, msg, args...)
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Info:
		return slog.LevelInfo
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelDebug
}

// The bounds of what is kept of an engine's standard error.
const (
	tailLines = 30
	tailWidth = 500 // bytes of each line
)

// tail keeps the last lines written to it, and passes each on. Safe for use by several writers.
type tail struct {
	mu    sync.Mutex
	part  []byte
	lines []string
	each  func(line string) // may be nil
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	for {
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		if room := tailWidth - len(t.part); room > 0 {
			t.part = append(t.part, line[:min(room, len(line))]...)
		}
		if !ended {
			return n, nil
		}
		t.keep(string(t.part))
		t.part, b = t.part[:0], rest
	}
}

func (t *tail) keep(line string) {
	line = plainLine(line)
	if line == "" {
		return
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
	if t.each != nil {
		t.each(line)
	}
}

// last gives the lines, oldest first, with one that is not ended yet.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := append([]string(nil), t.lines...)
	if part := plainLine(string(t.part)); part != "" {
		lines = append(lines, part)
	}
	return lines
}

// plainLine gives the message of a structured line, and drops debugging ones.
func plainLine(line string) string {
	line = strings.TrimRight(line, " \t\r")
	if !strings.HasPrefix(line, "{") {
		return line
	}
	var entry struct {
		Level   string `json:"@level"`
		Message string `json:"@message"`
		Error   string `json:"error"`
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Message == "" {
		return line
	}
	if entry.Level == "debug" || entry.Level == "trace" {
		return ""
	}
	if entry.Error != "" {
		return entry.Message + ": " + entry.Error
	}
	return entry.Message
}
