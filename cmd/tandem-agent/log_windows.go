package main

import (
	"io"
	"log/slog"

	"github.com/tandem-sync/tandem/cmd/service"
)

// journal is where the log of a service goes: a process of the service manager has no standard error, but the event log. end is called when nothing more is logged.
func journal(stderr io.Writer, format func(io.Writer) slog.Handler) (h slog.Handler, end func() error, err error) {
	is, err := service.Managed()
	if err != nil || !is {
		return format(stderr), func() error { return nil }, err
	}
	events, err := service.EventLog(serviceName)
	if err != nil {
		return nil, nil, err
	}
	return events.Handler(format), events.Close, nil
}
